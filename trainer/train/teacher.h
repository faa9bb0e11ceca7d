/* The teacher of distillation: the full network's frozen weights, run once per micro-batch with
 * that batch's statistics (as in training), its logits the soft labels of every sub-network of the
 * step (OFA reference file, sec. 4.3). */
#ifndef TRAINER_TRAIN_TEACHER_H
#define TRAINER_TRAIN_TEACHER_H

#include "trainer/input/prefetch.h"
#include "trainer/supernet/supernet.h"

struct teacher;
/* Room for N images. The weights are taken from *weights (device memory of net->weight_count
 * floats), which is set to NULL. ERR_MEMORY. Returns owned. */
MUST_CHECK enum err teacher_create(struct supernet *net, float **weights, int N, int resolution,
                                   struct teacher **teacher);
void teacher_destroy(struct teacher **teacher); /* accepts NULL */

/* logits: device (N,classes), valid until the next call. flaw: the teacher's first layer that is
 * not finite. */
MUST_CHECK enum err teacher_logits(struct teacher *teacher, const struct prefetched *prefetched,
                                   struct flaw flaw, const float **logits);

#endif
