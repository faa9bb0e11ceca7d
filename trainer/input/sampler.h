/* Which images a rank computes at which step of a stage: the epoch's permutation, cut into global
 * batches, cut into micro-batches, dealt in runs. A function of seed, step and leaf; the number of
 * ranks only decides who takes which. One thread. */
#ifndef TRAINER_INPUT_SAMPLER_H
#define TRAINER_INPUT_SAMPLER_H

#include "trainer/data/splits.h"
#include "trainer/input/prefetch.h"
#include "trainer/spec/lr_schedule.h"

struct sampler_cfg { /* all borrowed, for the sampler's life */
    const struct campaign *campaign;
    const struct space *space;
    const struct splits *splits;
    struct device *device;
    int rank, size; /* of the gang */
    const struct lr_schedule *lr_schedule;
    uint64_t first_step;    /* of the stage: where it goes on */
    struct rank_work *work; /* as in prefetch_cfg */
};

struct sampler; /* a prefetch of this rank's micro-batches, step after step */
/* From the micro-batches of `first_step` to the end of the stage. ERR_MEMORY. Returns owned. */
MUST_CHECK enum err sampler_create(const struct sampler_cfg *cfg, struct sampler **sampler);
void sampler_destroy(struct sampler **sampler); /* accepts NULL */

int sampler_leaves(const struct sampler *sampler);          /* of this rank, in every step */
struct prefetch *sampler_prefetch(struct sampler *sampler); /* borrowed */

/* Places of a leaf's images in the epoch's permutation: [*first, *first + micro). */
void sampler_place(const struct lr_schedule *lr_schedule, int global_batch, int micro,
                   uint64_t step, uint64_t leaf, uint64_t *epoch, uint64_t *first);

#endif
