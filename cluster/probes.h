/* `glowworm compile --probes`: the probes of a device's rules (trainer/export/probe.h) as a folder
 * for a person who has its converter: a bundle each, an index that says what is to be seen, and one
 * command that tries them all. */
#ifndef CLUSTER_PROBES_H
#define CLUSTER_PROBES_H

#include "trainer/spec/target.h"

/* A folder that is there has to be empty, or one of probes, whose files are made anew. ERR_CONFIG
 * otherwise, and nothing touched; ERR_IO. */
MUST_CHECK enum err probes_write(const struct camera_device *device, const char *folder);

#endif
