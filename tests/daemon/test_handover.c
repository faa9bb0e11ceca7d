/* glowworm-scheduler and campaigns for Slurm, whose jobs only somebody pretends to wait for: handed
 * over one by one, found again, stopped though nobody waited for them. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/daemon/stand.h"
#include <sys/types.h>

static uint64_t submit(struct stand *stand, const char *name, int priority)
{
    struct wanted wanted = {.name = name, .priority = priority, .site = "mine"};
    uint64_t id = stand_submit(stand, &wanted);
    if (id == 0)
        fail_msg("%s", err_text());
    return id;
}

static void expect_key(struct stand *stand, const char *name, int starts, char key[64])
{
    stand_await_lines(stand, name, "keys", starts);
    stand_last_line(stand, name, "keys", key);
}

/* Without the pause. */
static void try_now(struct stand *stand, uint64_t id)
{
    stand_await(stand, id, SUBMITTED_WAITING);
    assert_int_equal(stand_change(stand, id, GWD__VERB__RELEASE, 0), ERR_OK);
}

static void they_are_handed_over_by_priority_beside_what_runs_here(void **state)
{
    struct stand *stand = *state;
    stand->jobs = 1;
    stand_start(stand, NULL);
    uint64_t here = stand_submit_simple(stand, "here", 2), first = submit(stand, "first", 0);
    stand_await_start(stand, "here", 1);
    stand_await_start(stand, "first", 1);
    uint64_t late = submit(stand, "late", 0), urgent = submit(stand, "urgent", 5);
    stand_expect_why(stand, urgent, "for one of the 1 jobs");
    stand_expect_why(stand, late, "for one of the 1 jobs");
    stand_tell(stand, "first", "code", "0");
    stand_await(stand, first, SUBMITTED_DONE);
    stand_await(stand, urgent, SUBMITTED_RUNNING);
    stand_await(stand, late, SUBMITTED_WAITING);
    stand_await(stand, here, SUBMITTED_RUNNING);
}

static void who_waits_for_a_job_is_started_again_for_the_same_one(void **state)
{
    struct stand *stand = *state;
    char first[64], again[64], next[64];
    stand->jobs = 1;
    stand_start(stand, NULL);
    uint64_t one = submit(stand, "one", 0);
    expect_key(stand, "one", 1, first);
    kill(stand_await_start(stand, "one", 1), SIGKILL);
    try_now(stand, one);
    expect_key(stand, "one", 2, again);
    assert_string_equal(again, first);
    assert_int_equal(stand_end(stand, SIGKILL), 128 + SIGKILL);
    kill(stand_await_start(stand, "one", 2), SIGKILL); /* and nobody hears it */
    stand_start(stand, NULL);
    try_now(stand, one);
    expect_key(stand, "one", 3, again);
    assert_string_equal(again, first);
    stand_tell(stand, "one", "code", "85"); /* its job ended too early: the next is another */
    stand_await(stand, one, SUBMITTED_WAITING);
    stand_untell(stand, "one", "code");
    try_now(stand, one);
    expect_key(stand, "one", 4, next);
    assert_string_not_equal(next, first);
}

static void a_scheduler_that_is_killed_leaves_them_with_who_waits(void **state)
{
    struct stand *stand = *state;
    stand->jobs = 1;
    stand_start(stand, NULL);
    uint64_t one = submit(stand, "one", 0);
    pid_t runner = stand_await_start(stand, "one", 1);
    assert_int_equal(stand_end(stand, SIGKILL), 128 + SIGKILL);
    stand_start(stand, NULL);
    stand_await(stand, one, SUBMITTED_RUNNING);
    assert_int_equal(stand_await_start(stand, "one", 1), runner);
    assert_int_equal(stand_change(stand, one, GWD__VERB__REMOVE, 0), ERR_OK);
    stand_await(stand, one, SUBMITTED_REMOVED);
    stand_await_lines(stand, "one", "asked", 1);
}

/* What is owed to a job is done by the next who waits for it. */
static void one_that_was_lost_while_it_was_to_stop_stops(void **state)
{
    struct stand *stand = *state;
    char first[64], again[64];
    stand->jobs = 1;
    stand_start(stand, NULL);
    uint64_t one = submit(stand, "one", 0);
    expect_key(stand, "one", 1, first);
    pid_t runner = stand_await_start(stand, "one", 1);
    stand_tell(stand, "one", "slow", "");
    assert_int_equal(stand_change(stand, one, GWD__VERB__HOLD, 0), ERR_OK);
    kill(runner, SIGKILL);
    stand_await(stand, one, SUBMITTED_WAITING);
    stand_untell(stand, "one", "slow");
    stand_await(stand, one, SUBMITTED_HELD);
    expect_key(stand, "one", 2, again);
    assert_string_equal(again, first);
    stand_await_lines(stand, "one", "asked", 1);
    assert_int_equal(stand_change(stand, one, GWD__VERB__RELEASE, 0), ERR_OK);
    expect_key(stand, "one", 3, again); /* it stopped in good order: the next job is another */
    assert_string_not_equal(again, first);
}

static void one_that_nobody_waits_for_now_is_not_forgotten_with_its_job(void **state)
{
    struct stand *stand = *state;
    stand->jobs = 1;
    stand_start(stand, NULL);
    uint64_t one = submit(stand, "one", 0);
    kill(stand_await_start(stand, "one", 1), SIGKILL);
    stand_await(stand, one, SUBMITTED_WAITING);
    assert_int_equal(stand_change(stand, one, GWD__VERB__REMOVE, 0), ERR_OK);
    stand_await(stand, one, SUBMITTED_REMOVED);
    stand_await_lines(stand, "one", "asked", 1);
}

static void without_sbatch_and_with_a_strange_site_they_are_refused(void **state)
{
    struct stand *stand = *state;
    struct wanted wanted = {.name = "one", .site = "mine"};
    stand_start(stand, NULL);
    assert_int_equal(stand_submit(stand, &wanted), 0);
    assert_non_null(strstr(err_text(), "no sbatch"));
    static const char *const strange[] = {"../mine", "a b", "-x", "x;y"};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        wanted.site = strange[i];
        assert_int_equal(stand_submit(stand, &wanted), 0);
        assert_non_null(strstr(err_text(), "plain name"));
    }
    wanted.site = "/sites/mine.yaml";
    wanted.cores = 2; /* of this machine: what only one that is not for Slurm takes */
    assert_int_equal(stand_submit(stand, &wanted), 0);
    wanted.site = NULL;
    wanted.cores = 0;
    assert_int_equal(stand_submit(stand, &wanted), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stand_make, stand_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(they_are_handed_over_by_priority_beside_what_runs_here),
        TEST(who_waits_for_a_job_is_started_again_for_the_same_one),
        TEST(a_scheduler_that_is_killed_leaves_them_with_who_waits),
        TEST(one_that_was_lost_while_it_was_to_stop_stops),
        TEST(one_that_nobody_waits_for_now_is_not_forgotten_with_its_job),
        TEST(without_sbatch_and_with_a_strange_site_they_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
