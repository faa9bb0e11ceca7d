/* What evaluate.c (one sub-network) and measure.c (lists of them) share. Inside trainer/evaluate
 * only. */
#ifndef TRAINER_EVALUATE_INTERNAL_H
#define TRAINER_EVALUATE_INTERNAL_H

#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/memo.h"

struct evaluate {
    struct evaluate_cfg cfg;
    struct comm *comm;
    struct supernet *net;
    struct batch_cache *cache;
    struct calibrate *calibrate;
    struct memo *memo;
    struct evaluate_counts counts;
    struct eval_batches *holdout, *test;        /* NULL: no such split */
    int resolution;                             /* measured last */
    double moved_at;                            /* last sign of life while this gang waits */
    struct activation_arena *arena, *own_arena; /* own_arena NULL: the caller's is used */
    float *logits;                              /* host (micro,classes) */
};

#endif
