/* The loop with a worker that speaks the real protocol and trains nothing: the ordinary life of a
 * run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "tests/scheduler/stage_set.h"
#include <unistd.h>

static void expect_told(struct stage_set *set, const char *expected)
{
    assert_string_equal(text_get(&set->told), expected);
    text_fini(&set->told);
    text_init(&set->told);
}

#define WHOLE_RUN                                                                                  \
    "start teacher 0\ndone teacher\nstart kernel 0\ndone kernel\nstart evaluate 0\ndone "          \
    "evaluate\nstart compile-best 0\ndone compile-best\nstart report 0\ndone report\n"

static void a_campaign_runs_through_to_its_report(void **state)
{
    struct stage_set *set = *state;
    expect_run(set, ERR_OK);
    expect_told(set, WHOLE_RUN);
    set_expect_done(set);
    for (int step = 1; step <= 20; step++)
        assert_int_equal(set_count_steps(set, "kernel", step), 1);
    char *hosted = set_read(set, "hosted");
    assert_string_equal(hosted, "compile best\nreport \n");
    mem_free(hosted);
}

static void a_finished_campaign_does_nothing(void **state)
{
    struct stage_set *set = *state;
    expect_run(set, ERR_OK);
    expect_told(set, WHOLE_RUN);
    expect_run(set, ERR_OK);
    assert_int_equal(set->survey.to_do, 0);
    expect_told(set, "");
}

static void a_stop_ends_at_a_step_and_the_next_run_goes_on_there(void **state)
{
    struct stage_set *set = *state;
    set->stop_stage = SET_KERNEL;
    set->stop_step = 7;
    set->stop_count = 1;
    setenv("FAKE_STEP_MS", "20", 1);
    expect_run(set, ERR_INTERRUPTED);
    set->stop_count = 0;
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_KERNEL].verdict, SURVEY_PARTIAL);
    int at = (int)set->survey.stages[SET_KERNEL].record.step;
    if (at < 7 || at >= 20)
        fail_msg("stopped at step %d", at);
    text_fini(&set->told);
    text_init(&set->told);
    expect_run(set, ERR_OK);
    char expected[64];
    snprintf(expected, sizeof expected, "resume kernel %d\n", at);
    assert_memory_equal(text_get(&set->told), expected, strlen(expected));
    for (int step = 1; step <= 20; step++) /* a stop that was asked for loses no step */
        assert_int_equal(set_count_steps(set, "kernel", step), 1);
    set_expect_done(set);
}

static void a_third_interrupt_kills_what_does_not_stop(void **state)
{
    struct stage_set *set = *state;
    set->stop_stage = SET_TEACHER;
    set->stop_step = 6;
    set->stop_count = 3;
    setenv("FAKE_FAULT", "teacher:hang:6:1", 1);
    double start = clock_seconds();
    expect_run(set, ERR_INTERRUPTED);
    assert_true(clock_seconds() - start < 10);
    assert_int_equal(set_count_processes(), 0);
    set->stop_count = 0;
    expect_run(set, ERR_OK);
    set_expect_done(set);
}

static void a_stop_before_the_first_step_is_no_failure(void **state)
{
    struct stage_set *set = *state;
    struct loop_view silent = {0};
    set->cfg.view = &silent;
    static volatile sig_atomic_t asked = 1;
    set->cfg.stop_asked = &asked;
    expect_run(set, ERR_INTERRUPTED);
    set_survey(set);
    assert_false(set->survey.stages[SET_TEACHER].has_record); /* nothing was even started */
}

static void an_edit_runs_again_exactly_what_it_changes(void **state)
{
    struct stage_set *set = *state;
    expect_run(set, ERR_OK);
    set_edit(set, SET_KERNEL, 3);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_TEACHER].verdict, SURVEY_DONE);
    assert_int_equal(set->survey.stages[SET_KERNEL].verdict, SURVEY_CHANGED);
    assert_string_equal(set->survey.stages[SET_KERNEL].why, "kernel.epochs 1 -> 3\n");
    assert_int_equal(set->survey.stages[SET_EVALUATE].verdict, SURVEY_FOLLOWS);
    assert_string_equal(set->survey.stages[SET_EVALUATE].why, "kernel runs again");
    text_fini(&set->told);
    text_init(&set->told);
    expect_run(set, ERR_OK);
    expect_told(set, strstr(WHOLE_RUN, "start kernel"));
    set_expect_done(set);
}

