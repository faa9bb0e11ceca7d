/* The loop when things die: workers, runners, messages, the journal. Each test ends with a run that
 * completes, with the contents of an undisturbed one and no process left behind. */
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
#include "scheduler/protocol.h"
#include "tests/scheduler/stage_set.h"
#include "worker/link.h"
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int set_up(void **state)
{
    char folder[] = "/tmp/gw-loop-XXXXXX";
    struct stage_set *set = mem_alloc(sizeof *set);
    if (!mkdtemp(folder))
        return -1;
    set_make(set, folder);
    *state = set;
    return 0;
}

static int tear_down(void **state)
{
    struct stage_set *set = *state;
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    set_count_processes();
    enum err err = file_remove_folder(set->folder);
    set_free(set);
    mem_free(set);
    return err == ERR_OK ? 0 : -1;
}

static void expect_run(struct stage_set *set, enum err expected)
{
    enum err err = set_run(set);
    if (err != expected)
        fail_msg("the run ended with %s (%s), expected %s; told:\n%s", err_name(err), err_text(),
                 err_name(expected), text_get(&set->told));
}

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

/* Each life of the stage began where the one before had its last checkpoint that counts, or later,
 * and every step was computed. Returns how often it went on from a step above 0. */
static int expect_no_way_back(struct stage_set *set)
{
    char *trace = set_read(set, "trace");
    int at = 0, resumed = 0;
    for (const char *line = trace; *line; line = strchr(line, '\n') + 1) {
        int from = -1;
        if (sscanf(line, "kernel starts %d", &from) != 1 &&
            sscanf(line, "kernel resumes %d", &from) != 1)
            continue;
        if (from < at)
            fail_msg("kernel began at step %d after it had begun at %d:\n%s", from, at, trace);
        at = from;
        resumed += from > 0;
    }
    for (int step = 1; step <= 20; step++)
        if (set_count_steps(set, "kernel", step) < 1)
            fail_msg("step %d was never computed", step);
    mem_free(trace);
    return resumed;
}

/* ---- the gang */

static void a_killed_gang_is_started_again_from_its_last_checkpoint(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:kill:13:1", 1);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "failed kernel peer: ended by signal 9");
    expect_in(text_get(&set->told), "resume kernel 10\n");
    assert_int_equal(expect_no_way_back(set), 1);
    for (int step = 1; step <= 20; step++) /* 10 was saved; 11 to 13 died with the gang */
        assert_int_equal(set_count_steps(set, "kernel", step), step > 10 && step <= 13 ? 2 : 1);
    set_expect_done(set);
}

static void a_gang_that_dies_at_the_same_step_again_and_again_is_given_up(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:kill:13:99", 1);
    expect_run(set, ERR_FAILED);
    expect_in(err_text(), "kernel failed too often");
    set_survey(set);
    /* the first failure came after progress, then the budget of 5 */
    assert_int_equal(set->survey.stages[SET_KERNEL].record.attempts, 5);
    unsetenv("FAKE_FAULT");
    expect_run(set, ERR_OK); /* whoever runs it again gets a fresh budget */
    set_expect_done(set);
}

static void errors_that_would_come_again_end_the_run_at_once(void **state)
{
    static const struct {
        const char *fault, *text;
        enum err err;
    } cases[] = {{"kernel:numeric:7:1", "not a number at layer blocks.3", ERR_NUMERIC},
                 {"kernel:config:7:1", "there is no such device", ERR_CONFIG},
                 {"kernel:exit78:7:1", "exit code 78 without a word", ERR_CONFIG},
                 {"kernel:exit65:7:1", "exit code 65 without a word", ERR_DATA}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stage_set *set = *state;
        setenv("FAKE_FAULT", cases[i].fault, 1);
        expect_run(set, cases[i].err);
        expect_in(err_text(), cases[i].text);
        set_survey(set);
        assert_int_equal(set->survey.stages[SET_KERNEL].record.attempts, 1);
        assert_int_equal(set->survey.stages[SET_KERNEL].record.error, cases[i].err);
        tear_down(state);
        set_up(state);
    }
}

static void a_lost_rank_is_worth_a_retry(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:peer:7:2", 1);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "failed kernel peer: rank 1 has gone");
    set_expect_done(set);
}

static void a_worker_that_leaves_without_a_word_is_not_believed(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:exit0:7:1", 1);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "failed kernel peer: ended with exit code 0 without a word");
    set_expect_done(set);
}

