/* The memory of a forward and backward pass, planned once for the biggest sub-network at the
 * biggest size: any smaller one uses the beginnings of the same buffers, so a step allocates
 * nothing. In the backward the gradient maps take the place of raw outputs that are no longer
 * needed. Internal to the supernet's files. */
#ifndef TRAINER_SUPERNET_ACTIVATION_ARENA_H
#define TRAINER_SUPERNET_ACTIVATION_ARENA_H

#include "trainer/supernet/head.h"

struct activation_memory {
    struct device *device; /* borrowed */
    void *block;           /* device */
    size_t size_bytes;
    int users; /* passes carved from it; the last one frees it */
    const struct activation_arena
        *maps_of; /* whose training forward waits for its backward, or NULL */
};

struct activation_arena {
    int N, resolution; /* the most it has room for */
    enum pass_mode mode;
    struct activation_memory *memory; /* everything below is carved from it */
    struct layer stem;
    struct view image;
    void *q_stem;
    int block_count;
    struct block blocks[SPACE_MAX_BLOCKS + 1];
    struct head head;
    struct run shared; /* its vectors and moments only; the rest is filled for each run */
    struct poison poison;
    int active_count; /* blocks of the last forward, in order */
    int active[SPACE_MAX_BLOCKS + 1];
};

#endif
