/* What follows the last block: [1x1 convolution] -> global pool -> [mix] -> dropout -> classifier.
 * MobileNetV3 mixes behind the pool (no bias, no norm), MobileNetV2's family does not. Internal to
 * the supernet's files. */
#ifndef TRAINER_SUPERNET_HEAD_H
#define TRAINER_SUPERNET_HEAD_H

#include "trainer/supernet/block.h"

struct head {
    struct layer expand;
    struct map input;   /* the last block's output */
    struct map pooled;  /* what the pool reads */
    float *pool;        /* (N,pooled) */
    float *branch_pool; /* (N,pooled) means of a residual sum's last branch; nobody reads them */
    double *pool_sums;  /* (N,2,pooled) */
    float *mixed;       /* (N,mix) raw */
    float *mask;        /* (N,features) dropout */
    float *logits;      /* (N,classes) */
    float *dfeatures, *dpool, *p;
    struct view features; /* what the classifier reads */
};

void head_forward(struct run *run, struct head *head, const struct map *input);
/* Writes the gradient of the last block's output to q, with its norm's sums, and returns q; or
 * returns NULL where the gradient is the same for a whole map and hangs on the branch's p. */
const void *head_backward(struct run *run, struct head *head, const float *dlogits, void *q);

#endif
