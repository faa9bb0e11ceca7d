/* The latency in a device's file, written anew; all else in it stays, comments too. Pure. */
#ifndef CLUSTER_VALIDATE_DEVICE_LATENCY_H
#define CLUSTER_VALIDATE_DEVICE_LATENCY_H

#include "base/text.h"
#include "cluster/validate/latency_fit.h"

/* The line that says it; a kind's nothing is a millionth, since 0 means per_mmac_ms there. */
void device_latency_line(const struct latency_model *model, struct text *line);
/* yaml: the old file. ERR_DATA: it has no line "device:". */
MUST_CHECK enum err device_latency_replace(const char *yaml, const struct latency_model *model,
                                           struct text *made);

#endif
