/* One block of a pass: [expanding 1x1] -> depthwise -> [squeeze-excite] -> projecting 1x1 [+
 * shortcut], each convolution with its batch norm (OFA sec. 3.2; reference: MobileNetV3's order,
 * squeeze-excite behind the depthwise activation). Internal to the supernet's files. */
#ifndef TRAINER_SUPERNET_BLOCK_H
#define TRAINER_SUPERNET_BLOCK_H

#include "trainer/supernet/layer.h"

/* The active shape of a block: middle channels and kernel side. */
struct block_shape {
    int middle, R;
};

struct block {
    const struct block_slot *slot;
    struct layer expand, depthwise, project;
    struct block_shape shape; /* of the last forward */
    void *kernel;             /* (R*R,C) transformed weight, where R is not the stored side */
    float *kernel_grad;       /* (R*R,C) its gradient, in the backward */
    struct map input, output; /* of the last forward */
    void *sum;                /* (N,H',W',K) residual sum, with a shortcut */
    struct squeeze_excite se;
    struct excitation excitation;
    float *p; /* (N,middle) behind squeeze-excite */
    /* backward: gradients of the two wide maps and of the output map (one buffer per stage) */
    void *q_expand, *q_depthwise, *q;
};

/* Sets the block's active shape, and describes the kernel it needs made: false where it uses the
 * stored one. In front of the forward. */
bool block_kernel(const struct run *run, struct block *block, struct block_shape shape,
                  struct kernel_transform *transform);
bool block_is_transformed(const struct block *block);
size_t block_kernel_floats(const struct block *block); /* in whole cache lines */
/* The gradient of such a kernel, behind the backward. */
struct kernel_gradient block_kernel_gradient(const struct run *run, const struct block *block);

void block_forward(struct run *run, struct block *block, const struct map *input);
/* q: gradient of the output map (NULL: 0, see layer.p), its norm's backward is done. Writes the
 * input's gradient to q_in and finishes its norm's backward; q_in may be q where there is a
 * shortcut.
 */
void block_backward(struct run *run, struct block *block, const void *q, void *q_in);

#endif
