/* Several attempts at once: host stages beside each other and beside a gang, gangs beside each
 * other; one of them killed, all of them stopped, their runner killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "tests/scheduler/stage_set.h"
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BEST_WAITS  ": > begun-best; await begun-small\n"
#define SMALL_WAITS ": > begun-small; await begun-best\n"
#define HANGS       "sleep 600 & wait\n"

static int set_up_two(void **state)
{
    if (set_up(state) != 0)
        return -1;
    struct stage_set *set = *state;
    set_add_target(set);
    set->cfg.limits.host_s = 30; /* who waits in vain for the other fails */
    return 0;
}

static void script_both(const struct stage_set *set, const char *behind)
{
    char best[256], small[256];
    snprintf(best, sizeof best, BEST_WAITS "%s", behind);
    snprintf(small, sizeof small, SMALL_WAITS "%s", behind);
    set_script(set, "best", best);
    set_script(set, "small", small);
}

static void forget_scripts(struct stage_set *set)
{
    set_script(set, "best", NULL);
    set_script(set, "small", NULL);
    text_fini(&set->told);
    text_init(&set->told);
}

static bool has_file(const struct stage_set *set, const char *name)
{
    char *path = file_join(set->folder, name);
    bool is_there = file_exists(path);
    mem_free(path);
    return is_there;
}

static int count_attempts(struct stage_set *set, int stage)
{
    set_survey(set);
    return set->survey.stages[stage].record.attempts;
}

static void two_targets_are_compiled_side_by_side(void **state)
{
    struct stage_set *set = *state;
    script_both(set, "");
    expect_run(set, ERR_OK);
    set_expect_done(set);
    expect_in(text_get(&set->told), "start compile-best 0\nstart compile-small 0\n");
    assert_int_equal(count_attempts(set, SET_COMPILE), 1);
    assert_int_equal(count_attempts(set, SET_REPORT), 1);
}

static void let_best_die(void *own, const struct gang *gang, enum err error, const char *text,
                         const char *tail, double retry_s)
{
    struct stage_set *set = own;
    (void)error, (void)text, (void)tail, (void)retry_s;
    if (strcmp(gang->lease.name, "compile-small") != 0)
        return;
    char *path = file_join(set->folder, "small-has-failed");
    assert_int_equal(file_write(path, "", 0), ERR_OK);
    mem_free(path);
}

/* The count is of all that runs; who is killed for another reason is tried again. */
static void want_of_memory_is_one_stages_own(void **state)
{
    struct stage_set *set = *state;
    char file[200], small[512];
    set_make_group(set, file);
    snprintf(small, sizeof small, "await begun-best; echo oom_kill 1 > %s; kill -9 $$", file);
    set_script(set, "small", small);
    set_script(set, "best",
               "[ -e begun-best ] || { : > begun-best; await small-has-failed; kill -9 $$; }");
    set->view.failed = let_best_die;
    expect_run(set, ERR_MEMORY);
    assert_int_equal(count_attempts(set, SET_REPORT), 1); /* compile-small's place */
    assert_int_equal(count_attempts(set, SET_COMPILE), 2);
    assert_int_equal(set->survey.stages[SET_COMPILE].verdict, SURVEY_DONE);
}

static void one_is_killed_and_tried_again_while_the_other_goes_on(void **state)
{
    struct stage_set *set = *state;
    set_script(set, "best",
               BEST_WAITS "[ -e killed ] && return\n"
                          ": > killed; kill -9 $$\n");
    set_script(set, "small", SMALL_WAITS "await bundles/best/bundle.json\n");
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "failed compile-best peer: ended by signal 9");
    expect_in(text_get(&set->told), "start report 0\ndone report\n");
    set_expect_done(set);
    assert_int_equal(count_attempts(set, SET_COMPILE), 2);
    assert_int_equal(count_attempts(set, SET_REPORT), 1);
}

