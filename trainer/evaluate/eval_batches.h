/* A fixed list of images cut into leaves that the gang's ranks share: what calibration and
 * evaluation walk over. Leaves are kept where the cache has room for them, so that measuring many
 * sub-networks decodes each image once; the others are loaded again at every walk, by threads that
 * work ahead of it. One thread. */
#ifndef TRAINER_EVALUATE_EVAL_BATCHES_H
#define TRAINER_EVALUATE_EVAL_BATCHES_H

#include "trainer/evaluate/batch_cache.h"
#include "trainer/gang/comm.h"

#define EVAL_BATCHES_AHEAD 2 /* leaves prepared while one is computed: calibration's are large */

struct eval_batches_cfg {
    struct comm *comm;         /* borrowed */
    struct device *device;     /* borrowed */
    struct batch_cache *cache; /* borrowed: of this device and the loader's data set */
    struct loader_cfg loader;  /* its max_batch is a leaf */
    const uint32_t *positions; /* (count) of loader.records; NULL: 0..count-1. Copied */
    uint32_t count;            /* images */
    uint64_t epoch;            /* of the augmentation's draws */
    struct rank_work *work;    /* as in prefetch_cfg */
    void *own;
    void (*is_alive)(void *own); /* NULL: nobody listens. Called behind every leaf */
};

struct eval_batches;
/* Returns owned. ERR_DATA for an empty list. */
MUST_CHECK enum err eval_batches_create(const struct eval_batches_cfg *cfg,
                                        struct eval_batches **batches);
void eval_batches_destroy(struct eval_batches **batches); /* accepts NULL */

/* ceil(count / max_batch): full ones, and what is left in the last. */
int eval_batches_leaves(const struct eval_batches *batches);

/* Shows every leaf of this rank, in order. Not collective. What visit returns ends the walk. */
MUST_CHECK enum err
eval_batches_walk(struct eval_batches *batches, int resolution,
                  enum err (*visit)(void *own, const struct prefetched *prefetched), void *own);

#endif
