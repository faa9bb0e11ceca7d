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
#include "scheduler/protocol.h"
#include "scheduler/socket_folder.h"
#include "tests/scheduler/stage_set.h"
#include <sys/stat.h>
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

static void gangs_of_several_nodes_find_their_runner_by_its_port_and_keys(void **state)
{
    struct stage_set *set = *state;
    struct stat status;
    char *keys = file_join(set->folder, PROTOCOL_KEYS_FOLDER), *server = file_join(keys, "server");
    set_widen(set);
    expect_run(set, ERR_OK);
    expect_told(set, WHOLE_RUN);
    set_expect_done(set);
    assert_int_equal(stat(keys, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(stat(server, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    mem_free(keys);
    mem_free(server);
}

static void a_key_that_others_can_read_is_said_before_a_gang_starts(void **state)
{
    struct stage_set *set = *state;
    char *keys = file_join(set->folder, PROTOCOL_KEYS_FOLDER), *client = file_join(keys, "client");
    set_widen(set);
    assert_int_equal(file_make_folders(keys), ERR_OK);
    assert_int_equal(file_write(client, "no key", 6), ERR_OK);
    expect_run(set, ERR_CONFIG);
    expect_in(err_text(), "chmod 600");
    expect_told(set, "");
    mem_free(keys);
    mem_free(client);
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

/* A run that is stopped at a step of the kernel phase. */
static void stop_in_kernel(struct stage_set *set)
{
    set->stop_stage = SET_KERNEL;
    set->stop_step = 7;
    set->stop_count = 1;
    setenv("FAKE_STEP_MS", "20", 1);
    expect_run(set, ERR_INTERRUPTED);
    set->stop_count = 0;
}

static void a_stop_ends_at_a_step_and_the_next_run_goes_on_there(void **state)
{
    struct stage_set *set = *state;
    stop_in_kernel(set);
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

static enum cause time_is_over(void)
{
    return CAUSE_TIME_LIMIT;
}

static void stop_at_once(struct stage_set *set, const struct gang *gang)
{
    if (gang->stage == SET_KERNEL)
        set->stop = 1;
}

/* It ends before its first step, as it was asked to. */
static void a_stage_that_no_job_is_long_enough_for_is_given_up(void **state)
{
    struct stage_set *set = *state;
    set->cfg.why_stopped = time_is_over;
    set->on_start = stop_at_once;
    setenv("FAKE_FAULT", "kernel:exit0:0:99", 1);
    for (int i = 1; i < cause_limit(CAUSE_TIME_LIMIT); i++) {
        expect_run(set, ERR_INTERRUPTED);
        set->stop = 0;
    }
    expect_run(set, ERR_FAILED);
    expect_in(err_text(), "stage kernel failed too often");
    expect_in(err_text(), "ask for more (time in the site's file)");
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_KERNEL].record.ends[CAUSE_TIME_LIMIT], 3);
}

static void stop_at_the_third(struct stage_set *set, const struct gang *gang)
{
    if (gang->stage == SET_KERNEL && gang->lease.attempt == 3)
        set->stop = 1;
}

/* A stage that crashes is given up after as many crashes, however many jobs they are in; a person
 * who stops a run has seen them. */
static void the_end_of_a_job_gives_no_budget_back_and_a_person_does(void **state)
{
    enum cause (*const whys[])(void) = {time_is_over, NULL};
    int crashes[2];
    for (int i = 0; i < 2; i++) {
        struct stage_set *set = *state;
        set->cfg.why_stopped = whys[i];
        set->on_start = stop_at_the_third;
        setenv("FAKE_FAULT", "kernel:kill:0:99", 1);
        expect_run(set, ERR_INTERRUPTED);
        set->stop = 0;
        expect_run(set, ERR_FAILED);
        set_survey(set);
        crashes[i] = set->survey.stages[SET_KERNEL].record.ends[CAUSE_CRASH];
        tear_down(state);
        set_up(state);
    }
    assert_int_equal(crashes[0], cause_limit(CAUSE_CRASH));
    assert_true(crashes[1] > cause_limit(CAUSE_CRASH));
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

static enum err find_event(const struct event_record *event, void *own)
{
    text_add(own, "%s %s: %s\n", event->kind, event->stage, event->text);
    return ERR_OK;
}

static void expect_event(const struct stage_set *set, const char *wanted)
{
    struct journal *journal = NULL;
    struct text events;
    char *path = file_join(set->folder, "journal");
    text_init(&events);
    assert_int_equal(journal_open(path, JOURNAL_READ, &journal), ERR_OK);
    assert_int_equal(journal_events(journal, find_event, &events), ERR_OK);
    expect_in(text_get(&events), wanted);
    text_fini(&events);
    journal_close(&journal);
    mem_free(path);
}

static void damage_final(struct stage_set *set, enum set_stage stage)
{
    char content[HASH_HEX_BYTES];
    set_final_content(set, stage, content);
    set_damage(set, content);
}

static void a_damaged_final_checkpoint_reopens_its_stage(void **state)
{
    struct stage_set *set = *state;
    expect_run(set, ERR_OK);
    damage_final(set, SET_KERNEL);
    damage_final(set, SET_TEACHER); /* nobody needs it any more */
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_KERNEL].verdict, SURVEY_LOST);
    assert_string_equal(set->survey.stages[SET_KERNEL].why,
                        "its final checkpoint is damaged: its bytes have changed");
    text_fini(&set->told);
    text_init(&set->told);
    expect_run(set, ERR_OK); /* kernel starts from the teacher's: that one is made first */
    expect_told(set, "start teacher 0\ndone teacher\nstart kernel 0\ndone kernel\n");
    expect_event(set, "reopened kernel: its final checkpoint is damaged: its bytes have changed");
    expect_event(set, "reopened teacher: its final checkpoint is damaged");
    set_expect_done(set);
}

static void damage_teacher(struct stage_set *set, const struct gang *gang)
{
    if (gang->stage == SET_KERNEL && gang->lease.attempt == 1)
        damage_final(set, SET_TEACHER);
}

static void damage_in_the_middle_of_a_run_reopens_the_stage_before(void **state)
{
    struct stage_set *set = *state;
    set->on_start = damage_teacher;
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told),
              "start kernel 0\nwarning kernel: stage teacher runs again, since its final "
              "checkpoint is gone or damaged: its bytes have changed");
    expect_in(text_get(&set->told), "failed kernel data: ended with exit code 65");
    expect_in(text_get(&set->told), "start teacher 0\ndone teacher\nstart kernel 0\ndone kernel\n");
    expect_event(set, "reopened teacher: stage teacher runs again");
    set_expect_done(set);
}

static void damage_for_compile(struct stage_set *set, const struct gang *gang)
{
    char path[256];
    snprintf(path, sizeof path, "%s/fail65", set->folder);
    if (gang->stage == SET_COMPILE && gang->lease.attempt == 1) {
        damage_final(set, SET_KERNEL);
        assert_int_equal(file_write(path, "", 0), ERR_OK);
    } else {
        unlink(path);
    }
}

static void a_host_stage_that_finds_damage_reopens_the_training(void **state)
{
    struct stage_set *set = *state;
    set->on_start = damage_for_compile;
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "failed compile-best data");
    expect_in(text_get(&set->told), "done kernel\nstart compile-best 0\ndone compile-best\n");
    set_expect_done(set);
}

