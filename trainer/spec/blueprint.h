/* A campaign made concrete for one data set: its space, its schedule and its stages. Plain data
 * that every process works out alike. */
#ifndef TRAINER_SPEC_BLUEPRINT_H
#define TRAINER_SPEC_BLUEPRINT_H

#include "trainer/spec/campaign.h"

struct blueprint {
    const struct campaign *campaign; /* borrowed */
    struct space space;
    struct schedule schedule;
    struct plan plan;
};

/* classes, channels: of the data set. ERR_CONFIG, ERR_NOT_FOUND, ERR_IO as campaign_space(). */
MUST_CHECK enum err blueprint_make(const struct campaign *campaign, int classes, int channels,
                                   struct blueprint *blueprint);

/* Index in the plan, or -1. */
int blueprint_find_stage(const struct blueprint *blueprint, const char *name);
/* The training stage of a row of the schedule, or -1. */
int blueprint_stage_of_phase(const struct blueprint *blueprint, int phase);
/* The row of the schedule that a training stage runs. */
const struct phase *blueprint_phase(const struct blueprint *blueprint, int stage);

#endif
