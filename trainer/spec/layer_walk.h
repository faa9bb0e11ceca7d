/* The layers of a sub-network in the order the image meets them, each with its shape: what a device
 * must be able to run, and what its converter gets, by the names it gets them under
 * (trainer/export/fold.h). Batch norm is folded into the convolutions, activations into the layer
 * they follow. Pure. */
#ifndef TRAINER_SPEC_LAYER_WALK_H
#define TRAINER_SPEC_LAYER_WALK_H

#include "trainer/spec/subnet.h"

enum layer_op {
    LAYER_CONV,      /* dense, square */
    LAYER_DEPTHWISE, /* a group per channel */
    LAYER_LINEAR,    /* on a map of one pixel */
    LAYER_ADD,       /* the shortcut */
    LAYER_POOL,      /* the mean of the map */
    LAYER_SE,        /* squeeze-excite */
};

enum layer_part { /* what it is to the network */
                  PART_STEM,
                  PART_EXPAND, /* of a block, as the next four; the first block has none */
                  PART_DEPTHWISE,
                  PART_SE,
                  PART_PROJECT,
                  PART_SUM,
                  PART_HEAD, /* the last convolution, where the space has one */
                  PART_POOL,
                  PART_MIX, /* a linear layer without bias, where the space has one */
                  PART_LOGITS
};

struct layer_shape {
    enum layer_part part;
    enum layer_op op; /* follows from the part */
    int block;        /* 0: the first block, i: space->blocks[i - 1], -1: none */
    enum act act;     /* behind it */
    int C, K;         /* channels in and out */
    int R, S;         /* kernel side and stride; 1 where there is none */
    int groups;       /* of a convolution; else 1 */
    int side;         /* of its output, which is square */
    int hidden;       /* LAYER_SE: channels of its squeezed vector */
};

#define LAYER_NAME 48

/* "stem", "block3_depthwise", ..., "logits". */
void layer_shape_name(const struct layer_shape *layer, char name[LAYER_NAME]);

/* Blocks that the sub-network leaves out are left out. */
void layer_walk(const struct space *space, const struct subnet *subnet,
                void (*visit)(void *own, const struct layer_shape *layer), void *own);

#endif
