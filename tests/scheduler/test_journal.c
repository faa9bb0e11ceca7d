/* The journal alone: leases, what counts and what does not, and crashes at its fault points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/store/store.h"
#include "scheduler/journal_internal.h"
#include "tests/scheduler/open_journal.h"
#include "tests/scratch.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct hash kernel = {{1}}, depth = {{2}};

static struct lease take(struct journal *journal, const struct hash *key, const char *name)
{
    struct lease lease;
    if (journal_lease(journal, key, name, "epochs=2\n", LEASE_GOES_ON, &lease) != ERR_OK)
        fail_msg("%s", err_text());
    return lease;
}

static struct stage_record read_record(struct journal *journal, const struct hash *key)
{
    struct stage_record record = {0};
    if (journal_stage(journal, key, &record) != ERR_OK)
        fail_msg("%s", err_text());
    return record;
}

static struct stage_outcome outcome(enum err error)
{
    return (struct stage_outcome){.error = error,
                                  .text = "why",
                                  .content = "aaaa",
                                  .results = "results/kernel.json",
                                  .results_hash = "bbbb",
                                  .step = 20,
                                  .seconds = 2.5,
                                  .images_per_second = 7};
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

/* ---- several entries at once */

static struct journal_entry checkpoint_entry(const struct lease *lease, const char *content)
{
    return (struct journal_entry){
        .verb = JOURNAL_CHECKPOINT, .lease = lease, .checkpoint = {5, 20, content}};
}

static struct journal_entry measured(const struct hash *key, int detail, const char *record)
{
    return (struct journal_entry){.verb = JOURNAL_MEASUREMENT,
                                  .measurement = {key, detail, record, strlen(record)}};
}

static void expect_measurement(struct journal *journal, const struct hash *key, int detail,
                               const char *expected)
{
    struct text record;
    text_init(&record);
    enum err err = journal_measurement(journal, key, detail, &record);
    assert_int_equal(err, expected ? ERR_OK : ERR_NOT_FOUND);
    assert_string_equal(text_get(&record), expected ? expected : "");
    text_fini(&record);
}

static void an_entry_that_does_not_count_stops_no_other(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease old = take(journal, &kernel, "kernel"), current = take(journal, &kernel, "kernel"),
                 other = take(journal, &depth, "depth");
    struct journal_entry entries[] = {
        checkpoint_entry(&old, "ghost"),
        checkpoint_entry(&current, "real"),
        measured(&kernel, 0, "score"),
        {.verb = JOURNAL_END, .lease = &other, .outcome = outcome(ERR_OK)},
        checkpoint_entry(&other, "late")};
    assert_int_equal(journal_write(journal, entries, 5), ERR_OK);
    const enum err expected[] = {ERR_PEER, ERR_OK, ERR_OK, ERR_OK, ERR_PEER};
    for (int i = 0; i < 5; i++)
        assert_int_equal(entries[i].result, expected[i]);
    struct stage_record record = read_record(journal, &kernel);
    assert_string_equal(record.checkpoint, "real");
    stage_record_fini(&record);
    record = read_record(journal, &depth);
    assert_true(record.is_done);
    assert_string_equal(record.checkpoint, "");
    stage_record_fini(&record);
    expect_measurement(journal, &kernel, 0, "score");
    journal_close(&journal);
}

static void entries_are_written_all_or_none(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel");
    struct lease nobody = {.key = {{9}}, .name = "nobody", .epoch = 77};
    struct journal_entry entries[] = {checkpoint_entry(&lease, "first"),
                                      measured(&kernel, 0, "score"),
                                      checkpoint_entry(&nobody, "second")};
    assert_int_equal(journal_write(journal, entries, 3), ERR_NOT_FOUND);
    struct stage_record record = read_record(journal, &kernel);
    assert_string_equal(record.checkpoint, "");
    stage_record_fini(&record);
    expect_measurement(journal, &kernel, 0, NULL);
    journal_close(&journal);
}

/* ---- measurements */

static void more_detail_answers_for_less_and_is_not_replaced_by_it(void **state)
{
    struct journal *journal = open_journal(*state);
    struct journal_entry plain = measured(&kernel, 0, "plain"),
                         detailed = measured(&kernel, 1, "detailed"),
                         again = measured(&kernel, 0, "plain again");
    assert_int_equal(journal_write(journal, &plain, 1), ERR_OK);
    expect_measurement(journal, &kernel, 0, "plain");
    expect_measurement(journal, &kernel, 1, NULL);
    expect_measurement(journal, &depth, 0, NULL);
    assert_int_equal(journal_write(journal, &detailed, 1), ERR_OK);
    assert_int_equal(journal_write(journal, &again, 1), ERR_OK);
    journal_close(&journal);
    journal = open_journal(*state);
    expect_measurement(journal, &kernel, 0, "detailed");
    expect_measurement(journal, &kernel, 1, "detailed");
    journal_close(&journal);
}

static enum err collect_measurement(const struct measurement_bytes *measurement, void *own)
{
    text_add(own, "%d %d %.*s\n", measurement->key->bytes[0], measurement->detail,
             (int)measurement->size_bytes, (const char *)measurement->record);
    return ERR_OK;
}

static void every_measurement_is_visited(void **state)
{
    struct journal *journal = open_journal(*state);
    struct journal_entry entries[] = {measured(&depth, 1, "two"), measured(&kernel, 0, "one")};
    struct text list;
    text_init(&list);
    assert_int_equal(journal_write(journal, entries, 2), ERR_OK);
    assert_int_equal(journal_measurements(journal, collect_measurement, &list), ERR_OK);
    assert_string_equal(text_get(&list), "1 0 one\n2 1 two\n");
    text_fini(&list);
    journal_close(&journal);
}

