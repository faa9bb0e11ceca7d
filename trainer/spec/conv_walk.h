/* The convolutions of a sub-network in the order the image meets them, each with its shape: what
 * costs, calibration and whoever else needs the geometry walk over. Pure. */
#ifndef TRAINER_SPEC_CONV_WALK_H
#define TRAINER_SPEC_CONV_WALK_H

#include "trainer/spec/subnet.h"

enum conv_place { CONV_STEM, CONV_EXPAND, CONV_DEPTHWISE, CONV_PROJECT, CONV_HEAD };

struct walked_conv {
    enum conv_place place;
    int block; /* 0: the first block, which has no CONV_EXPAND; i: space->blocks[i - 1] */
    int C, K;  /* active channels in and out; a depthwise convolution has C = 1 per group */
    int R;     /* kernel side */
    int side;  /* of the output, which is square */
};

/* Blocks that the sub-network leaves out are left out. */
void conv_walk(const struct space *space, const struct subnet *subnet,
               void (*visit)(void *own, const struct walked_conv *conv), void *own);

#endif
