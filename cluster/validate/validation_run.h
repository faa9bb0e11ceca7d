/* `glowworm validate` at work, in order: the bundle, what its files answer, the camera, the
 * verdict. One thread. */
#ifndef CLUSTER_VALIDATE_VALIDATION_RUN_H
#define CLUSTER_VALIDATE_VALIDATION_RUN_H

#include "cluster/validate/validation.h"

/* The bundle and what its files answer; no camera yet. ERR_HELD: the camera loads a graph that is
 * not there, with what to do. The caller calls validation_fini() whatever happens. */
MUST_CHECK enum err validation_prepare(const struct validation_cfg *cfg,
                                       struct validation *validation);
/* On an opened camera, which is as it was afterwards, whatever happens, or the text says that it is
 * not (then there may be a verdict all the same: is_judged). A network that is sound on it and does
 * not pass is no error: see the verdict. */
MUST_CHECK enum err validation_measure(struct validation *validation, struct camera *camera);

#endif