static void an_edit_taken_back_finds_its_training_done(void **state)
{
    struct stage_set *set = *state;
    expect_run(set, ERR_OK);
    set_edit(set, SET_KERNEL, 3);
    expect_run(set, ERR_OK);
    set_edit(set, SET_KERNEL, 1);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_KERNEL].verdict, SURVEY_DONE);
    /* its result file was written over by the other kernel's evaluation */
    assert_int_equal(set->survey.stages[SET_EVALUATE].verdict, SURVEY_LOST);
    expect_run(set, ERR_OK);
    set_expect_done(set);
    assert_int_equal(set_count_steps(set, "kernel", 20), 2);
}

static void what_was_deleted_is_made_again(void **state)
{
    struct stage_set *set = *state;
    char path[256];
    expect_run(set, ERR_OK);
    text_fini(&set->told);
    text_init(&set->told);
    snprintf(path, sizeof path, "%s/report.html", set->folder);
    assert_int_equal(unlink(path), 0);
    expect_run(set, ERR_OK);
    expect_told(set, "start report 0\ndone report\n");
    snprintf(path, sizeof path, "%s/checkpoints/%s", set->folder,
             set->survey.stages[SET_KERNEL].record.content);
    assert_int_equal(unlink(path), 0);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_KERNEL].verdict, SURVEY_LOST);
    assert_int_equal(set->survey.stages[SET_TEACHER].verdict, SURVEY_DONE);
    expect_run(set, ERR_OK);
    set_expect_done(set);
}

static void a_host_stage_that_fails_shows_its_last_words(void **state)
{
    struct stage_set *set = *state;
    char path[256];
    snprintf(path, sizeof path, "%s/fail", set->folder);
    assert_int_equal(file_write(path, "", 0), ERR_OK);
    expect_run(set, ERR_CONFIG);
    expect_in(text_get(&set->told), "failed compile-best config for good: ended with exit code 78");
    expect_in(text_get(&set->told), "the squeeze-excite cannot be written\n");
    expect_in(err_text(), "logs/compile-best-1.log");
    assert_int_equal(unlink(path), 0);
    expect_run(set, ERR_OK); /* the person has mended it and runs the same command */
    set_expect_done(set);
}

static void a_worker_that_is_not_there_is_said_so(void **state)
{
    struct stage_set *set = *state;
    set->cfg.launch.worker = "/no/such/glowworm-worker";
    expect_run(set, ERR_UNAVAILABLE);
    expect_in(err_text(), "/no/such/glowworm-worker");
}

static void a_warning_is_shown_and_the_stage_goes_on(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:warn:7:1", 1);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told),
              "start kernel 0\nwarning kernel: this is another machine\ndone kernel\n");
    set_expect_done(set);
}

static void a_gang_runs_under_mpirun(void **state)
{
    struct stage_set *set = *state;
    set->cfg.launch.mpirun = "mpirun";
    set->cfg.launch.ranks = 2;
    setenv("FAKE_FAULT", "kernel:kill:13:1", 1);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "failed kernel peer: ended with exit code 137");
    expect_in(text_get(&set->told), "resume kernel 10\n");
    set_expect_done(set);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_campaign_runs_through_to_its_report),
        TEST(a_finished_campaign_does_nothing),
        TEST(a_stop_ends_at_a_step_and_the_next_run_goes_on_there),
        TEST(a_third_interrupt_kills_what_does_not_stop),
        TEST(a_stop_before_the_first_step_is_no_failure),
        TEST(an_edit_runs_again_exactly_what_it_changes),
        TEST(an_edit_taken_back_finds_its_training_done),
        TEST(what_was_deleted_is_made_again),
        TEST(a_host_stage_that_fails_shows_its_last_words),
        TEST(a_worker_that_is_not_there_is_said_so),
        TEST(a_warning_is_shown_and_the_stage_goes_on),
        TEST(a_gang_runs_under_mpirun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
