/* glowworm-scheduler and its runners killed, at every moment: no campaign is lost, none has two
 * runners (the stand looks for that), none is asked to stop twice. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "cluster/daemon/campaign_runner.h"
#include "scheduler/process.h"
#include "tests/daemon/stand.h"
#include <sys/stat.h>

static void kill_daemon(struct stand *stand)
{
    assert_int_equal(stand_end(stand, SIGKILL), 128 + SIGKILL);
}

static void a_daemon_that_is_killed_finds_its_runners(void **state)
{
    struct stand *stand = *state;
    struct submitted found;
    stand_start(stand, NULL);
    uint64_t one = stand_submit_simple(stand, "one", 1), two = stand_submit_simple(stand, "two", 1);
    pid_t first = stand_await_start(stand, "one", 1), second = stand_await_start(stand, "two", 1);
    for (int i = 0; i < 5; i++) {
        kill_daemon(stand);
        stand_start(stand, NULL);
        assert_true(stand_find(stand, one, &found, NULL));
        assert_int_equal(found.pid, first);
        assert_int_equal(found.state, SUBMITTED_RUNNING);
    }
    stand_tell(stand, "one", "code", "0");
    stand_await(stand, one, SUBMITTED_DONE);
    assert_true(stand_find(stand, two, &found, NULL));
    assert_int_equal(found.pid, second);
    assert_int_equal(found.starts, 1);
}

static void what_ended_without_a_daemon_is_judged_by_its_folder(void **state)
{
    struct stand *stand = *state;
    static const struct {
        const char *name, *code;
        enum submitted_state becomes;
    } ends[] = {{"done", "0", SUBMITTED_DONE}, {"failed", "1", SUBMITTED_FAILED}};
    for (int i = 0; i < 2; i++) {
        stand_start(stand, NULL);
        uint64_t id = stand_submit_simple(stand, ends[i].name, 2);
        struct process runner = {.pid = stand_await_start(stand, ends[i].name, 1)};
        runner.started_ticks = process_started_ticks(runner.pid);
        kill_daemon(stand);
        stand_tell(stand, ends[i].name, "code", ends[i].code);
        while (process_lives(&runner)) /* the suite's time limit ends it */
            continue;
        stand_start(stand, NULL);
        stand_await(stand, id, ends[i].becomes);
        kill_daemon(stand);
    }
}

/* The file says how often the runner was asked: by the signal, or by what the next daemon leaves,
 * which a real one takes for the same word. */
static void a_stop_that_was_asked_for_is_not_forgotten(void **state)
{
    struct stand *stand = *state;
    stand_start(stand, NULL);
    uint64_t id = stand_submit_simple(stand, "one", 1);
    stand_await_start(stand, "one", 1);
    stand_tell(stand, "one", "slow", "");
    assert_int_equal(stand_change(stand, id, GWD__VERB__HOLD, 0), ERR_OK);
    stand_await_lines(stand, "one", "asked", 1);
    kill_daemon(stand);
    stand_start(stand, NULL);
    stand_await(stand, id, SUBMITTED_STOPPING);
    stand_await_lines(stand, "one", "asked", 2);
    stand_untell(stand, "one", "slow");
    stand_await(stand, id, SUBMITTED_HELD);
}

/* The store says "stopping", and nobody has told the runner. */
static void a_stop_that_was_only_noted_is_asked_for(void **state)
{
    struct stand *stand = *state;
    stand_start(stand, "daemon.stop:1:kill");
    uint64_t id = stand_submit_simple(stand, "one", 1);
    stand_await_start(stand, "one", 1);
    assert_int_equal(stand_change(stand, id, GWD__VERB__REMOVE, 0), ERR_PEER);
    assert_int_equal(stand_await_daemon(stand), 128 + SIGKILL);
    stand_start(stand, NULL);
    stand_await(stand, id, SUBMITTED_REMOVED);
    stand_await_lines(stand, "one", "asked", 1);
}

