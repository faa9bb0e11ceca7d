/* The runner killed, frozen, or let down by its journal: the same command continues, with the
 * contents of an undisturbed run and no process left behind. */
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

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static int wait_for(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* The runner is killed at the k-th passage of each point, k = 1, 2, ... until it gets through. */
static void a_runner_killed_at_any_point_is_continued_by_the_same_command(void **state)
{
    static const char *const points[] = {"journal.lease", "process.start", "loop.launched",
                                         "journal.checkpoint", "journal.end"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        struct stage_set *set = *state;
        int deaths = 0;
        setenv("FAKE_STEP_MS", "5", 1);
        for (int k = 1;; k += 2) {
            char fault[64];
            snprintf(fault, sizeof fault, "%s:%d:kill", points[i], k);
            setenv("GLOWWORM_FAULT", fault, 1);
            int status = wait_for(set_fork(set));
            unsetenv("GLOWWORM_FAULT");
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                break;
            if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                fail_msg("%s: status %x", fault, (unsigned)status);
            deaths++;
        }
        assert_true(deaths > 0); /* the point was passed */
        set_expect_done(set);
        set_expect_no_way_back(set);
        tear_down(state);
        set_up(state);
    }
}

static void a_killed_runner_takes_its_gang_with_it(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_STEP_MS", "50", 1);
    pid_t runner = set_fork(set);
    for (double end = clock_seconds() + 20; set_count_steps(set, "teacher", 6) == 0; nap())
        assert_true(clock_seconds() < end);
    kill(runner, SIGKILL);
    wait_for(runner);
    setenv("FAKE_STEP_MS", "2", 1);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "resume teacher 5\n");
    set_expect_done(set);
}

static void a_gang_ends_by_itself_when_its_runner_is_frozen(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_STEP_MS", "50", 1);
    setenv("FAKE_STEPS", "10000", 1);
    setenv("FAKE_SILENCE_S", "1", 1);
    pid_t runner = set_fork(set);
    for (double end = clock_seconds() + 20; set_count_steps(set, "teacher", 6) == 0; nap())
        assert_true(clock_seconds() < end);
    kill(runner, SIGSTOP);
    char *log = NULL;
    for (double end = clock_seconds() + 20;; nap()) {
        mem_free(log);
        log = set_read(set, "logs/teacher-1.log");
        if (strstr(log, "nothing heard from the scheduler"))
            break;
        assert_true(clock_seconds() < end);
    }
    mem_free(log);
    kill(runner, SIGKILL);
    wait_for(runner);
    unsetenv("FAKE_SILENCE_S");
    setenv("FAKE_STEPS", "20", 1);
    set_edit(set, SET_TEACHER, 2); /* 10000 steps were another teacher */
    expect_run(set, ERR_OK);
    set_expect_done(set);
}

static void a_journal_that_fails_ends_the_run_and_leaves_nothing_running(void **state)
{
    static const char *const points[] = {"journal.lease:2", "journal.checkpoint:2", "journal.end:2",
                                         "loop.launched:2", "wire.open:1"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        struct stage_set *set = *state;
        setenv("GLOWWORM_FAULT", points[i], 1);
        fault_reset();
        enum err err = set_run(set);
        unsetenv("GLOWWORM_FAULT");
        fault_reset();
        if (err != ERR_IO)
            fail_msg("%s: the run ended with %s", points[i], err_name(err));
        assert_int_equal(set_count_processes(), 0);
        expect_run(set, ERR_OK);
        set_expect_done(set);
        tear_down(state);
        set_up(state);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_runner_killed_at_any_point_is_continued_by_the_same_command),
        TEST(a_killed_runner_takes_its_gang_with_it),
        TEST(a_gang_ends_by_itself_when_its_runner_is_frozen),
        TEST(a_journal_that_fails_ends_the_run_and_leaves_nothing_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
