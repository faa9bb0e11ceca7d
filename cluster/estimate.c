#include "cluster/estimate.h"
#include "base/rng.h"
#include "cluster/check/check.h"
#include "trainer/compile.h"
#include "trainer/evaluate/grid.h"
#include "trainer/export/bundle_cfg.h"
#include "trainer/spec/cost.h"
#include "trainer/spec/lr_schedule.h"
#include <string.h>

#define SAMPLES  64  /* sub-networks whose mean cost stands for all a phase draws */
#define BACKWARD 2.0 /* a backward pass costs two forward ones: weights and inputs */
/* Multiply-accumulates per second and thread: what firefly-tiny reached on one AVX-512 machine
 * (2.2e10), rounded down. */
#define ASSUMED_RATE 1.5e10
#define HOST_SECONDS 1.0 /* compile, report */
/* Multiply-accumulates per second and thread of a check, over its three arithmetics: 1.6e9 on a
 * network of 320 million (docs/benchmarks.md), rounded down. */
#define CHECK_RATE 1.5e9

/* Mean over sub-networks and resolutions. */
static double mean_macs(const struct campaign_run *run, const struct open_choices *open)
{
    double sum = 0;
    const struct space *space = &run->space;
    for (int i = 0; i < SAMPLES; i++) {
        struct subnet subnet;
        subnet_sample(space, open, 0, (uint64_t)i, 0, &subnet);
        subnet.resolution =
            space->resolutions[(size_t)i * (size_t)space->resolution_count / SAMPLES];
        sum += (double)cost_of(space, &subnet).macs;
    }
    return sum / SAMPLES;
}

static double biggest_macs(const struct campaign_run *run)
{
    double sum = 0;
    struct subnet subnet;
    for (int i = 0; i < run->space.resolution_count; i++) {
        subnet_biggest(&run->space, run->space.resolutions[i], &subnet);
        sum += (double)cost_of(&run->space, &subnet).macs;
    }
    return sum / run->space.resolution_count;
}

static double evaluation_images(const struct campaign_run *run)
{
    return campaign_calibration(&run->campaign, run->train_images).images +
           (double)run->holdout_images;
}

/* Measuring a phase's grid once. */
static double grid_macs(const struct campaign_run *run, const struct open_choices *open)
{
    double sum = 0;
    struct grid grid;
    grid_of(&run->space, open, run->space.resolutions[run->space.resolution_count - 1], &grid);
    for (int i = 0; i < grid.count; i++)
        sum += (double)cost_of(&run->space, &grid.rows[i].subnet).macs;
    return sum * evaluation_images(run);
}

static enum err estimate_training(const struct campaign_run *run, int phase_index,
                                  struct stage_estimate *estimate)
{
    enum err err = ERR_OK;
    const struct phase *phase = &run->schedule.phases[phase_index];
    struct lr_schedule lr_schedule;
    TRY(lr_schedule_of(&run->schedule, phase_index, run->train_images, run->campaign.batch.global,
                       &lr_schedule));
    double image = phase->subnets_per_step * mean_macs(run, &phase->open) * (1 + BACKWARD);
    if (phase->has_distillation)
        image += biggest_macs(run);
    double every = run->campaign.evaluate.every_epochs;
    double evaluations = 1 + (phase_index > 0); /* after, and before every shrinking phase */
    if (every > 0)
        evaluations += phase->epochs / every;
    estimate->steps = lr_schedule.steps;
    estimate->macs = (double)lr_schedule.steps * run->campaign.batch.global * image +
                     evaluations * grid_macs(run, &phase->open);
out:
    return err;
}

static double search_macs(const struct campaign_run *run, const struct open_choices *trained)
{
    double mean = mean_macs(run, trained);
    double targets = run->campaign.target_count * (double)run->test_images;
    return mean * (run->campaign.search.evaluations * evaluation_images(run) + targets);
}

/* Each image in three arithmetics, each sample in every format and as a frame. */
static double check_seconds(const struct campaign_run *run, const struct target *target)
{
    struct open_choices trained;
    schedule_trained(&run->schedule, &run->space, &trained);
    double macs = mean_macs(run, &trained), images = run->campaign.check.images;
    if (target->macs_max > 0 && target->macs_max < macs)
        macs = target->macs_max;
    if (run->holdout_images > 0 && run->holdout_images < images)
        images = run->holdout_images;
    double passes = ARITHMETICS * images + (CHECK_FORMATS + BUNDLE_EXPECTED) * COMPILE_SAMPLES;
    return HOST_SECONDS + passes * macs / (CHECK_RATE * run->campaign.resources.threads);
}

static double host_seconds(const struct campaign_run *run, const struct graph_stage *stage)
{
    return stage->kind == STAGE_CHECK ? check_seconds(run, &run->campaign.targets[stage->target])
                                      : HOST_SECONDS;
}

static enum err estimate_stage(const struct campaign_run *run, int stage, int phase,
                               struct stage_estimate *estimate)
{
    struct open_choices trained;
    schedule_trained(&run->schedule, &run->space, &trained);
    switch (run->graph.stages[stage].kind) {
    case STAGE_TRAIN:
        return estimate_training(run, phase, estimate);
    case STAGE_EVALUATE: /* the grid again, and on the test images */
        estimate->macs =
            grid_macs(run, &trained) * (1 + run->test_images / (evaluation_images(run) + 1));
        return ERR_OK;
    case STAGE_SEARCH:
        estimate->macs = search_macs(run, &trained);
        return ERR_OK;
    case STAGE_COMPILE:
    case STAGE_CHECK:
    case STAGE_VALIDATE:
    case STAGE_REPORT:
        break;
    }
    return ERR_OK;
}

/* The rate of the training stages this run has finished. */
static void find_rate(const struct campaign_run *run, const struct survey *survey,
                      struct run_estimate *estimate)
{
    double macs = 0, seconds = 0;
    for (int i = 0; i < survey->count; i++) {
        const struct stage_record *record = &survey->stages[i].record;
        bool is_training = run->graph.stages[i].kind == STAGE_TRAIN;
        if (is_training && survey->stages[i].verdict == SURVEY_DONE && record->seconds > 0) {
            macs += estimate->stages[i].macs;
            seconds += record->seconds;
        }
    }
    int threads = run->campaign.resources.ranks * run->campaign.resources.threads;
    estimate->is_measured = seconds > 1;
    estimate->macs_per_second =
        estimate->is_measured ? macs / seconds : ASSUMED_RATE * (threads > 0 ? threads : 1);
}

enum err estimate_run(const struct campaign_run *run, const struct survey *survey,
                      struct run_estimate *estimate)
{
    enum err err = ERR_OK;
    memset(estimate, 0, sizeof *estimate);
    for (int i = 0, phase = 0; i < run->graph.count; i++) {
        TRY(estimate_stage(run, i, phase, &estimate->stages[i]));
        phase += run->graph.stages[i].kind == STAGE_TRAIN;
    }
    find_rate(run, survey, estimate);
    for (int i = 0; i < run->graph.count; i++) {
        const struct survey_stage *state = &survey->stages[i];
        struct stage_estimate *stage = &estimate->stages[i];
        double left = state->verdict == SURVEY_DONE ? 0 : 1;
        if (state->verdict == SURVEY_PARTIAL && stage->steps > 0)
            left = 1 - (double)state->record.step / (double)stage->steps;
        stage->seconds =
            left * (run->graph.stages[i].is_host ? host_seconds(run, &run->graph.stages[i])
                                                 : stage->macs / estimate->macs_per_second);
        estimate->seconds += stage->seconds;
    }
out:
    return err;
}
