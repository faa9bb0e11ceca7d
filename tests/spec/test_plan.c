/* Schedules, stages and what a plan points out. */
#include "base/file.h"
#include "base/mem.h"
#include "tests/spec/made.h"
#include "tests/spec/spec_test.h"
#include <stdio.h>
#include <string.h>

static void check_phase(const struct phase *phase, const char *name, int subnets, double epochs,
                        double warmup, double rate)
{
    assert_string_equal(phase->name, name);
    if (phase->subnets_per_step != subnets || phase->epochs != epochs ||
        phase->warmup_epochs != warmup || phase->rate < 0.999999 * rate ||
        phase->rate > 1.000001 * rate)
        fail_msg("%s: %d sub-networks, %g + %g epochs, rate %g; expected %d, %g + %g, %g", name,
                 phase->subnets_per_step, phase->epochs, phase->warmup_epochs, phase->rate, subnets,
                 epochs, warmup, rate);
}

static void progressive_shrinking_is_the_papers_table(void **state)
{
    (void)state;
    struct made made;
    const struct campaign_override full[] = {{"batch.global", "2048"}};
    made_from(full, 1, &made);
    const struct phase *phase = made.schedule.phases;
    assert_int_equal(made.schedule.phase_count, 6);
    check_phase(&phase[0], "teacher", 1, 180, 5, 2.6);
    check_phase(&phase[1], "kernel", 1, 120, 5, 0.96);
    check_phase(&phase[2], "depth-1", 2, 25, 0, 0.08);
    check_phase(&phase[3], "depth-2", 2, 120, 5, 0.24);
    check_phase(&phase[4], "width-1", 4, 25, 0, 0.08);
    check_phase(&phase[5], "width-2", 4, 120, 5, 0.24);
    const int kernels[] = {1, 3, 3, 3, 3, 3}, depths[] = {1, 1, 2, 3, 3, 3};
    const int expansions[] = {1, 1, 1, 1, 2, 3};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(phase[i].open.kernels.count, kernels[i]);
        assert_int_equal(phase[i].open.depths.count, depths[i]);
        assert_int_equal(phase[i].open.expansions.count, expansions[i]);
        assert_int_equal(choices_max(&phase[i].open.depths), 3); /* the biggest stays open */
        assert_int_equal(phase[i].has_distillation, i > 0);
        assert_int_equal(phase[i].sorts_channels, i >= 4);
    }
    assert_int_equal(phase[2].open.depths.value[0], 2); /* the two largest */
    assert_int_equal(phase[4].open.expansions.value[0], 3);
}

static void rates_follow_the_batch_and_scales_the_rows(void **state)
{
    (void)state;
    struct made made;
    const struct campaign_override some[] = {
        {"shrink.epochs_scale", "0.1"},
        {"shrink.rate_scale", "2"},
        {"teacher.epochs", "4"},
        {"teacher.rate", "0.2"},
        {"shrink.rows", "{kernel: {epochs: 3, rate: 0.5}, width-2: {subnets: 2, sort: no, distil: "
                        "no, kernels: [3], warmup: 0}}"}};
    made_from(some, 5, &made); /* batch 256: an eighth of 2048 */
    check_phase(&made.schedule.phases[0], "teacher", 1, 4, 4.0 / 36, 0.2);
    check_phase(&made.schedule.phases[1], "kernel", 1, 3, 0.5, 0.5);
    check_phase(&made.schedule.phases[2], "depth-1", 2, 2.5, 0, 0.02);
    check_phase(&made.schedule.phases[5], "width-2", 2, 12, 0, 0.06);
    assert_false(made.schedule.phases[5].has_distillation);
    assert_false(made.schedule.phases[5].sorts_channels);
    assert_int_equal(made.schedule.phases[5].open.kernels.count, 1);
}

