/* Phases are data: a schedule is a table of rows, one per training stage: which choices are open,
 * how many sub-networks a step samples, epochs, rate, distillation, whether channels are sorted
 * first. Progressive shrinking is one table (schedule "ofa": OFA sec. 3.3 and its appendix B; the
 * reference's train_ofa_net.py). Plain data. */
#ifndef TRAINER_SPEC_SCHEDULE_H
#define TRAINER_SPEC_SCHEDULE_H

#include "trainer/spec/subnet.h"

#define SCHEDULE_MAX_PHASES 16

struct phase {
    char name[32];            /* "teacher", "kernel", "depth-1", ... */
    struct open_choices open; /* what a step samples from; the biggest only in the teacher phase */
    int subnets_per_step;     /* 1, 1, 2, 2, 4, 4 */
    double epochs;            /* after warm-up; fractions allowed: rounded to whole steps */
    double warmup_epochs;     /* linear from rate / 32 */
    double
        rate; /* learning rate of the whole step at campaign.batch.global; cosine to 0 per step */
    bool has_distillation; /* soft targets from the frozen full network, computed once per batch */
    bool sorts_channels;   /* before the first step, for open.expansions; resets momentum */
};

struct schedule {
    int phase_count;
    struct phase phases[SCHEDULE_MAX_PHASES];
};

#endif