/* ---- helpers */

static enum err find_helper(const struct attempt_record *record, void *own)
{
    if (record->is_helper)
        *(struct attempt_record *)own = *record;
    return ERR_OK;
}

static void a_helper_voids_no_lease_and_ends_alone(void **state)
{
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel"), helper;
    struct stage_outcome lost = outcome(ERR_PEER), done = outcome(ERR_OK);
    struct attempt_record found = {0};
    assert_int_equal(journal_help(journal, &depth, &helper), ERR_NOT_FOUND);
    assert_int_equal(journal_help(journal, &kernel, &helper), ERR_OK);
    assert_true(helper.epoch > lease.epoch);
    assert_string_equal(helper.name, "kernel");
    assert_int_equal(journal_unended(journal, find_helper, &found), ERR_OK);
    assert_int_equal(found.lease_epoch, helper.epoch);
    assert_int_equal(journal_end(journal, &helper, &lost), ERR_OK);
    assert_int_equal(journal_end(journal, &helper, &lost), ERR_PEER);
    found = (struct attempt_record){0};
    assert_int_equal(journal_unended(journal, find_helper, &found), ERR_OK);
    assert_false(found.is_helper);
    assert_int_equal(journal_checkpoint(journal, &lease, 10, 20, "cccc"), ERR_OK);
    assert_int_equal(journal_end(journal, &lease, &done), ERR_OK);
    journal_close(&journal);
}

/* ---- formats */

static void make_journal_of_before(const char *folder)
{
    static const char *const tables[] = {"stages", "attempts", "events", "current", "meta", NULL};
    struct store *store = NULL;
    char *path = file_join(folder, "journal");
    struct store_cfg cfg = {
        .path = path, .mode = STORE_WRITE, .kind = "journal", .version = 1, .tables = tables};
    assert_int_equal(store_open(&cfg, &store), ERR_OK);
    store_close(&store);
    mem_free(path);
}

static enum err open_as(const char *folder, enum journal_mode mode)
{
    struct journal *journal = NULL;
    char *path = file_join(folder, "journal");
    enum err err = journal_open(path, mode, &journal);
    if (err == ERR_OK)
        expect_measurement(journal, &kernel, 0, NULL);
    journal_close(&journal);
    mem_free(path);
    return err;
}

static void a_journal_of_before_is_read_and_becomes_one_of_today(void **state)
{
    make_journal_of_before(*state);
    assert_int_equal(open_as(*state, JOURNAL_READ), ERR_OK);
    assert_int_equal(open_as(*state, JOURNAL_READ), ERR_OK); /* reading changed nothing */
    struct journal *journal = open_journal(*state);
    struct lease lease = take(journal, &kernel, "kernel"), helper;
    assert_int_equal(journal_help(journal, &kernel, &helper), ERR_OK);
    assert_true(helper.epoch > lease.epoch);
    journal_close(&journal);
    static const char *const old_tables[] = {"stages", NULL};
    struct store *store = NULL;
    char *path = file_join(*state, "journal");
    struct store_cfg old = {.path = path, .kind = "journal", .version = 1, .tables = old_tables};
    assert_int_equal(store_open(&old, &store), ERR_DATA); /* a program of before would misread it */
    mem_free(path);
    assert_int_equal(open_as(*state, JOURNAL_READ), ERR_OK);
}

/* Its name, three failures and the time of a retry: fields 1, 19 and 20. */
static void a_stage_from_before_causes_is_read_with_a_whole_budget(void **state)
{
    static const uint8_t bytes[] = {0x0a, 1, 'k', 0x98, 0x01, 3, 0xa0, 0x01, 0x7f};
    struct stage_record record;
    struct budget whole = {0};
    (void)state;
    assert_int_equal(codec_read_stage((struct store_bytes){bytes, sizeof bytes}, &record), ERR_OK);
    assert_string_equal(record.name, "k");
    assert_memory_equal(&record.budget, &whole, sizeof whole);
    assert_int_equal(record.cause, CAUSE_NONE);
    stage_record_fini(&record);
}

/* Causes that a later program knows: 99 of an attempt, a hundred counts of a stage. */
static void causes_from_a_later_program_are_left_out(void **state)
{
    uint8_t ends[103] = {0xaa, 0x01, 100}; /* field 21, packed */
    uint8_t cause[] = {0xb8, 0x01, 99};    /* field 23 */
    struct stage_record record;
    (void)state;
    memset(ends + 3, 1, 100);
    assert_int_equal(codec_read_stage((struct store_bytes){ends, sizeof ends}, &record), ERR_OK);
    assert_int_equal(record.ends[CAUSE_COUNT - 1], 1);
    stage_record_fini(&record);
    assert_int_equal(codec_read_stage((struct store_bytes){cause, sizeof cause}, &record), ERR_OK);
    assert_int_equal(record.cause, CAUSE_NONE);
    stage_record_fini(&record);
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
        TEST(an_entry_that_does_not_count_stops_no_other),
        TEST(entries_are_written_all_or_none),
        TEST(more_detail_answers_for_less_and_is_not_replaced_by_it),
        TEST(every_measurement_is_visited),
        TEST(a_helper_voids_no_lease_and_ends_alone),
        TEST(a_journal_of_before_is_read_and_becomes_one_of_today),
        TEST(a_stage_from_before_causes_is_read_with_a_whole_budget),
        TEST(causes_from_a_later_program_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
