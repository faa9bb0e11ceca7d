/* The parameter table of a supernet: which offsets of the flat arrays each layer reads, resolved
 * once from the space, at full width. Internal to the supernet's files; const after
 * supernet_create(). */
#ifndef TRAINER_SUPERNET_PARAM_TABLE_H
#define TRAINER_SUPERNET_PARAM_TABLE_H

#include "trainer/supernet/supernet.h"

struct conv_slot { /* one convolution and its batch norm */
    size_t weight; /* offset in supernet.weights */
    int ld;        /* leading dimension: the full width */
    int norm;      /* index in supernet.norms */
};

struct block_slot { /* one block at full size; the first has no expanding convolution */
    bool has_expand, has_se, has_shortcut, has_matrices;
    enum act act;
    int stage; /* -1: the first block */
    int C, K, stride;
    int middle, hidden; /* full widths; hidden 0 without squeeze-excite */
    int side;           /* of the stored depthwise kernel */
    struct conv_slot expand, depthwise, project;
    size_t m75, m53;
    size_t reduce_w, reduce_b, expand_w, expand_b; /* squeeze-excite */
};

struct param_table {
    struct conv_slot stem;
    int block_count; /* the first block, then the dynamic ones */
    struct block_slot blocks[SPACE_MAX_BLOCKS + 1];
    struct conv_slot expand; /* in front of the pool, if space.expand_width */
    size_t mix;              /* behind the pool, if space.mix_width */
    size_t classifier_w, classifier_b;
    int pooled;   /* channels behind the pool */
    int features; /* channels into the classifier */
};

/* Fills net->params, norms, param_table and the counts from net->space. The arrays are owned by
 * net. */
void param_table_build(struct supernet *net);

#endif
