/* What the values of a checkpoint's tensors look like: fp64 sums over exact counts, read once from
 * the store. Any thread may call. */
#ifndef TRAINER_CHECKPOINT_STATISTICS_H
#define TRAINER_CHECKPOINT_STATISTICS_H

#include "trainer/checkpoint/checkpoint.h"
#include <stddef.h>

struct statistics { /* of one tensor */
    uint64_t count; /* values: finite + nan + infinite */
    uint64_t nan, infinite;
    double minimum, maximum, mean; /* of the finite values; NaN where there is none */
    double deviation;              /* of the finite values, over their number (numpy's std) */
};

struct statistics_sum { /* while values come; zeroed at first */
    uint64_t finite, nan, infinite;
    double minimum, maximum, mean;
    double squares; /* of the distances from the mean */
};
void statistics_add(struct statistics_sum *sum, const float *values, size_t count);
struct statistics statistics_of(const struct statistics_sum *sum);

/* checkpoint: as checkpoint_peek() gives it, the caller calls checkpoint_fini. *statistics:
 * (tensor_count), returns owned (mem_free). Errors as checkpoint_load(). */
MUST_CHECK enum err checkpoint_statistics(struct checkpoint_store *store, const char *name,
                                          struct checkpoint *checkpoint,
                                          struct statistics **statistics);

#endif
