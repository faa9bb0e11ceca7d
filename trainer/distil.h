/* The teacher of distillation: the full network's frozen weights, run once per micro-batch with
 * that batch's statistics (as in training), its logits the soft labels of every sub-network of the
 * step (OFA reference file, sec. 4.3). */
#ifndef TRAINER_DISTIL_H
#define TRAINER_DISTIL_H

#include "trainer/feed.h"
#include "trainer/supernet.h"

struct distil;
/* Room for N images. The weights are taken from *weights (device memory of net->weight_count
 * floats), which is set to NULL. ERR_MEMORY. Returns owned. */
MUST_CHECK enum err distil_create(struct supernet *net, float **weights, int N, int resolution,
                                  struct distil **distil);
void distil_destroy(struct distil **distil); /* accepts NULL */

/* logits: device (N,classes), valid until the next call. flaw: the teacher's first layer that is
 * not finite. */
MUST_CHECK enum err distil_logits(struct distil *distil, const struct fed *fed, struct flaw flaw,
                                  const float **logits);

#endif