/* It has no status that a stop file could name. */
static void an_adopted_runner_without_a_status_is_asked_to_stop(void **state)
{
    static const char *const faults[] = {NULL, "daemon.stop:1:kill"};
    struct stand *stand = *state;
    for (int i = 0; i < 2; i++) { /* by the next daemon; by the first, which dies of it */
        const char *name = i == 0 ? "one" : "two";
        stand_tell(stand, name, "mute", "");
        stand_start(stand, faults[i]);
        uint64_t id = stand_submit_simple(stand, name, 1);
        stand_await_start(stand, name, 1);
        stand_await(stand, id, SUBMITTED_RUNNING);
        if (faults[i]) {
            assert_int_equal(stand_change(stand, id, GWD__VERB__HOLD, 0), ERR_PEER);
            assert_int_equal(stand_await_daemon(stand), 128 + SIGKILL);
        } else {
            kill_daemon(stand);
        }
        stand_start(stand, NULL);
        if (!faults[i])
            assert_int_equal(stand_change(stand, id, GWD__VERB__HOLD, 0), ERR_OK);
        stand_await(stand, id, SUBMITTED_HELD);
        stand_await_lines(stand, name, "asked", 1);
        kill_daemon(stand);
    }
}

static void a_process_that_nobody_could_find_again_never_begins(void **state)
{
    struct stand *stand = *state;
    struct submitted found;
    stand_start(stand, "process.know:1");
    uint64_t id = stand_submit_simple(stand, "one", 1);
    stand_await(stand, id, SUBMITTED_RUNNING);
    assert_true(stand_find(stand, id, &found, NULL));
    assert_true(found.started_ticks > 0);
    assert_int_equal(found.starts, 1);
    assert_int_equal(found.losses, 0);
}

/* As a laptop's name changes with its network. */
static void a_runner_is_found_though_its_machine_has_another_name(void **unused)
{
    (void)unused;
    const char *words[] = {"sleep", "60", NULL};
    const struct process_cfg cfg = {.argv = words, .log_path = "/dev/null"};
    struct process process;
    struct campaign_runner runner;
    struct submitted campaign = {.state = SUBMITTED_RUNNING};
    assert_int_equal(process_start(&cfg, &process), ERR_OK);
    process_place(campaign.place, sizeof campaign.place);
    char *name = strchr(campaign.place, ' ');
    assert_non_null(name);
    snprintf(name, 16, " another");
    campaign.pid = process.pid;
    campaign.started_ticks = process.started_ticks;
    campaign_runner_adopt(&campaign, &runner);
    bool is_found = campaign_runner_runs(&runner);
    process_kill(&process);
    assert_true(is_found);
}

/* The number of a runner is in the store, and the daemon dies before it begins: it never does. */
static void a_runner_that_was_noted_and_not_begun_is_started_again(void **state)
{
    struct stand *stand = *state;
    struct submitted found;
    struct wanted wanted = {.name = "one", .cores = 1};
    stand_start(stand, "daemon.noted:1:kill");
    stand_submit(stand, &wanted);
    assert_int_equal(stand_await_daemon(stand), 128 + SIGKILL);
    stand_start(stand, NULL);
    stand_await_start(stand, "one", 1);
    stand_await(stand, 1, SUBMITTED_RUNNING);
    assert_true(stand_find(stand, 1, &found, NULL));
    assert_int_equal(found.starts, 2);
}

static void a_daemon_killed_at_any_write_loses_nothing(void **state)
{
    struct stand *stand = *state;
    char name[16], fault[64];
    for (int write = 1; write <= 3; write++) { /* start, end, and one that never comes */
        struct wanted wanted = {.name = name, .cores = 1};
        snprintf(name, sizeof name, "n%d", write);
        snprintf(fault, sizeof fault, "queue_store.put:%d:kill", write);
        stand_start(stand, fault);
        stand_tell(stand, name, "code", "0");
        stand_submit(stand, &wanted); /* whose answer may be lost with it */
        uint64_t id = (uint64_t)write;
        if (write < 3)
            assert_int_equal(stand_await_daemon(stand), 128 + SIGKILL);
        else
            kill_daemon(stand);
        stand_start(stand, NULL);
        stand_await(stand, id, SUBMITTED_DONE);
        kill_daemon(stand);
    }
}

static void a_runner_that_is_killed_is_tried_again_after_a_pause(void **state)
{
    struct stand *stand = *state;
    struct submitted found;
    stand_start(stand, NULL);
    uint64_t id = stand_submit_simple(stand, "one", 1);
    kill(stand_await_start(stand, "one", 1), SIGKILL);
    stand_await(stand, id, SUBMITTED_WAITING);
    stand_expect_why(stand, id, "was killed");
    stand_await_start(stand, "one", 2);
    stand_await(stand, id, SUBMITTED_RUNNING);
    assert_true(stand_find(stand, id, &found, NULL));
    assert_int_equal(found.losses, 1);
}