static void rows_with_nothing_to_open_are_left_out(void **state)
{
    (void)state;
    static const struct {
        struct choices kernels, expansions, depths;
        const char *names;
    } rows[] = {
        {{3, {3, 5, 7}}, {3, {3, 4, 6}}, {3, {2, 3, 4}}, "kernel depth-1 depth-2 width-1 width-2 "},
        {{1, {3}}, {3, {3, 4, 6}}, {3, {2, 3, 4}}, "depth-1 depth-2 width-1 width-2 "},
        {{2, {3, 5}}, {2, {3, 6}}, {2, {1, 2}}, "kernel depth-2 width-2 "},
        {{1, {3}}, {1, {6}}, {4, {1, 2, 3, 4}}, "depth-1 depth-2 "},
        {{1, {3}}, {1, {6}}, {1, {2}}, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct space space;
        struct schedule schedule = {0};
        char names[128] = "";
        assert_ok(space_load("configs/spaces/firefly-tiny.yaml", 1, 10, 1, &space));
        space.kernels = rows[i].kernels;
        space.expansions = rows[i].expansions;
        space.depths = rows[i].depths;
        schedule_append("ofa", &space, 1, 1, 2048, &schedule);
        for (int p = 0; p < schedule.phase_count; p++)
            snprintf(names + strlen(names), sizeof names - strlen(names), "%s ",
                     schedule.phases[p].name);
        assert_string_equal(names, rows[i].names);
        if (schedule.phase_count > 0 && rows[i].expansions.count == 2)
            assert_int_equal(schedule.phases[2].open.expansions.count, 2);
    }
}

static void the_random_schedule_opens_everything_at_once(void **state)
{
    (void)state;
    struct made made;
    const struct campaign_override random[] = {{"shrink.schedule", "random"}};
    made_from(random, 1, &made);
    assert_int_equal(made.schedule.phase_count, 2);
    assert_string_equal(made.plan.stages[1].name, "random");
    assert_int_equal(made.schedule.phases[1].open.kernels.count, 3);
    assert_int_equal(made.schedule.phases[1].open.depths.count, 3);
}

static void stages_depend_on_what_they_start_from(void **state)
{
    (void)state;
    struct made made;
    made_from(NULL, 0, &made);
    const char *names[] = {"teacher",       "kernel",       "depth-1",     "depth-2",
                           "width-1",       "width-2",      "evaluate",    "search",
                           "compile-small", "compile-best", "check-small", "report"};
    assert_int_equal(made.plan.stage_count, 12);
    for (int i = 0; i < 12; i++) {
        const struct stage_plan *stage = &made.plan.stages[i];
        assert_string_equal(stage->name, names[i]);
        for (int d = 0; d < stage->dependency_count; d++)
            assert_true(stage->dependencies[d] < i);
    }
    assert_int_equal(made.plan.stages[0].dependency_count, 0);
    assert_int_equal(made.plan.stages[3].dependencies[0], 2); /* starts from depth-1 */
    assert_int_equal(made.plan.stages[3].dependencies[1], 0); /* distils from the teacher */
    assert_int_equal(made.plan.stages[6].dependencies[0], 5);
    assert_int_equal(made.plan.stages[7].dependencies[0], 5);
    assert_int_equal(made.plan.stages[9].dependencies[0], 7);
    assert_int_equal(made.plan.stages[9].target, 1);
    assert_int_equal(made.plan.stages[10].dependencies[0], 8); /* "best" is for any device */
    assert_int_equal(made.plan.stages[10].target, 0);
    assert_int_equal(made.plan.stages[11].dependency_count, 5);
    assert_int_equal(made.plan.stages[11].target, -1);
}

/* One camera is one stage's at a time; simulated ones are as many as there are targets. */
static void a_target_with_a_camera_is_validated_behind_its_check(void **state)
{
    (void)state;
    struct made made, bare, moved;
    const struct campaign_override with[] = {
        {"search.targets",
         "[{name: a, device: firefly-dl-mono, camera: '20012345'}, {name: b, camera: "
         "'20012345'}, {name: c, camera: simulated}, {name: d, camera: simulated}]"}};
    const struct campaign_override without[] = {
        {"search.targets",
         "[{name: a, device: firefly-dl-mono}, {name: b}, {name: c}, {name: d}]"}};
    const struct campaign_override other[] = {
        {"search.targets",
         "[{name: a, device: firefly-dl-mono, camera: '7'}, {name: b, camera: "
         "'20012345'}, {name: c, camera: simulated}, {name: d, camera: simulated}]"}};
    made_from(with, 1, &made);
    made_from(without, 1, &bare);
    made_from(other, 1, &moved);
    const struct stage_plan *stages = made.plan.stages;
    const char *names[] = {"compile-a",  "compile-b",  "compile-c",  "compile-d", "check-a",
                           "validate-a", "validate-b", "validate-c", "validate-d"};
    assert_int_equal(made.plan.stage_count, 18);
    for (int i = 0; i < 9; i++)
        assert_string_equal(stages[8 + i].name, names[i]);
    assert_int_equal(stages[13].dependencies[0], 12);
    assert_int_equal(stages[14].dependencies[0], 9); /* "b" has no check */
    assert_int_equal(stages[14].dependencies[1], 13);
    assert_int_equal(stages[16].dependency_count, 1);
    assert_int_equal(stages[17].dependency_count, 11);
    for (int i = 0; i < 13; i++) /* what was trained and compiled does not depend on it */
        assert_true(hash_equal(&made.keys[i], &bare.keys[i]));
    assert_false(hash_equal(&made.keys[13], &moved.keys[13]));
    assert_true(hash_equal(&made.keys[15], &moved.keys[15]));
}

static void a_given_teacher_is_not_trained(void **state)
{
    (void)state;
    struct made made, other;
    const struct campaign_override from[] = {{"teacher.from", "runs/a/checkpoints@teacher/final"}};
    const struct campaign_override moved[] = {{"teacher.from", "elsewhere@teacher/final"}};
    made_from(from, 1, &made);
    made_from(moved, 1, &other);
    assert_string_equal(made.plan.stages[0].name, "kernel");
    assert_int_equal(made.plan.stages[0].dependency_count, 0);
    assert_int_equal(made.plan.stages[1].dependency_count, 1);
    assert_true(hash_equal(&made.keys[0], &other.keys[0])); /* its place does not count */
    made_key(&other, "dataset", "another content");
    for (int i = 0; i < made.plan.stage_count; i++)
        assert_false(hash_equal(&made.keys[i], &other.keys[i]));
}

/* Writes a space of a single sub-network into the folder. */
static void write_single(char space[80])
{
    char *bytes = NULL;
    size_t size = 0;
    assert_ok(file_read("configs/spaces/firefly-tiny.yaml", 65536, &bytes, &size));
    memcpy(strstr(bytes, "[3, 5, 7]"), "[7]      ", 9);
    memcpy(strstr(bytes, "[2, 3, 4]"), "[4]      ", 9);
    memcpy(strstr(bytes, "[1, 2, 3]"), "[3]      ", 9);
    snprintf(space, 80, "%s/single.yaml", made_folder());
    assert_ok(file_write(space, bytes, size));
    mem_free(bytes);
}

static void a_given_teacher_with_nothing_to_open_is_evaluated_and_searched(void **state)
{
    (void)state;
    struct made made, other;
    struct open_choices open;
    char space[80];
    write_single(space);
    const struct campaign_override single[] = {{"space", space},
                                               {"teacher.from", "runs/a@teacher/final"},
                                               {"search.targets", "[{name: best}]"},
                                               {"dataset.holdout", "5000"}};
    struct campaign_override fewer[4];
    memcpy(fewer, single, sizeof fewer);
    fewer[3].value = "4000";
    made_from(single, 4, &made);
    assert_int_equal(made.schedule.phase_count, 0);
    assert_string_equal(made.plan.stages[0].name, "evaluate");
    schedule_trained(&made.schedule, &made.space, &open);
    assert_int_equal(open.kernels.value[0], 7);
    made_from(fewer, 4, &other); /* other images are held out: nothing of it may be taken over */
    for (int i = 0; i < made.plan.stage_count; i++)
        assert_false(hash_equal(&made.keys[i], &other.keys[i]));
}

static void a_target_draws_only_what_the_last_row_trains(void **state)
{
    (void)state;
    struct made made;
    struct open_choices open;
    const struct campaign_override rows[] = {
        {"shrink.rows", "{width-2: {expansions: [3, 4], kernels: [3, 7]}}"}};
    made_from(rows, 1, &made);
    assert_ok(
        campaign_target_choices(&made.campaign.targets[1], &made.space, &made.schedule, &open));
    assert_int_equal(choices_min(&open.expansions), 3);
    assert_int_equal(open.kernels.count, 2);
    assert_int_equal(open.depths.count, 3);
}

static void wasted_training_is_pointed_out(void **state)
{
    (void)state;
    struct made made;
    struct text lines;
    text_init(&lines);
    const struct campaign_override camera[] = {
        {"search.targets", "[{name: a, device: firefly-dl-mono, macs: 0.45M}]"}};
    made_from(NULL, 0, &made); /* target "best" takes any device and any cost */
    campaign_hints(&made.campaign, &made.space, &made.schedule, 28, &lines);
    assert_string_equal(text_get(&lines), "");
    made_from(camera, 1, &made);
    campaign_hints(&made.campaign, &made.space, &made.schedule, 28, &lines);
    assert_non_null(strstr(text_get(&lines), "kernels 5, 7: trained, but no target's device"));
    assert_non_null(strstr(text_get(&lines), "resolutions from 28 px: trained, but even the"));
    assert_null(strstr(text_get(&lines), "expansions"));
    assert_null(strstr(text_get(&lines), "no image is stored larger"));
    campaign_hints(&made.campaign, &made.space, &made.schedule, 24, &lines);
    assert_non_null(strstr(text_get(&lines), "resolutions above 24 px: no image is stored larger"));
    text_fini(&lines);
}

static void check_set(const char *images, const char *batch, uint32_t train,
                      struct calibration_set wanted, const char *hints)
{
    struct made made;
    struct text lines;
    const struct campaign_override sets[] = {{"evaluate.calibration_images", images},
                                             {"evaluate.calibration_batch", batch}};
    made_from(sets, 2, &made);
    struct calibration_set set = campaign_calibration(&made.campaign, train);
    assert_int_equal(set.images, wanted.images);
    assert_int_equal(set.batch, wanted.batch);
    assert_int_equal(set.batches, wanted.batches);
    text_init(&lines);
    campaign_calibration_hints(&made.campaign, train, &lines);
    assert_string_equal(text_get(&lines), hints);
    text_fini(&lines);
}

static void calibration_batches_are_full_and_the_last_has_what_is_left(void **state)
{
    (void)state;
    struct made made;
    made_from(NULL, 0, &made);
    assert_int_equal(made.campaign.evaluate.calibration_batch, 200); /* the reference's */
    check_set("2000", "200", 55000, (struct calibration_set){2000, 200, 10}, "");
    check_set("2001", "200", 55000, (struct calibration_set){2001, 200, 11}, "");
    check_set("200", "200", 200, (struct calibration_set){200, 200, 1}, "");
}

static void a_calibration_smaller_than_asked_for_is_said(void **state)
{
    (void)state;
    check_set("40", "200", 55000, (struct calibration_set){40, 40, 1},
              "evaluate.calibration_batch 200: only 40 images calibrate, all in one batch\n");
    check_set("2000", "200", 500, (struct calibration_set){500, 200, 3},
              "evaluate.calibration_images 2000: the data set has 500 images to train on, and all "
              "of them calibrate\n");
    check_set("2000", "200", 90, (struct calibration_set){90, 90, 1},
              "evaluate.calibration_images 2000: the data set has 90 images to train on, and all "
              "of them calibrate\n"
              "evaluate.calibration_batch 200: only 90 images calibrate, all in one batch\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progressive_shrinking_is_the_papers_table),
        cmocka_unit_test(rates_follow_the_batch_and_scales_the_rows),
        cmocka_unit_test(rows_with_nothing_to_open_are_left_out),
        cmocka_unit_test(the_random_schedule_opens_everything_at_once),
        cmocka_unit_test(stages_depend_on_what_they_start_from),
        cmocka_unit_test(a_target_with_a_camera_is_validated_behind_its_check),
        cmocka_unit_test(a_given_teacher_is_not_trained),
        cmocka_unit_test(a_given_teacher_with_nothing_to_open_is_evaluated_and_searched),
        cmocka_unit_test(a_target_draws_only_what_the_last_row_trains),
        cmocka_unit_test(wasted_training_is_pointed_out),
        cmocka_unit_test(calibration_batches_are_full_and_the_last_has_what_is_left),
        cmocka_unit_test(a_calibration_smaller_than_asked_for_is_said),
    };
    return cmocka_run_group_tests(tests, made_setup, made_teardown);
}
