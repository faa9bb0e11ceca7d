/* The threads of an import: they prepare images ahead, and the one consumer receives them in the
 * source's order. */
#ifndef TRAINER_DATA_IMPORT_POOL_H
#define TRAINER_DATA_IMPORT_POOL_H

#include "trainer/data/prepare.h"

struct import_pool;

struct import_pool_cfg {
    struct source *source; /* borrowed */
    struct import_plan plan;
    bool widens;
    int threads;
};

MUST_CHECK enum err import_pool_create(const struct import_pool_cfg *cfg,
                                       struct import_pool **pool);
void import_pool_destroy(struct import_pool **pool); /* accepts NULL; stops and joins */

/* The next image, waiting for it; borrowed until import_pool_release(). NULL when `wait_ms` passed
 * without one. Not to be called after the last image. */
struct prepared *import_pool_next(struct import_pool *pool, int wait_ms);
void import_pool_release(struct import_pool *pool);

#endif