static void a_full_disk_starts_nothing_and_is_over_when_there_is_room(void **state)
{
    struct stand *stand = *state;
    stand_start(stand, "queue_store.put:1:full");
    uint64_t id = stand_submit_simple(stand, "one", 1);
    stand_await_start(stand, "one", 1);
    stand_await(stand, id, SUBMITTED_RUNNING);
}

/* One that was killed before, so it waits until a moment that is over. */
static void a_store_that_takes_nothing_is_not_asked_every_moment(void **state)
{
    struct stand *stand = *state;
    struct submitted waits, runs;
    stand_start(stand, "queue_store.put:3:full,queue_store.put:4:full");
    uint64_t id = stand_submit_simple(stand, "one", 1);
    kill(stand_await_start(stand, "one", 1), SIGKILL);
    stand_await(stand, id, SUBMITTED_WAITING);
    assert_true(stand_find(stand, id, &waits, NULL));
    stand_await_start(stand, "one", 2);
    stand_await(stand, id, SUBMITTED_RUNNING);
    assert_true(stand_find(stand, id, &runs, NULL));
    assert_true(runs.started_ms - waits.not_before_ms > 4000);
}

static void a_runner_that_ends_on_a_full_disk_has_not_failed(void **state)
{
    struct stand *stand = *state;
    stand_start(stand, NULL);
    uint64_t held = stand_submit_simple(stand, "held", 1);
    uint64_t runs = stand_submit_simple(stand, "runs", 1);
    stand_await_start(stand, "held", 1);
    stand_tell(stand, "held", "slow", "");
    assert_int_equal(stand_change(stand, held, GWD__VERB__HOLD, 0), ERR_OK);
    stand_await_lines(stand, "held", "asked", 1);
    stand_tell(stand, "held", "code", "74");
    stand_await(stand, held, SUBMITTED_HELD);
    stand_await_start(stand, "runs", 1);
    stand_tell(stand, "runs", "code", "74");
    stand_await(stand, runs, SUBMITTED_WAITING);
    stand_expect_why(stand, runs, "is tried again in");
}

static void a_runner_that_cannot_be_started_says_why(void **state)
{
    struct stand *stand = *state;
    struct wanted wanted = {.name = "two", .cores = 1, .work_folder = "/not/there"};
    stand_start(stand, NULL);
    uint64_t id = stand_submit(stand, &wanted);
    stand_await(stand, id, SUBMITTED_FAILED);
    stand_expect_why(stand, id, "there is no such folder");
    stand_await(stand, stand_submit_simple(stand, "one", 1), SUBMITTED_RUNNING);
}

static void others_may_not_enter_the_folder(void **state)
{
    struct stand *stand = *state;
    assert_int_equal(file_make_folders(stand->scheduler), ERR_OK);
    assert_int_equal(chmod(stand->scheduler, 0755), 0);
    stand_start(stand, NULL);
    assert_int_equal(stand_await_daemon(stand), 78);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stand_make, stand_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_daemon_that_is_killed_finds_its_runners),
        TEST(what_ended_without_a_daemon_is_judged_by_its_folder),
        TEST(a_stop_that_was_asked_for_is_not_forgotten),
        TEST(a_stop_that_was_only_noted_is_asked_for),
        TEST(an_adopted_runner_without_a_status_is_asked_to_stop),
        TEST(a_process_that_nobody_could_find_again_never_begins),
        TEST(a_runner_is_found_though_its_machine_has_another_name),
        TEST(a_runner_that_was_noted_and_not_begun_is_started_again),
        TEST(a_daemon_killed_at_any_write_loses_nothing),
        TEST(a_runner_that_is_killed_is_tried_again_after_a_pause),
        TEST(a_full_disk_starts_nothing_and_is_over_when_there_is_room),
        TEST(a_store_that_takes_nothing_is_not_asked_every_moment),
        TEST(a_runner_that_ends_on_a_full_disk_has_not_failed),
        TEST(a_runner_that_cannot_be_started_says_why),
        TEST(others_may_not_enter_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
