/* A training stage in numbers: how many steps, at which rate, where its random draws begin. Pure:
 * every rank, the planner and a test compute the same. OFA reference file, sec. 4.1: cosine per
 * step, linear warm-up whose epochs are extra. */
#ifndef TRAINER_SPEC_LR_SCHEDULE_H
#define TRAINER_SPEC_LR_SCHEDULE_H

#include "trainer/spec/schedule.h"
#include <stdint.h>

struct lr_schedule {
    uint64_t steps_per_epoch; /* floor(images / global batch); the permutation's tail is left out */
    uint64_t warmup;          /* steps */
    uint64_t steps;           /* of the whole stage, warm-up included */
    uint64_t first_step;      /* of the whole schedule: no two stages share draws */
    uint64_t first_epoch;
};

/* Row `phase` of the schedule for so many training images. ERR_CONFIG when they do not fill one
 * batch. */
MUST_CHECK enum err lr_schedule_of(const struct schedule *schedule, int phase, uint32_t images,
                                   int global_batch, struct lr_schedule *lr_schedule);

/* Learning rate of a step, 0 <= step < steps. */
double lr_schedule_rate(const struct lr_schedule *lr_schedule, const struct phase *phase,
                        uint64_t step);

/* Resolution of a step of the whole schedule: one for all ranks and sub-networks. */
int lr_schedule_resolution(const struct space *space, uint64_t seed, uint64_t schedule_step);

/* Whether something that happens every `epochs` (fractions allowed; 0: never) is due after `step`
 * steps are done. */
bool lr_schedule_is_due(const struct lr_schedule *lr_schedule, double every_epochs,
                        uint64_t steps_done);

#endif
