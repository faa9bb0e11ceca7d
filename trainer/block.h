/* One block of a pass: [expanding 1x1] -> depthwise -> [squeeze-excite] -> projecting 1x1 [+
 * shortcut], each convolution with its batch norm (OFA sec. 3.2; reference: MobileNetV3's order,
 * squeeze-excite behind the depthwise activation). Internal to the supernet's files. */
#ifndef TRAINER_BLOCK_H
#define TRAINER_BLOCK_H

#include "trainer/layer.h"

struct block {
    const struct block_slot *slot;
    struct layer expand, depthwise, project;
    int R;                    /* active kernel */
    float *kernel;            /* (R*R,C) transformed weight, where R is not the stored side */
    struct map input, output; /* of the last forward */
    float *sum;               /* (N,H',W',K) residual sum, with a shortcut */
    /* squeeze-excite */
    struct squeeze_excite se;
    float *pooled, *hidden, *gate, *p;
    double *pool_sums;
    /* backward: gradients of the two wide maps and of the output map (one buffer per stage) */
    float *q_expand, *q_depthwise, *q;
};

/* The active shape of a block: middle channels and kernel side. */
struct block_shape {
    int middle, R;
};

void block_forward(struct run *run, struct block *block, const struct map *input,
                   struct block_shape shape);
/* q: gradient of the output map (NULL: 0, see layer.p), its norm's grad_sums are there. Writes the
 * input's gradient to q_in and accumulates its norm's sums; q_in may be q where there is a
 * shortcut.
 */
void block_backward(struct run *run, struct block *block, const float *q, float *q_in);

#endif