static void one_that_fails_for_good_lets_the_other_end(void **state)
{
    struct stage_set *set = *state;
    set_script(set, "best", BEST_WAITS ": > failed; exit 78\n");
    set_script(set, "small", SMALL_WAITS "await failed\n");
    expect_run(set, ERR_CONFIG);
    expect_in(err_text(), "stage compile-best failed: ended with exit code 78");
    expect_in(text_get(&set->told), "done compile-small\n");
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_REPORT].verdict, SURVEY_DONE);
    assert_false(set->survey.stages[SET_REPORT + 1].has_record);
}

static void stop_when_both_run(void *own)
{
    struct stage_set *set = own;
    if (has_file(set, "begun-best") && has_file(set, "begun-small"))
        set->stop = 1;
}

static void a_stop_ends_both_and_loses_nothing(void **state)
{
    struct stage_set *set = *state;
    script_both(set, HANGS);
    set->view.tick = stop_when_both_run;
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(set_count_processes(), 0);
    assert_int_equal(count_attempts(set, SET_COMPILE), 1);
    assert_int_equal(count_attempts(set, SET_REPORT), 1);
    assert_int_equal(set->survey.stages[SET_REPORT].record.ends[CAUSE_STOPPED], 1);
    set->view.tick = NULL;
    forget_scripts(set);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "start compile-best 0\nstart compile-small 0\n");
    assert_null(strstr(text_get(&set->told), "evaluate"));
    set_expect_done(set);
}

/* Beside the evaluation, which is a gang. */
static void compile_beside_evaluate(struct stage_set *set)
{
    set->graph.stages[SET_COMPILE].dependencies[0] = SET_KERNEL;
    set_edit(set, SET_COMPILE, 2);
}

static void a_stop_ends_a_gang_at_its_step_and_the_host_stage_beside_it(void **state)
{
    struct stage_set *set = *state;
    compile_beside_evaluate(set);
    set_script(set, "best", HANGS);
    setenv("FAKE_STEP_MS", "20", 1);
    set->stop_stage = SET_EVALUATE;
    set->stop_step = 7;
    set->stop_count = 1;
    expect_run(set, ERR_INTERRUPTED);
    expect_in(text_get(&set->told), "start evaluate 0\nstart compile-best 0\n");
    assert_int_equal(set_count_processes(), 0);
    set->stop_count = 0;
    set_script(set, "best", NULL);
    expect_run(set, ERR_OK);
    for (int step = 1; step <= 20; step++)
        assert_int_equal(set_count_steps(set, "evaluate", step), 1);
    set_expect_done(set);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* When both have begun. */
static void kill_runner_of_both(struct stage_set *set)
{
    int status = 0;
    pid_t runner = set_fork(set);
    for (double end = clock_seconds() + 60;
         !has_file(set, "begun-best") || !has_file(set, "begun-small"); nap())
        assert_true(clock_seconds() < end);
    kill(runner, SIGKILL);
    assert_int_equal(waitpid(runner, &status, 0), runner);
}

static enum err count_unended(const struct attempt_record *record, void *own)
{
    (void)record;
    (*(int *)own)++;
    return ERR_OK;
}

static int count_leases(struct stage_set *set, char endpoint[SET_ENDPOINT])
{
    struct journal *journal = NULL;
    char *path = file_join(set->folder, "journal");
    int count = 0;
    assert_int_equal(journal_open(path, JOURNAL_READ, &journal), ERR_OK);
    assert_int_equal(journal_unended(journal, count_unended, &count), ERR_OK);
    set_endpoint(journal, endpoint);
    journal_close(&journal);
    mem_free(path);
    return count;
}

static void a_killed_runner_leaves_nothing_its_successor_does_not_clear(void **state)
{
    struct stage_set *set = *state;
    char endpoint[SET_ENDPOINT], last[SET_ENDPOINT];
    script_both(set, HANGS);
    kill_runner_of_both(set);
    assert_int_equal(count_leases(set, endpoint), 2);
    assert_true(file_exists(endpoint + strlen("ipc://")));
    forget_scripts(set);
    expect_run(set, ERR_OK);
    set_expect_done(set); /* looks for processes too */
    assert_int_equal(count_leases(set, last), 0);
    *strrchr(endpoint, '/') = '\0';
    assert_false(file_exists(endpoint + strlen("ipc://")));
    assert_int_equal(count_attempts(set, SET_COMPILE), 2);
    assert_int_equal(count_attempts(set, SET_REPORT), 2);
}

static void a_journal_that_fails_leaves_neither_running(void **state)
{
    struct stage_set *set = *state;
    set_script(set, "best", BEST_WAITS);
    set_script(set, "small", SMALL_WAITS HANGS);
    setenv("GLOWWORM_FAULT", "journal.end:4", 1); /* behind teacher, kernel and evaluate */
    fault_reset();
    expect_run(set, ERR_IO);
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    assert_int_equal(set_count_processes(), 0);
    forget_scripts(set);
    expect_run(set, ERR_OK);
    set_expect_done(set);
}

static void damage_kernel(struct stage_set *set, const struct gang *gang)
{
    char content[HASH_HEX_BYTES];
    if (gang->stage != SET_COMPILE || gang->lease.attempt > 1)
        return;
    set_final_content(set, SET_KERNEL, content);
    set_damage(set, content);
}

/* Both find it; the kernel is made again once, when nobody reads it any more. */
static void damage_that_two_find_is_mended_once(void **state)
{
    struct stage_set *set = *state;
    set->on_start = damage_kernel;
    set_script(set, "best", BEST_WAITS "[ -e found-best ] || { : > found-best; exit 65; }\n");
    set_script(set, "small",
               SMALL_WAITS
               "[ -e found-small ] || { await found-best; : > found-small; exit 65; }\n");
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "failed compile-best data: ");
    expect_in(text_get(&set->told), "failed compile-small data: ");
    set_expect_done(set);
    assert_int_equal(count_attempts(set, SET_KERNEL), 2);
    assert_int_equal(set_count_steps(set, "kernel", 20), 2);
}