static void damage_always(struct stage_set *set, const struct gang *gang)
{
    if (gang->stage == SET_KERNEL)
        damage_final(set, SET_TEACHER);
}

static void a_checkpoint_damaged_again_and_again_ends_the_run(void **state)
{
    struct stage_set *set = *state;
    set->on_start = damage_always;
    expect_run(set, ERR_DATA);
    expect_in(text_get(&set->told), "failed kernel data for good");
    assert_int_equal(set_count_steps(set, "teacher", 1), 6); /* and leaves it whole */
}

/* It does not start from the teacher's any more, but is distilled from it. */
static void a_begun_stage_needs_its_teacher_still(void **state)
{
    struct stage_set *set = *state;
    stop_in_kernel(set);
    damage_final(set, SET_TEACHER);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_KERNEL].verdict, SURVEY_PARTIAL);
    assert_int_equal(set->survey.stages[SET_TEACHER].verdict, SURVEY_LOST);
    expect_run(set, ERR_OK);
    set_expect_done(set);
}

static void a_begun_stage_with_a_damaged_checkpoint_says_where_it_stands(void **state)
{
    struct stage_set *set = *state;
    stop_in_kernel(set);
    set_survey(set);
    set_damage(set, set->survey.stages[SET_KERNEL].record.checkpoint);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_KERNEL].verdict, SURVEY_PARTIAL);
    assert_string_equal(set->survey.stages[SET_KERNEL].why,
                        "its newest checkpoint is damaged: its bytes have changed");
    text_fini(&set->told);
    text_init(&set->told);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "start kernel 0\n"); /* the worker finds out where */
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

