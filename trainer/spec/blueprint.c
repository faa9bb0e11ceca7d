#include "trainer/spec/blueprint.h"
#include <string.h>

enum err blueprint_make(const struct campaign *campaign, int classes, int channels,
                        struct blueprint *blueprint)
{
    enum err err = ERR_OK;
    blueprint->campaign = campaign;
    TRY(campaign_check_images(campaign, channels));
    TRY(campaign_space(campaign, classes, channels, &blueprint->space));
    campaign_schedule(campaign, &blueprint->space, &blueprint->schedule);
    campaign_expand(campaign, &blueprint->schedule, &blueprint->plan);
out:
    return err;
}

int blueprint_find_stage(const struct blueprint *blueprint, const char *name)
{
    for (int stage = 0; stage < blueprint->plan.stage_count; stage++)
        if (strcmp(blueprint->plan.stages[stage].name, name) == 0)
            return stage;
    return -1;
}

int blueprint_stage_of_phase(const struct blueprint *blueprint, int phase)
{
    const struct plan *plan = &blueprint->plan;
    for (int i = 0; i < plan->stage_count; i++)
        if (plan->stages[i].kind == STAGE_TRAIN && plan->stages[i].phase == phase)
            return i;
    return -1;
}

const struct phase *blueprint_phase(const struct blueprint *blueprint, int stage)
{
    return &blueprint->schedule.phases[blueprint->plan.stages[stage].phase];
}
