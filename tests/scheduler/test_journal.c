/* The journal alone: leases, what counts and what does not, and crashes at its fault points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "scheduler/journal.h"
#include "tests/scheduler/journal_rig.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* An attempt that saves at this step, 0: not at all. */
static void end_as(struct journal *journal, enum err error, enum cause cause, uint64_t saved_step)
{
    struct lease lease = take(journal, &kernel, "kernel");
    struct stage_outcome ended = outcome(error);
    char content[32];
    ended.cause = cause;
    snprintf(content, sizeof content, "after %d", (int)saved_step);
    if (saved_step > 0)
        assert_int_equal(journal_checkpoint(journal, &lease, saved_step, 20, content), ERR_OK);
    assert_int_equal(journal_end(journal, &lease, &ended), ERR_OK);
}

static void expect_spent(struct journal *journal, enum cause cause, int spent, int ever)
{
    struct stage_record record = read_record(journal, &kernel);
    assert_int_equal(budget_spent(&record.budget, cause), spent);
    assert_int_equal(record.ends[cause], ever);
    stage_record_fini(&record);
}

static enum err see_causes(const struct attempt_record *record, void *own)
{
    enum cause *causes = own;
    causes[record->number] = record->cause;
    return ERR_OK;
}

static void what_ended_attempts_is_counted_and_progress_forgives_it(void **state)
{
    struct journal *journal = open_journal(*state);
    enum cause causes[7] = {0};
    end_as(journal, ERR_PEER, CAUSE_CRASH, 0);
    end_as(journal, ERR_PEER, CAUSE_NONE, 0); /* the error's own */
    end_as(journal, ERR_INTERRUPTED, CAUSE_TIME_LIMIT, 0);
    journal_close(&journal);
    journal = open_journal(*state);
    expect_spent(journal, CAUSE_CRASH, 2, 1);
    expect_spent(journal, CAUSE_TIME_LIMIT, 1, 1);
    end_as(journal, ERR_PEER, CAUSE_CRASH, 7);
    expect_spent(journal, CAUSE_CRASH, 1, 2);
    expect_spent(journal, CAUSE_TIME_LIMIT, 0, 1);
    end_as(journal, ERR_PEER, CAUSE_CRASH, 7); /* nothing new */
    expect_spent(journal, CAUSE_CRASH, 2, 3);
    assert_int_equal(journal_forgive(journal, &kernel), ERR_OK);
    expect_spent(journal, CAUSE_CRASH, 0, 3);
    assert_int_equal(journal_attempts(journal, see_causes, causes), ERR_OK);
    assert_int_equal(causes[2], CAUSE_LOST);
    assert_int_equal(causes[3], CAUSE_TIME_LIMIT);
    journal_close(&journal);
}

static void a_done_stage_is_remembered_over_a_restart(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel");
    struct stage_outcome done = outcome(ERR_OK);
    assert_int_equal(lease.attempt, 1);
    assert_int_equal(journal_checkpoint(journal, &lease, 10, 20, "cccc"), ERR_OK);
    assert_int_equal(journal_end(journal, &lease, &done), ERR_OK);
    journal_close(&journal);
    journal = open_journal(*state);
    struct stage_record record = read_record(journal, &kernel);
    assert_true(record.is_done);
    assert_false(record.is_leased);
    assert_string_equal(record.name, "kernel");
    assert_string_equal(record.inputs, "epochs=2\n");
    assert_string_equal(record.checkpoint, "cccc");
    assert_string_equal(record.content, "aaaa");
    assert_string_equal(record.results, "results/kernel.json");
    assert_int_equal(record.step, 20);
    assert_int_equal(record.steps, 20);
    assert_true(record.seconds == 2.5);
    stage_record_fini(&record);
    assert_int_equal(journal_stage(journal, &depth, &record), ERR_NOT_FOUND);
    journal_close(&journal);
}

static void a_report_of_an_old_lease_does_not_count(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease old = take(journal, &kernel, "kernel");
    struct lease current = take(journal, &kernel, "kernel");
    struct stage_outcome done = outcome(ERR_OK);
    assert_true(current.epoch > old.epoch);
    assert_int_equal(current.attempt, 2);
    assert_int_equal(journal_checkpoint(journal, &old, 15, 20, "ghost"), ERR_PEER);
    assert_int_equal(journal_end(journal, &old, &done), ERR_PEER);
    assert_int_equal(journal_checkpoint(journal, &current, 5, 20, "real"), ERR_OK);
    struct stage_record record = read_record(journal, &kernel);
    assert_string_equal(record.checkpoint, "real");
    assert_false(record.is_done);
    stage_record_fini(&record);
    journal_close(&journal);
}