static void a_gang_that_hangs_is_ended_and_replaced(void **state)
{
    struct stage_set *set = *state;
    set->cfg.limits.stall_s = 0.5;
    setenv("FAKE_FAULT", "kernel:hang:7:1", 1);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "ended by us: it has made no progress");
    set_expect_done(set);
}

static void a_gang_that_is_frozen_is_ended_and_replaced(void **state)
{
    struct stage_set *set = *state;
    set->cfg.limits.silence_s = 2 * PROTOCOL_PULSE_S;
    setenv("FAKE_FAULT", "kernel:stop:7:1", 1);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "ended by us: it has been silent");
    set_expect_done(set);
}

static void what_a_dead_gang_leaves_behind_is_killed(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:orphan:7:1", 1);
    expect_run(set, ERR_OK);
    set_expect_done(set); /* looks for processes too */
}

/* ---- the runner */

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
        expect_no_way_back(set);
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

/* ---- the wire */

/* In the runner and in every worker: the k-th send and the k-th receive fail. */
static void lost_messages_are_said_again(void **state)
{
    struct stage_set *set = *state;
    for (int k = 1; k <= 4; k++) {
        char fault[96];
        snprintf(fault, sizeof fault, "wire.send:%d,wire.receive:%d", k, k + 2);
        setenv("GLOWWORM_FAULT", fault, 1);
        fault_reset();
        expect_run(set, ERR_OK);
        unsetenv("GLOWWORM_FAULT");
        fault_reset();
        set_expect_done(set);
        tear_down(state);
        set_up(state);
        set = *state;
    }
}

static enum err find_socket(const struct attempt_record *record, void *own)
{
    snprintf(own, JOURNAL_PATH + 16, "ipc://%s/gang", record->socket_folder);
    return ERR_OK;
}

/* Links of a stranger (wrong token) and of a ghost (an old lease), which both claim that the stage
 * is done; their threads keep saying so. */
static struct link *liars[2];

static void start_liars(struct stage_set *set, const struct gang *gang)
{
    char endpoint[JOURNAL_PATH + 16] = "";
    struct hash content = {{0xbb}};
    if (gang->stage != SET_KERNEL || liars[0])
        return;
    if (journal_attempts(set->cfg.journal, find_socket, endpoint) != ERR_OK)
        fail_msg("%s", err_text());
    for (int i = 0; i < 2; i++) {
        struct link_cfg cfg = {.endpoint = endpoint,
                               .token = i == 0 ? "guessed" : set->cfg.token,
                               .lease_epoch = i == 0 ? gang->lease.epoch : gang->lease.epoch - 1,
                               .ranks = 1};
        if (link_open(&cfg, &liars[i]) != ERR_OK)
            fail_msg("%s", err_text());
        link_checkpoint(liars[i], 19, &content);
    }
}

static void neither_strangers_nor_ghosts_are_believed(void **state)
{
    struct stage_set *set = *state;
    char lie[HASH_HEX_BYTES];
    struct hash content = {{0xbb}};
    hash_hex(&content, lie);
    set->cfg.token = "the run's own token";
    set->on_start = start_liars;
    setenv("FAKE_STEP_MS", "30", 1);
    expect_run(set, ERR_OK);
    assert_non_null(liars[0]);
    struct assignment assignment;
    /* the ghost was sent away, the stranger was told nothing */
    assert_int_equal(link_take(liars[1], &assignment), ERR_INTERRUPTED);
    for (int i = 0; i < 2; i++)
        link_close(&liars[i]);
    set_survey(set);
    assert_string_not_equal(set->survey.stages[SET_KERNEL].record.checkpoint, lie);
    set_expect_done(set);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_killed_gang_is_started_again_from_its_last_checkpoint),
        TEST(a_gang_that_dies_at_the_same_step_again_and_again_is_given_up),
        TEST(errors_that_would_come_again_end_the_run_at_once),
        TEST(a_lost_rank_is_worth_a_retry),
        TEST(a_worker_that_leaves_without_a_word_is_not_believed),
        TEST(a_gang_that_hangs_is_ended_and_replaced),
        TEST(a_gang_that_is_frozen_is_ended_and_replaced),
        TEST(what_a_dead_gang_leaves_behind_is_killed),
        TEST(a_runner_killed_at_any_point_is_continued_by_the_same_command),
        TEST(a_killed_runner_takes_its_gang_with_it),
        TEST(a_gang_ends_by_itself_when_its_runner_is_frozen),
        TEST(a_journal_that_fails_ends_the_run_and_leaves_nothing_running),
        TEST(lost_messages_are_said_again),
        TEST(neither_strangers_nor_ghosts_are_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
