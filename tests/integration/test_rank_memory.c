/* What whole ranks take: the loader, the tree of gradients, the teacher, an evaluation and a
 * checkpoint beside the training pass that tests/supernet/test_memory.c measures alone. And what
 * `plan` says of it beforehand (trainer/footprint.h): never less, and at most 15 % more. */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include "trainer/footprint.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MOST_BYTES 1.4e9

/* Anonymous memory of a process now; 0 when it is gone. */
static double anonymous_bytes(pid_t pid)
{
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtod(line + 8, NULL);
    if (file)
        fclose(file);
    return 1024 * kib;
}

/* The most that each rank took while the stages ran, added up. */
static double peak_of(struct scene *scene, const struct gang_cfg *cfg)
{
    struct program program = scene_start(scene, cfg);
    pid_t ranks[4];
    double peaks[4] = {0}, sum = 0;
    int code = 0;
    while (program_runs(&program, &code)) {
        int count = program_children(&program, ranks, 4);
        for (int i = 0; i < count; i++) {
            double bytes = anonymous_bytes(ranks[i]);
            peaks[i] = bytes > peaks[i] ? bytes : peaks[i];
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    if (code != 0)
        fail_msg("ended with %d:\n%s", code, scene_log_end(scene));
    for (int i = 0; i < 4; i++)
        sum += peaks[i];
    return sum;
}

#define OFA    "shrink.schedule=ofa", "evaluate.calibration_batch=8"
#define RANDOM "shrink.schedule=random", "evaluate.calibration_batch=200"
#define SETTINGS                                                                                   \
    "space=configs/spaces/mbv3.yaml", "resolutions=[128]", "batch.global=192", "batch.micro=64",   \
        "dataset.holdout=64", "evaluate.calibration_images=400", "shrink.epochs_scale=0.001",      \
        "search.targets=[]"

/* What `plan` says of the same campaign: its second row, or what comes behind the training. */
static void plan(const struct scene *scene, const struct gang_cfg *gang, enum stage_kind kind,
                 struct footprint *footprint)
{
    struct campaign_override sets[SCENE_MAX_SETS];
    char words[SCENE_MAX_SETS][64];
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    struct space *space = mem_alloc(sizeof *space);
    struct schedule *schedule = mem_alloc(sizeof *schedule);
    int count = 0;
    for (; count < SCENE_MAX_SETS && gang->sets[count]; count++) {
        snprintf(words[count], sizeof words[count], "%s", gang->sets[count]);
        char *equals = strchr(words[count], '=');
        *equals = '\0';
        sets[count] = (struct campaign_override){words[count], equals + 1};
    }
    if (campaign_load(scene->campaign, sets, count, campaign) != ERR_OK ||
        campaign_space(campaign, 4, 1, space) != ERR_OK)
        fail_msg("%s", err_text());
    campaign_schedule(campaign, space, schedule);
    const struct phase *phase = kind == STAGE_TRAIN ? &schedule->phases[1] : NULL;
    struct footprint_cfg cfg = {campaign, space, phase, NULL, gang->ranks, 516, 64, 60, 20};
    footprint_of(&cfg, footprint);
    mem_free(campaign);
    mem_free(space);
    mem_free(schedule);
}

static double measure(struct scene *scene, const struct gang_cfg *gang, enum stage_kind kind)
{
    struct footprint planned;
    plan(scene, gang, kind, &planned);
    double peak = peak_of(scene, gang), said = (double)planned.gang_bytes;
    print_message("%s on %d: %.0f MB of anonymous memory at most, %.0f planned, of rank 0: weights "
                  "%.0f, sums %.0f, activations %.0f (a calibration batch %.0f), images %.0f, "
                  "checkpoint %.0f, program %.0f\n",
                  gang->stages, gang->ranks, peak / 1e6, said / 1e6,
                  (double)planned.weight_bytes / 1e6, (double)planned.sum_bytes / 1e6,
                  (double)planned.activation_bytes / 1e6, (double)planned.calibration_bytes / 1e6,
                  (double)planned.image_bytes / 1e6, (double)planned.checkpoint_bytes / 1e6,
                  (double)planned.program_bytes / 1e6);
    assert_true(peak <= said);
    assert_true(said <= 1.15 * peak);
    return peak;
}

static void a_rank_of_mbv3_stays_below_its_limit(void **state)
{
    struct gang_cfg gang = {
        .run = "ofa", .ranks = 1, .stages = "teacher,kernel", .sets = {SETTINGS, OFA}};
    assert_true(measure(*state, &gang, STAGE_TRAIN) < MOST_BYTES);
}

/* In the plan's terms, which measure() holds to what is taken. */
static void bf16_takes_at_most_seven_tenths(void **state)
{
    struct gang_cfg wide = {.run = "wide", .ranks = 1, .sets = {SETTINGS, OFA}};
    struct gang_cfg narrow = {.run = "narrow",
                              .ranks = 1,
                              .stages = "teacher,kernel",
                              .sets = {SETTINGS, OFA, "precision=bf16"}};
    struct footprint of_wide, of_narrow;
    plan(*state, &wide, STAGE_TRAIN, &of_wide);
    plan(*state, &narrow, STAGE_TRAIN, &of_narrow);
    double peak = measure(*state, &narrow, STAGE_TRAIN);
    assert_true((double)of_narrow.activation_bytes <= 0.55 * (double)of_wide.activation_bytes);
    print_message("%.2f of fp32's plan\n", peak / (double)of_wide.gang_bytes);
    assert_true(peak <= 0.7 * (double)of_wide.gang_bytes);
}

static void batches_of_200_calibrate_in_the_block_of_a_step_of_64(void **state)
{
    struct gang_cfg gang = {
        .run = "one", .ranks = 1, .stages = "teacher,random", .sets = {SETTINGS, RANDOM}};
    measure(*state, &gang, STAGE_TRAIN);
    gang.stages = "evaluate"; /* and in a block of its own where nothing is trained */
    measure(*state, &gang, STAGE_EVALUATE);
}

static void two_ranks_take_what_was_planned(void **state)
{
    struct gang_cfg gang = {
        .run = "two", .ranks = 2, .stages = "teacher,random", .sets = {SETTINGS, RANDOM}};
    measure(*state, &gang, STAGE_TRAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rank_of_mbv3_stays_below_its_limit),
        cmocka_unit_test(bf16_takes_at_most_seven_tenths),
        cmocka_unit_test(batches_of_200_calibrate_in_the_block_of_a_step_of_64),
        cmocka_unit_test(two_ranks_take_what_was_planned),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
