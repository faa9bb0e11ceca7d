/* A candidate's genes: drawing, mutating, crossing, and shrinking until a target's bounds are met.
 * What a target's device cannot run is never drawn: sub-networks that are mutated, crossed or
 * shrunk are of the pool. Every draw is rng(seed, RNG_SEARCH, generation,
 * candidate, draw). Pure. */
#ifndef TRAINER_SEARCH_GENES_H
#define TRAINER_SEARCH_GENES_H

#include "trainer/spec/target.h"

struct gene_pool { /* what may be drawn */
    const struct space *space;
    struct open_choices open;    /* narrowed to the target's device */
    const struct target *target; /* borrowed */
};

struct gene_draws { /* a stream of draws for one candidate */
    uint64_t seed, generation, candidate, next;
};

void genes_random(const struct gene_pool *pool, struct gene_draws *draws, struct subnet *subnet);
/* Every gene is drawn again with probability `rate`. */
void genes_mutate(const struct gene_pool *pool, struct gene_draws *draws, double rate,
                  struct subnet *subnet);
void genes_cross(const struct gene_pool *pool, struct gene_draws *draws, const struct subnet *left,
                 const struct subnet *right, struct subnet *child);
/* Whether a sub-network is within the target's bounds, and its device runs it at its resolution. */
bool genes_fit(const struct gene_pool *pool, const struct subnet *subnet);
/* Makes random genes smaller, one step at a time, until it fits the target; the pool's smallest
 * sub-network has to (target_check(), camera_device_narrow()). */
void genes_shrink(const struct gene_pool *pool, struct gene_draws *draws, struct subnet *subnet);

#endif