static void nothing_counts_after_the_end_of_a_lease(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel");
    struct stage_outcome failed = outcome(ERR_PEER);
    assert_int_equal(journal_end(journal, &lease, &failed), ERR_OK);
    assert_int_equal(journal_checkpoint(journal, &lease, 15, 20, "late"), ERR_PEER);
    assert_int_equal(journal_end(journal, &lease, &failed), ERR_PEER);
    struct stage_record record = read_record(journal, &kernel);
    assert_false(record.is_done);
    assert_int_equal(record.error, ERR_PEER);
    assert_string_equal(record.error_text, "why");
    assert_string_equal(record.checkpoint, "");
    stage_record_fini(&record);
    journal_close(&journal);
}

static enum err see_stage(const struct hash *key, const struct stage_record *record, void *own)
{
    const char **seen = own;
    if (hash_equal(key, &kernel) && strcmp(record->checkpoint, "cccc") == 0 && record->is_done)
        seen[0] = "kernel";
    if (hash_equal(key, &depth) && strcmp(record->name, "depth") == 0 && !record->is_done)
        seen[1] = "depth";
    return ERR_OK;
}

static void every_stage_that_was_ever_started_is_visited(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel");
    struct stage_outcome done = outcome(ERR_OK);
    const char *seen[2] = {"", ""};
    assert_int_equal(journal_stages(journal, see_stage, seen), ERR_OK);
    assert_string_equal(seen[0], "");
    assert_int_equal(journal_checkpoint(journal, &lease, 10, 20, "cccc"), ERR_OK);
    assert_int_equal(journal_end(journal, &lease, &done), ERR_OK);
    take(journal, &depth, "depth");
    assert_int_equal(journal_stages(journal, see_stage, seen), ERR_OK);
    assert_string_equal(seen[0], "kernel");
    assert_string_equal(seen[1], "depth");
    journal_close(&journal);
}

/* A gang may be killed between its final checkpoint and the report of it. */
static void a_stage_that_is_done_has_taken_all_its_steps(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel");
    struct stage_outcome done = outcome(ERR_OK);
    assert_int_equal(journal_checkpoint(journal, &lease, 10, 20, "cccc"), ERR_OK);
    assert_int_equal(journal_end(journal, &lease, &done), ERR_OK);
    struct stage_record record = read_record(journal, &kernel);
    assert_int_equal(record.step, 20);
    stage_record_fini(&record);
    journal_close(&journal);
}

static enum err count_event(const struct event_record *event, void *own)
{
    int *count = own;
    if (strcmp(event->kind, "checkpoint") == 0)
        count[0]++;
    count[1]++;
    return ERR_OK;
}

static void a_checkpoint_said_twice_is_written_once(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel");
    int count[2] = {0, 0};
    for (int i = 0; i < 3; i++)
        assert_int_equal(journal_checkpoint(journal, &lease, 10, 20, "cccc"), ERR_OK);
    assert_int_equal(journal_events(journal, count_event, count), ERR_OK);
    assert_int_equal(count[0], 1);
    assert_int_equal(count[1], 2); /* and the start */
    journal_close(&journal);
}

/* Forked before the journal is open: a store is not used across fork(). */
static pid_t fork_second_runner(const char *path, const char *pid, int go)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    struct journal *second = NULL;
    char byte;
    if (read(go, &byte, 1) != 1)
        _exit(2);
    enum err err = journal_open(path, JOURNAL_WRITE, &second);
    bool is_named = err == ERR_AGAIN && strstr(err_text(), pid);
    if (!is_named)
        fprintf(stderr, "error %d does not name %s: %s\n", err, pid, err_text());
    _exit(is_named ? 0 : 1);
}

static void a_second_runner_is_told_who_runs(void **state)
{
    char *path = file_join(*state, "journal"), pid[32];
    int go[2], status = 0;
    snprintf(pid, sizeof pid, "%d", getpid());
    assert_int_equal(pipe(go), 0);
    pid_t child = fork_second_runner(path, pid, go[0]);
    struct journal *journal = open_journal(*state);
    assert_int_equal(write(go[1], "x", 1), 1);
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    close(go[0]);
    close(go[1]);
    mem_free(path);
    journal_close(&journal);
}

