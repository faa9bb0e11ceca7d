/* A campaign made concrete for its dataset: the space, the rows of the schedule, and whether the
 * targets can be met at all. */
#include "base/text.h"
#include "base/yaml/schema.h"
#include "trainer/spec/campaign.h"
#include "trainer/spec/cost.h"
#include <stdio.h>
#include <string.h>

/* *field: the target's key that is to blame. */
static enum err check_target(const struct space *space, const struct schedule *schedule,
                             const struct target *target, const char **field)
{
    enum err err = ERR_OK;
    struct open_choices open;
    *field = "device";
    TRY(campaign_target_choices(target, space, schedule, &open));
    struct cost least = cost_least(space, &open, space->resolutions[0]);
    *field = target_broken_bound(target, &least);
    TRY(target_check(target, space, &open));
out:
    return err;
}

/* err_text() of target number i, whose key is to blame. */
static void complain(struct yaml_errors *errors, const struct campaign *campaign, int i,
                     const char *key)
{
    const struct target *target = &campaign->targets[i];
    struct yaml_node place = {
        .source = campaign->path, .line = target->line, .column = target->column};
    char path[64];
    snprintf(path, sizeof path, "search.targets[%d].%s", i, key);
    yaml_complain(errors, &place, path, "target '%s': %s", target->name, err_text());
}

enum err campaign_check_images(const struct campaign *campaign, int channels)
{
    struct yaml_errors *errors = yaml_errors_create();
    for (int i = 0; i < campaign->target_count; i++)
        if (camera_device_check_images(&campaign->targets[i].device, channels) != ERR_OK ||
            camera_device_check_geometry(&campaign->targets[i].device,
                                         (enum geometry)campaign->dataset.geometry) != ERR_OK)
            complain(errors, campaign, i, "device");
    enum err err = yaml_errors_end(errors);
    yaml_errors_destroy(errors);
    return err;
}

/* Every target that cannot be met, in one text. */
static enum err check_targets(const struct campaign *campaign, const struct space *space)
{
    struct schedule schedule;
    struct yaml_errors *errors = yaml_errors_create();
    campaign_schedule(campaign, space, &schedule);
    for (int i = 0; i < campaign->target_count; i++) {
        const struct target *target = &campaign->targets[i];
        const char *field = NULL;
        if (check_target(space, &schedule, target, &field) == ERR_OK)
            continue;
        complain(errors, campaign, i, field);
    }
    enum err err = yaml_errors_end(errors);
    yaml_errors_destroy(errors);
    return err;
}

enum err campaign_space(const struct campaign *campaign, int classes, int channels,
                        struct space *space)
{
    enum err err = ERR_OK;
    struct space made;
    TRY(space_load(campaign->space_path, campaign->width, classes, channels, &made));
    made.dropout = campaign->optimiser.dropout;
    made.resolution_count = campaign->resolution_count;
    memset(made.resolutions, 0, sizeof made.resolutions);
    memcpy(made.resolutions, campaign->resolutions,
           (size_t)campaign->resolution_count * sizeof *made.resolutions);
    TRY(check_targets(campaign, &made));
    *space = made;
out:
    return err;
}

struct calibration_set campaign_calibration(const struct campaign *campaign, uint32_t train_images)
{
    uint32_t wanted = (uint32_t)campaign->evaluate.calibration_images;
    uint32_t batch = (uint32_t)campaign->evaluate.calibration_batch;
    uint32_t images = wanted < train_images ? wanted : train_images;
    return (struct calibration_set){.images = images,
                                    .batch = (int)(batch < images ? batch : images),
                                    .batches = (int)((images + batch - 1) / batch)};
}

void campaign_calibration_hints(const struct campaign *campaign, uint32_t train_images,
                                struct text *lines)
{
    struct calibration_set set = campaign_calibration(campaign, train_images);
    if (set.images < (uint32_t)campaign->evaluate.calibration_images)
        text_add(lines,
                 "evaluate.calibration_images %d: the data set has %u images to train on, and all "
                 "of them calibrate\n",
                 campaign->evaluate.calibration_images, train_images);
    if (set.batch < campaign->evaluate.calibration_batch)
        text_add(lines,
                 "evaluate.calibration_batch %d: only %u images calibrate, all in one batch\n",
                 campaign->evaluate.calibration_batch, set.images);
}

static void override_phase(const struct row_override *row, struct phase *phase)
{
    if (row->epochs >= 0)
        phase->epochs = row->epochs;
    if (row->warmup_epochs >= 0)
        phase->warmup_epochs = row->warmup_epochs;
    if (row->rate >= 0)
        phase->rate = row->rate;
    if (row->subnets >= 0)
        phase->subnets_per_step = row->subnets;
    if (row->distil != KEEP)
        phase->has_distillation = row->distil == KEEP_YES;
    if (row->sort != KEEP)
        phase->sorts_channels = row->sort == KEEP_YES;
    if (row->kernels.count > 0)
        phase->open.kernels = row->kernels;
    if (row->depths.count > 0)
        phase->open.depths = row->depths;
    if (row->expansions.count > 0)
        phase->open.expansions = row->expansions;
}

