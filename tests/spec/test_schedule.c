/* Which rows of a schedule train kernel matrices. */
#include "tests/spec/spec_test.h"
#include "trainer/spec/campaign.h"
#include <stdio.h>
#include <string.h>

struct row { /* the kernels that a row of the table opens instead of its own */
    const char *name;
    struct choices kernels;
};

/* One digit a phase: whether it trains kernel matrices. */
static void check(const struct space *space, struct campaign *campaign, const struct row *rows,
                  int count, const char *wanted)
{
    struct schedule schedule;
    char found[SCHEDULE_MAX_PHASES + 1] = "";
    campaign->row_count = count;
    for (int i = 0; i < count; i++) {
        campaign->rows[i] = (struct row_override){.epochs = -1,
                                                  .warmup_epochs = -1,
                                                  .rate = -1,
                                                  .subnets = -1,
                                                  .kernels = rows[i].kernels};
        snprintf(campaign->rows[i].name, sizeof campaign->rows[i].name, "%s", rows[i].name);
    }
    campaign_schedule(campaign, space, &schedule);
    for (int i = 0; i < schedule.phase_count; i++) {
        const struct phase *phase = &schedule.phases[i];
        found[i] = schedule_trains_matrices(&schedule, space, phase) ? '1' : '0';
    }
    assert_string_equal(found, wanted);
}

static struct campaign plain(void)
{
    return (struct campaign){.schedule_name = "ofa", .epochs_scale = 1, .rate_scale = 1};
}

static struct space tiny(void)
{
    struct space space;
    assert_ok(space_load("configs/spaces/firefly-tiny.yaml", 1, 10, 1, &space));
    return space;
}

static void kernel_matrices_rest_until_a_row_opens_a_smaller_kernel(void **state)
{
    (void)state;
    struct campaign campaign = plain();
    struct space space = tiny();
    const struct choices seven = {1, {7}}, five = {1, {5}}, two = {2, {5, 7}};
    const struct row none[] = {
        {"kernel", seven}, {"depth-1", seven}, {"depth-2", seven}, {"width-1", seven}};
    const struct row late[] = {{"kernel", seven}, {"depth-1", seven}, {"width-1", seven}};
    const struct row early[] = {
        {"kernel", two}, {"depth-1", seven}, {"depth-2", seven}, {"width-1", seven}};
    const struct row without_largest[] = {{"kernel", five}};
    check(&space, &campaign, NULL, 0, "011111");
    check(&space, &campaign, none, 4, "000001");
    check(&space, &campaign, late, 3, "000111"); /* trained before width-1 */
    check(&space, &campaign, early, 4, "011111");
    check(&space, &campaign, without_largest, 1, "011111");
}

static void a_given_teacher_s_first_row_may_train_matrices(void **state)
{
    (void)state;
    struct campaign campaign = plain();
    struct space space = tiny();
    const struct row seven = {"kernel", {1, {7}}};
    snprintf(campaign.teacher.from, sizeof campaign.teacher.from, "runs/a@teacher/final");
    check(&space, &campaign, NULL, 0, "11111");
    check(&space, &campaign, &seven, 1, "01111");
    snprintf(campaign.schedule_name, sizeof campaign.schedule_name, "random");
    check(&space, &campaign, NULL, 0, "1");
}

/* A supernet that was shrunk already, and a row that closes its smaller kernels. */
static void a_given_supernet_s_matrices_are_awake(void **state)
{
    (void)state;
    struct campaign campaign = plain();
    struct space space = tiny();
    struct schedule schedule;
    struct open_choices trained = {space.kernels, space.expansions, space.depths};
    snprintf(campaign.teacher.from, sizeof campaign.teacher.from, "runs/a@width-2/final");
    campaign_schedule(&campaign, &space, &schedule);
    schedule.phases[0].open.kernels = (struct choices){1, {7}};
    assert_false(schedule_trains_matrices(&schedule, &space, &schedule.phases[0]));
    assert_ok(schedule_give(&schedule, &space, &trained));
    assert_true(schedule_trains_matrices(&schedule, &space, &schedule.phases[0]));
    space.kernels = (struct choices){1, {7}}; /* taken up by a space that has no matrices */
    assert_false(schedule_trains_matrices(&schedule, &space, &schedule.phases[0]));
}

static void matrices_are_trained_only_where_the_space_has_them(void **state)
{
    (void)state;
    struct campaign campaign = plain();
    struct space space = tiny();
    space.has_kernel_transform = false;
    check(&space, &campaign, NULL, 0, "000000");
    space.has_kernel_transform = true;
    space.kernels = (struct choices){2, {3, 5}}; /* the largest need not be 7 */
    check(&space, &campaign, NULL, 0, "011111");
    space.kernels = (struct choices){1, {7}}; /* and no kernel phase */
    check(&space, &campaign, NULL, 0, "00000");
}

/* Stage keys: a teacher is not trained again for a decay that it has no use for. */
static void the_decay_of_matrices_is_an_input_where_they_are_trained(void **state)
{
    (void)state;
    struct campaign campaign = plain();
    struct space space = tiny();
    for (int has_matrices = 0; has_matrices <= 1; has_matrices++) {
        struct schedule schedule;
        struct plan plan;
        space.has_kernel_transform = has_matrices == 1;
        campaign_schedule(&campaign, &space, &schedule);
        campaign_expand(&campaign, &schedule, &plan);
        for (int i = 0; i < schedule.phase_count; i++) { /* these stages come first */
            struct text lines;
            text_init(&lines);
            campaign_stage_inputs(&campaign, &space, &schedule, &plan, i, &lines);
            bool is_input = strstr(text_get(&lines), "optimiser.matrix_decay=") != NULL;
            assert_int_equal(is_input, has_matrices && i > 0);
            text_fini(&lines);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_matrices_rest_until_a_row_opens_a_smaller_kernel),
        cmocka_unit_test(a_given_teacher_s_first_row_may_train_matrices),
        cmocka_unit_test(a_given_supernet_s_matrices_are_awake),
        cmocka_unit_test(matrices_are_trained_only_where_the_space_has_them),
        cmocka_unit_test(the_decay_of_matrices_is_an_input_where_they_are_trained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