static void what_the_campaign_asks_for_is_replaced_as_a_whole(void **state)
{
    struct journal *journal = open_journal(*state);
    struct current_stage first[] = {{"kernel", "epochs=2\n", &kernel}, {"old", "x=1\n", &depth}};
    struct current_stage second[] = {{"kernel", "epochs=3\n", &depth}};
    struct hash key;
    char *inputs = NULL;
    assert_int_equal(journal_current(journal, "kernel", &key, NULL), ERR_NOT_FOUND);
    assert_int_equal(journal_set_current(journal, first, 2), ERR_OK);
    assert_int_equal(journal_set_current(journal, second, 1), ERR_OK);
    assert_int_equal(journal_current(journal, "old", &key, NULL), ERR_NOT_FOUND);
    assert_int_equal(journal_current(journal, "kernel", &key, &inputs), ERR_OK);
    assert_true(hash_equal(&key, &depth));
    assert_string_equal(inputs, "epochs=3\n");
    mem_free(inputs);
    journal_close(&journal);
}

static enum err keep_attempt(const struct attempt_record *record, void *own)
{
    *(struct attempt_record *)own = *record;
    return ERR_OK;
}

static void a_running_attempt_can_be_found_by_the_next_runner(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease ended = take(journal, &depth, "depth-1"), lease = take(journal, &kernel, "kernel");
    struct attempt_record *process = mem_alloc(sizeof *process), *found = mem_alloc(sizeof *found);
    struct stage_outcome done = outcome(ERR_OK);
    process->pid = 4711;
    process->pid_started = 99;
    snprintf(process->host, sizeof process->host, "here");
    snprintf(process->socket_folder, sizeof process->socket_folder, "/run/glowworm-x");
    assert_int_equal(journal_started(journal, &lease, process), ERR_OK);
    assert_int_equal(journal_end(journal, &ended, &done), ERR_OK);
    assert_int_equal(journal_unended(journal, keep_attempt, found), ERR_OK);
    assert_int_equal(found->pid, 4711);
    assert_string_equal(found->socket_folder, "/run/glowworm-x");
    assert_int_equal(found->lease_epoch, lease.epoch);
    mem_free(process);
    mem_free(found);
    journal_close(&journal);
}

/* A child takes a lease, then does three things with it and is killed at the k-th transaction's
 * fault point. */
static int run_until_killed(const char *folder, const char *fault)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("GLOWWORM_FAULT", fault, 1);
        fault_reset();
        struct journal *journal = open_journal(folder);
        struct lease lease = take(journal, &kernel, "kernel");
        struct stage_outcome done = outcome(ERR_OK);
        enum err err = journal_checkpoint(journal, &lease, 10, 20, "first");
        if (err == ERR_OK)
            err = journal_checkpoint(journal, &lease, 20, 20, "second");
        if (err == ERR_OK)
            err = journal_end(journal, &lease, &done);
        journal_close(&journal);
        _exit(err);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

static void a_kill_at_any_point_leaves_a_journal_that_goes_on(void **state)
{
    static const char *const faults[] = {"journal.lease:1:kill", "journal.checkpoint:1:kill",
                                         "journal.checkpoint:2:kill", "journal.end:1:kill"};
    static const char *const expected[] = {NULL, "", "first", "second"};
    for (int i = 0; i < 4; i++) {
        int status = run_until_killed(*state, faults[i]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        struct journal *journal = open_journal(*state);
        struct stage_record record = {0};
        enum err err = journal_stage(journal, &kernel, &record);
        assert_int_equal(err, expected[i] ? ERR_OK : ERR_NOT_FOUND);
        if (expected[i]) {
            assert_string_equal(record.checkpoint, expected[i]);
            assert_true(record.is_leased);
            assert_false(record.is_done);
        }
        stage_record_fini(&record);
        journal_close(&journal);
    }
    assert_int_equal(run_until_killed(*state, ""), 0);
    struct journal *journal = open_journal(*state);
    struct stage_record record = read_record(journal, &kernel);
    assert_true(record.is_done);
    assert_int_equal(record.attempts, 4);
    stage_record_fini(&record);
    journal_close(&journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_done_stage_is_remembered_over_a_restart),
        TEST(what_ended_attempts_is_counted_and_progress_forgives_it),
        TEST(a_report_of_an_old_lease_does_not_count),
        TEST(nothing_counts_after_the_end_of_a_lease),
        TEST(every_stage_that_was_ever_started_is_visited),
        TEST(a_stage_that_is_done_has_taken_all_its_steps),
        TEST(a_checkpoint_said_twice_is_written_once),
        TEST(a_second_runner_is_told_who_runs),
        TEST(what_the_campaign_asks_for_is_replaced_as_a_whole),
        TEST(a_running_attempt_can_be_found_by_the_next_runner),
        TEST(a_kill_at_any_point_leaves_a_journal_that_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
