#include "trainer/spec/lr_schedule.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct schedule two_phases(void)
{
    struct schedule schedule = {.phase_count = 2};
    schedule.phases[0] = (struct phase){.name = "teacher", .epochs = 2.5, .rate = 0.8};
    schedule.phases[1] =
        (struct phase){.name = "kernel", .epochs = 3, .warmup_epochs = 0.5, .rate = 0.32};
    return schedule;
}

static struct lr_schedule made(int phase, uint32_t images, int batch)
{
    struct schedule schedule = two_phases();
    struct lr_schedule lr_schedule;
    assert_int_equal(lr_schedule_of(&schedule, phase, images, batch, &lr_schedule), ERR_OK);
    return lr_schedule;
}

static void the_tail_of_the_permutation_is_left_out(void **state)
{
    (void)state;
    struct lr_schedule lr_schedule = made(0, 1099, 100);
    assert_int_equal(lr_schedule.steps_per_epoch, 10);
    assert_int_equal(lr_schedule.steps, 25);
    assert_int_equal(lr_schedule.first_step, 0);
}

static void a_stage_begins_where_the_one_before_ended(void **state)
{
    (void)state;
    struct lr_schedule lr_schedule = made(1, 1000, 100);
    assert_int_equal(lr_schedule.first_step, 25);
    assert_int_equal(lr_schedule.first_epoch, 3); /* a begun epoch is used up */
    assert_int_equal(lr_schedule.warmup, 5);
    assert_int_equal(lr_schedule.steps, 35);
}

static void images_that_do_not_fill_a_batch_are_refused(void **state)
{
    (void)state;
    struct schedule schedule = two_phases();
    struct lr_schedule lr_schedule;
    assert_int_equal(lr_schedule_of(&schedule, 0, 99, 100, &lr_schedule), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "99 training images"));
}

/* OFA reference file, sec. 4.1: lr = (t + 1) / Tw (lr0 - lrw) + lrw, then lr0 / 2 (1 + cos(pi t /
 * T)). */
static void the_rate_warms_up_linearly_and_falls_as_a_cosine(void **state)
{
    (void)state;
    struct schedule schedule = two_phases();
    const struct phase *phase = &schedule.phases[1];
    struct lr_schedule lr_schedule = made(1, 1000, 100);
    const double wanted[][2] = {
        {0, 0.01 + 0.31 / 5}, {1, 0.01 + 0.31 * 2 / 5}, {4, 0.32}, {5, 0.32}, {20, 0.16}};
    for (int i = 0; i < 5; i++) {
        double rate = lr_schedule_rate(&lr_schedule, phase, (uint64_t)wanted[i][0]);
        if (fabs(rate - wanted[i][1]) > 1e-12)
            fail_msg("step %g: rate %.15g, wanted %.15g", wanted[i][0], rate, wanted[i][1]);
    }
    double last = lr_schedule_rate(&lr_schedule, phase, lr_schedule.steps - 1);
    double by_hand = 0.16 * (1 + cos(3.14159265358979323846 * 29 / 30));
    if (fabs(last - by_hand) > 1e-15)
        fail_msg("last step: rate %.15g, wanted %.15g", last, by_hand);
    for (uint64_t step = 6; step < lr_schedule.steps; step++)
        assert_true(lr_schedule_rate(&lr_schedule, phase, step) <
                    lr_schedule_rate(&lr_schedule, phase, step - 1));
}

static void what_is_due_every_so_many_epochs_is_due_that_often(void **state)
{
    (void)state;
    struct lr_schedule lr_schedule = made(0, 1000, 100);
    int whole = 0, fraction = 0, never = 0;
    for (uint64_t step = 0; step <= 30; step++) {
        whole += lr_schedule_is_due(&lr_schedule, 1, step);
        fraction += lr_schedule_is_due(&lr_schedule, 0.25, step);
        never += lr_schedule_is_due(&lr_schedule, 0, step);
    }
    assert_int_equal(whole, 3);
    assert_int_equal(fraction, 12);
    assert_int_equal(never, 0);
    assert_true(lr_schedule_is_due(&lr_schedule, 1, 10));
    assert_false(lr_schedule_is_due(&lr_schedule, 1, 11));
}

static void every_resolution_is_drawn_and_each_step_has_one(void **state)
{
    (void)state;
    struct space *space = &(struct space){.resolution_count = 3, .resolutions = {20, 24, 28}};
    int counts[3] = {0};
    for (uint64_t step = 0; step < 3000; step++) {
        int resolution = lr_schedule_resolution(space, 7, step);
        assert_int_equal(resolution, lr_schedule_resolution(space, 7, step));
        counts[(resolution - 20) / 4]++;
    }
    for (int i = 0; i < 3; i++)
        assert_in_range(counts[i], 900, 1100);
}

static struct choices sorted_within(const struct schedule *schedule, const struct space *space,
                                    const char *name)
{
    struct open_choices open;
    for (int i = 0; i < schedule->phase_count; i++)
        if (strcmp(schedule->phases[i].name, name) == 0) {
            assert_true(schedule->phases[i].sorts_channels);
            schedule_trained_before(schedule, space, &schedule->phases[i], &open);
            return open.expansions;
        }
    fail_msg("no phase %s", name);
    return (struct choices){0};
}

/* What a sort may not disturb is what was open before, however many are opened at once. */
static void channels_are_sorted_within_the_widths_trained_before(void **state)
{
    (void)state;
    struct space space;
    struct schedule ofa = {0}, at_once = {0};
    assert_int_equal(space_load("configs/spaces/firefly-tiny.yaml", 1, 10, 1, &space), ERR_OK);
    schedule_append("ofa", &space, 1, 1, 2048, &ofa);
    schedule_append("random", &space, 1, 1, 2048, &at_once);
    struct choices one = sorted_within(&ofa, &space, "width-1");
    struct choices two = sorted_within(&ofa, &space, "width-2");
    struct choices first = sorted_within(&at_once, &space, "random");
    assert_true(one.count == 1 && one.value[0] == 4);
    assert_true(two.count == 2 && two.value[0] == 3 && two.value[1] == 4);
    assert_true(first.count == 1 && first.value[0] == 4);
    space.expansions = (struct choices){4, {2, 3, 4, 6}}; /* width-2 opens two at once */
    ofa = (struct schedule){0};
    schedule_append("ofa", &space, 1, 1, 2048, &ofa);
    two = sorted_within(&ofa, &space, "width-2");
    assert_true(two.count == 2 && two.value[0] == 4 && two.value[1] == 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tail_of_the_permutation_is_left_out),
        cmocka_unit_test(a_stage_begins_where_the_one_before_ended),
        cmocka_unit_test(images_that_do_not_fill_a_batch_are_refused),
        cmocka_unit_test(the_rate_warms_up_linearly_and_falls_as_a_cosine),
        cmocka_unit_test(what_is_due_every_so_many_epochs_is_due_that_often),
        cmocka_unit_test(every_resolution_is_drawn_and_each_step_has_one),
        cmocka_unit_test(channels_are_sorted_within_the_widths_trained_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