/* As two checkpoint stores would let them: kernel and evaluate, both behind the teacher. */
static void two_gangs_are_heard_each_under_its_lease(void **state)
{
    struct stage_set *set = *state;
    set->graph.stages[SET_EVALUATE].dependencies[0] = SET_TEACHER;
    set->graph.stages[SET_EVALUATE].start_stage = SET_TEACHER;
    set->graph.stages[SET_COMPILE].dependencies[set->graph.stages[SET_COMPILE].dependency_count++] =
        SET_KERNEL;
    set_edit(set, SET_EVALUATE, 2);
    set->cfg.capacity.gangs = 2;
    setenv("FAKE_STEP_MS", "20", 1);
    setenv("FAKE_FAULT", "kernel:kill:13:1", 1);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "start kernel 0\nstart evaluate 0\n");
    expect_in(text_get(&set->told), "failed kernel peer: ended by signal 9");
    expect_in(text_get(&set->told), "resume kernel 10\n");
    assert_int_equal(set_expect_no_way_back(set), 1);
    for (int step = 1; step <= 20; step++)
        assert_int_equal(set_count_steps(set, "evaluate", step), 1);
    set_expect_done(set);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_TWO(name) cmocka_unit_test_setup_teardown(name, set_up_two, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_TWO(two_targets_are_compiled_side_by_side),
        TEST_TWO(want_of_memory_is_one_stages_own),
        TEST_TWO(one_is_killed_and_tried_again_while_the_other_goes_on),
        TEST_TWO(one_that_fails_for_good_lets_the_other_end),
        TEST_TWO(a_stop_ends_both_and_loses_nothing),
        TEST(a_stop_ends_a_gang_at_its_step_and_the_host_stage_beside_it),
        TEST_TWO(a_killed_runner_leaves_nothing_its_successor_does_not_clear),
        TEST_TWO(a_journal_that_fails_leaves_neither_running),
        TEST_TWO(damage_that_two_find_is_mended_once),
        TEST(two_gangs_are_heard_each_under_its_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