static void what_others_left_does_not_hide_why_a_run_failed(void **state)
{
    struct stage_set *set = *state;
    char folder[JOURNAL_PATH], path[JOURNAL_PATH + 8];
    int lock = -1;
    assert_int_equal(socket_folder_make(folder, &lock), ERR_OK);
    close(lock);
    snprintf(path, sizeof path, "%s/more", folder); /* a sweep fails to remove it */
    assert_int_equal(file_write(path, "", 0), ERR_OK);
    set->cfg.launch.worker = "/no/such/glowworm-worker";
    enum err err = set_run(set);
    char *text = mem_string(err_text());
    assert_int_equal(file_remove_folder(folder), ERR_OK);
    assert_int_equal(err, ERR_UNAVAILABLE);
    expect_in(text, "/no/such/glowworm-worker");
    mem_free(text);
}

/* Its log is a long one already, with a hole in it. */
static void lengthen_log(struct stage_set *set, const struct gang *gang)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", set->folder, gang->log);
    if (gang->stage != SET_COMPILE)
        return;
    assert_int_equal(file_write(path, "", 0), ERR_OK);
    assert_int_equal(truncate(path, 2LL << 30), 0);
}

static void the_last_words_of_a_long_log_are_shown(void **state)
{
    struct stage_set *set = *state;
    char path[256];
    snprintf(path, sizeof path, "%s/fail", set->folder);
    assert_int_equal(file_write(path, "", 0), ERR_OK);
    set->on_start = lengthen_log;
    expect_run(set, ERR_CONFIG);
    expect_in(text_get(&set->told), "the squeeze-excite cannot be written\n");
}

static void a_host_stage_that_hangs_is_ended(void **state)
{
    struct stage_set *set = *state;
    char path[256];
    snprintf(path, sizeof path, "%s/hang", set->folder);
    assert_int_equal(file_write(path, "", 0), ERR_OK);
    set->cfg.limits.host_s = 0.5;
    expect_run(set, ERR_FAILED);
    expect_in(text_get(&set->told), "failed compile-best failed for good: ended by us: it did not "
                                    "end within 0 s");
    assert_int_equal(set_count_processes(), 0);
    assert_int_equal(unlink(path), 0);
    set->cfg.limits.host_s = 60;
    expect_run(set, ERR_OK);
    set_expect_done(set);
}

static void a_result_that_is_no_file_or_too_large_is_refused_at_once(void **state)
{
    struct stage_set *set = *state;
    char path[256], hex[HASH_HEX_BYTES];
    snprintf(path, sizeof path, "%s/results/odd", set->folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(survey_hash_file(set->folder, "results/odd", hex), ERR_DATA);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(file_write(path, "", 0), ERR_OK);
    assert_int_equal(truncate(path, (256LL << 20) + 1), 0);
    assert_int_equal(survey_hash_file(set->folder, "results/odd", hex), ERR_DATA);
    expect_in(err_text(), "larger than");
    assert_int_equal(survey_hash_file(set->folder, "results/none", hex), ERR_NOT_FOUND);
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
    expect_event(set, "warning kernel: this is another machine");
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
        TEST(gangs_of_several_nodes_find_their_runner_by_its_port_and_keys),
        TEST(a_key_that_others_can_read_is_said_before_a_gang_starts),
        TEST(a_finished_campaign_does_nothing),
        TEST(a_stop_ends_at_a_step_and_the_next_run_goes_on_there),
        TEST(a_stage_that_no_job_is_long_enough_for_is_given_up),
        TEST(the_end_of_a_job_gives_no_budget_back_and_a_person_does),
        TEST(a_third_interrupt_kills_what_does_not_stop),
        TEST(a_stop_before_the_first_step_is_no_failure),
        TEST(an_edit_runs_again_exactly_what_it_changes),
        TEST(an_edit_taken_back_finds_its_training_done),
        TEST(what_was_deleted_is_made_again),
        TEST(a_damaged_final_checkpoint_reopens_its_stage),
        TEST(damage_in_the_middle_of_a_run_reopens_the_stage_before),
        TEST(a_host_stage_that_finds_damage_reopens_the_training),
        TEST(a_checkpoint_damaged_again_and_again_ends_the_run),
        TEST(a_begun_stage_needs_its_teacher_still),
        TEST(a_begun_stage_with_a_damaged_checkpoint_says_where_it_stands),
        TEST(a_host_stage_that_fails_shows_its_last_words),
        TEST(the_last_words_of_a_long_log_are_shown),
        TEST(a_host_stage_that_hangs_is_ended),
        TEST(a_result_that_is_no_file_or_too_large_is_refused_at_once),
        TEST(a_worker_that_is_not_there_is_said_so),
        TEST(what_others_left_does_not_hide_why_a_run_failed),
        TEST(a_warning_is_shown_and_the_stage_goes_on),
        TEST(a_gang_runs_under_mpirun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
