/* A supernet as a checkpoint describes it: the space it was trained in, its weights, and its
 * statistics where it has them. For commands that look at a checkpoint outside of a campaign. One
 * thread. */
#ifndef TRAINER_WEIGHTS_MODEL_H
#define TRAINER_WEIGHTS_MODEL_H

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/supernet/supernet.h"

struct model {
    struct space space;
    struct supernet *net;
};

/* ERR_DATA when tensors are missing or of another shape. The device must outlive it. Returns owned.
 */
MUST_CHECK enum err model_create(const struct checkpoint *checkpoint, struct device *device,
                                 struct model **model);
/* The same from "PATH" or "PATH@NAME" on disk. */
MUST_CHECK enum err model_open(const char *reference, struct device *device, struct model **model);
void model_close(struct model **model); /* accepts NULL */

#endif
