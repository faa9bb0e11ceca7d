/* glowworm validate --fit: a device's latency out of verdicts of its cameras. One thread. */
#ifndef CLUSTER_VALIDATE_FIT_VERDICTS_H
#define CLUSTER_VALIDATE_FIT_VERDICTS_H

#include "base/err.h"
#include "cluster/validate/latency_fit.h"
#include <jansson.h>
#include <stdbool.h>

struct fit_cfg {              /* borrowed */
    const char *const *paths; /* (count) of validate.json */
    int count;
    const char *device; /* its name or file; NULL: what the verdicts name */
    const char *to;     /* the device's new file; the page beside it ends with .html */
};

/* Writes both, and says on standard output what is predicted now. ERR_DATA names the verdict that
 * is not one, or of another device, or of a simulated camera among real ones. */
MUST_CHECK enum err fit_verdicts(const struct fit_cfg *cfg);

/* What a verdict holds for it; *device, *is_simulated: of the camera. ERR_DATA. */
MUST_CHECK enum err fit_take_verdict(const json_t *verdict, struct latency_point *point,
                                     const char **device, bool *is_simulated);

#endif
