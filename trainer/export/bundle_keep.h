/* What came into a bundle after it was compiled, when it is compiled anew: a graph that a person's
 * converter made of it, and what a check or a camera said of it. It is kept where it is still of
 * this network. One thread. */
#ifndef TRAINER_EXPORT_BUNDLE_KEEP_H
#define TRAINER_EXPORT_BUNDLE_KEEP_H

#include "base/err.h"
#include <jansson.h>

/* Copies it from the bundle `old` (there may be none) to the one that takes its place. files: the
 * list of the new one's, as in bundle.json. A graph of another network goes along as
 * firefly.graph.old, which nothing loads, and the log says so. ERR_IO, ERR_FULL. */
MUST_CHECK enum err bundle_keep(const char *old, const char *folder, const json_t *files);

#endif
