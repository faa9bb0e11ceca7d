/* Two checkpoints tensor by tensor: which differ, and by how much. Tensors whose hashes are equal
 * are not read. Any thread may call. */
#ifndef TRAINER_CHECKPOINT_COMPARE_H
#define TRAINER_CHECKPOINT_COMPARE_H

#include "trainer/checkpoint/checkpoint.h"

enum difference_kind {
    DIFFERENCE_NONE, /* bit for bit the same */
    DIFFERENCE_VALUES,
    DIFFERENCE_SHAPE, /* values are not compared */
    DIFFERENCE_ONLY_LEFT,
    DIFFERENCE_ONLY_RIGHT
};

struct difference { /* of one name */
    enum difference_kind kind;
    int left, right; /* indices of the tensors, -1: not there */
    /* DIFFERENCE_VALUES: */
    uint64_t changed;   /* values whose bits differ */
    uint64_t nonfinite; /* of those: NaN or infinite on a side, and not in the sums below */
    double norm;        /* L2, of the left's finite values */
    double distance;    /* L2, of right - left */
    double largest;     /* |right - left| */
};
/* distance over norm; infinite where only the norm is zero. */
double difference_relative(const struct difference *difference);

struct comparison {
    struct checkpoint left, right; /* without values */
    struct difference
        *differences; /* (count) in the left's order, then what is only in the right */
    int count;
};

/* The stores may be one and the same. Errors as checkpoint_load(), the text says of which side.
 * The caller calls comparison_fini. */
MUST_CHECK enum err checkpoint_compare(struct checkpoint_store *left_store, const char *left,
                                       struct checkpoint_store *right_store, const char *right,
                                       struct comparison *comparison);
void comparison_fini(struct comparison *comparison); /* accepts a zeroed one */

#endif
