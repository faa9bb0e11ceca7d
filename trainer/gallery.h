/* A fixed list of images cut into leaves that the gang's ranks share: what calibration and
 * evaluation walk over. The batches of a resolution are kept in memory while they fit, so that
 * measuring many sub-networks decodes and resizes each image once. One thread. */
#ifndef TRAINER_GALLERY_H
#define TRAINER_GALLERY_H

#include "trainer/comm.h"
#include "trainer/feed.h"

struct gallery_cfg {
    struct comm *comm;         /* borrowed */
    struct device *device;     /* borrowed */
    struct loader_cfg loader;  /* its max_batch is a leaf */
    const uint32_t *positions; /* (count) of loader.records; NULL: 0..count-1. Copied */
    uint32_t count;            /* images */
    uint64_t epoch;            /* of the augmentation's draws */
    size_t keep_bytes;         /* memory for kept batches of this rank */
    void *own;
    void (*is_alive)(void *own); /* NULL: nobody listens. Called behind every leaf */
};

struct gallery;
/* Returns owned. ERR_DATA for an empty list. */
MUST_CHECK enum err gallery_create(const struct gallery_cfg *cfg, struct gallery **gallery);
void gallery_destroy(struct gallery **gallery); /* accepts NULL */

/* ceil(count / max_batch): full ones, and what is left in the last. */
int gallery_leaves(const struct gallery *gallery);

/* Shows every leaf of this rank, in order. Not collective. What visit returns ends the walk. */
MUST_CHECK enum err gallery_walk(struct gallery *gallery, int resolution,
                                 enum err (*visit)(void *own, const struct fed *fed), void *own);

#endif