void campaign_schedule(const struct campaign *campaign, const struct space *space,
                       struct schedule *schedule)
{
    memset(schedule, 0, sizeof *schedule);
    schedule_open_biggest(space, &schedule->before);
    if (campaign->teacher.from[0] == 0) {
        struct phase *phase = &schedule->phases[schedule->phase_count++];
        snprintf(phase->name, sizeof phase->name, "teacher");
        schedule_open_biggest(space, &phase->open);
        phase->subnets_per_step = 1;
        phase->epochs = campaign->teacher.epochs;
        phase->warmup_epochs = campaign->teacher.warmup_epochs;
        phase->rate = campaign->teacher.rate;
    }
    schedule_append(campaign->schedule_name, space, campaign->epochs_scale, campaign->rate_scale,
                    campaign->batch.global, schedule);
    for (int i = 0; i < campaign->row_count; i++)
        for (int p = 0; p < schedule->phase_count; p++)
            if (strcmp(campaign->rows[i].name, schedule->phases[p].name) == 0)
                override_phase(&campaign->rows[i], &schedule->phases[p]);
}

/* Values of `trained` that no target's `used` has. */
static void hint_choices(const char *name, const struct choices *trained, const bool *used,
                         struct text *lines)
{
    struct text values;
    int count = 0;
    text_init(&values);
    for (int i = 0; i < trained->count; i++)
        if (!used[i])
            text_add(&values, "%s%d", count++ ? ", " : "", trained->value[i]);
    if (count > 0)
        text_add(lines,
                 "%s %s: trained, but no target's device runs %s; leave %s out of the space unless "
                 "other devices will use this network\n",
                 name, text_get(&values), count > 1 ? "them" : "it", count > 1 ? "them" : "it");
    text_fini(&values);
}

/* Whether a target's device runs its smallest sub-network at this resolution, within its bounds. */
static bool serves(const struct target *target, const struct space *space,
                   const struct open_choices *open, int resolution)
{
    struct subnet smallest;
    subnet_smallest_open(space, open, resolution, &smallest);
    struct cost cost = cost_of(space, &smallest);
    return target_fits(target, &cost) && camera_device_runs(&target->device, space, &smallest);
}

static void hint_resolutions(const struct campaign *campaign, const struct space *space,
                             const struct open_choices *opens, struct text *lines)
{
    for (int r = 0; r < space->resolution_count; r++) {
        bool is_used = false;
        for (int i = 0; i < campaign->target_count; i++)
            is_used =
                is_used || serves(&campaign->targets[i], space, &opens[i], space->resolutions[r]);
        if (!is_used) {
            text_add(lines,
                     "resolutions from %d px: trained, but even the smallest sub-network there is "
                     "over every target's budget, or breaks a rule of its device; leave them out "
                     "of resolutions\n",
                     space->resolutions[r]);
            return; /* cost grows with resolution, and so do maps */
        }
    }
}

/* What the images themselves cannot repay. */
static void hint_images(const struct space *space, int image_side, struct text *lines)
{
    if (space->resolutions[space->resolution_count - 1] > image_side)
        text_add(lines,
                 "resolutions above %d px: no image is stored larger, so these cost more and show "
                 "nothing new; leave them out of resolutions, or import the images larger\n",
                 image_side);
    if (space->classes < 2)
        text_add(lines, "one class: there is nothing to tell apart; every sub-network will be "
                        "right on every image\n");
}

void campaign_hints(const struct campaign *campaign, const struct space *space,
                    const struct schedule *schedule, int image_side, struct text *lines)
{
    struct open_choices opens[CAMPAIGN_MAX_TARGETS];
    bool kernels[SPACE_MAX_CHOICES] = {false}, expansions[SPACE_MAX_CHOICES] = {false};
    struct open_choices trained;
    hint_images(space, image_side, lines);
    if (campaign->target_count == 0 || schedule->phase_count == 0)
        return;
    for (int i = 0; i < campaign->target_count; i++)
        if (campaign_target_choices(&campaign->targets[i], space, schedule, &opens[i]) != ERR_OK)
            return; /* campaign_space() has refused this already */
    schedule_trained(schedule, space, &trained);
    for (int i = 0; i < campaign->target_count; i++) {
        for (int k = 0; k < trained.kernels.count; k++)
            kernels[k] =
                kernels[k] || choices_find(&opens[i].kernels, trained.kernels.value[k]) >= 0;
        for (int e = 0; e < trained.expansions.count; e++)
            expansions[e] = expansions[e] ||
                            choices_find(&opens[i].expansions, trained.expansions.value[e]) >= 0;
    }
    hint_choices("kernels", &trained.kernels, kernels, lines);
    hint_choices("expansions", &trained.expansions, expansions, lines);
    hint_resolutions(campaign, space, opens, lines);
}
