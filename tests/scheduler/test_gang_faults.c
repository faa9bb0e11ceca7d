/* The loop when gangs die, hang or lie, and when messages are lost. Runs that complete have the
 * contents of an undisturbed one and leave no process behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "scheduler/protocol.h"
#include "tests/scheduler/stage_set.h"
#include "tests/scheduler/system_call.h"
#include "worker/link.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_killed_gang_is_started_again_from_its_last_checkpoint(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:kill:13:1", 1);
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "failed kernel peer: ended by signal 9");
    expect_in(text_get(&set->told), "resume kernel 10\n");
    assert_int_equal(set_expect_no_way_back(set), 1);
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
                 {"kernel:memory:7:1", "no memory for scratch: it would not fit", ERR_MEMORY},
                 {"kernel:exit71:7:1", "exit code 71 without a word: it would not", ERR_MEMORY},
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

static void what_the_system_ended_for_want_of_memory_is_not_tried_again(void **state)
{
    struct stage_set *set = *state;
    char file[200];
    set_make_group(set, file);
    setenv("FAKE_OOM", file, 1);
    setenv("FAKE_FAULT", "kernel:oom:13:1", 1);
    expect_run(set, ERR_MEMORY);
    expect_in(err_text(), "the system ended one of its processes for want of memory");
    expect_in(err_text(), "resources.memory");
    set_survey(set);
    const struct stage_record *kernel = &set->survey.stages[SET_KERNEL].record;
    assert_int_equal(kernel->ends[CAUSE_MEMORY], 1);
    assert_int_equal(kernel->attempts, 1);
    setenv("FAKE_FAULT", "kernel:kill:17:1", 1); /* killed, while the count stands still */
    assert_int_equal(file_write(file, "oom_kill 1\n", 11), ERR_OK);
    char fault[200];
    snprintf(fault, sizeof fault, "%s/fault-0", set->folder);
    assert_int_equal(unlink(fault), 0);
    expect_run(set, ERR_OK);
    set_expect_done(set);
}

static void a_bug_is_not_tried_for_long_and_people_are_asked_to_report_it(void **state)
{
    static const char *const faults[] = {"kernel:exit70:7:9", "kernel:exit134:7:9"};
    for (int i = 0; i < 2; i++) { /* 128 + SIGABRT */
        struct stage_set *set = *state;
        setenv("FAKE_FAULT", faults[i], 1);
        expect_run(set, ERR_FAILED);
        expect_in(err_text(), "please report it");
        set_survey(set);
        assert_int_equal(set->survey.stages[SET_KERNEL].record.ends[CAUSE_BUG], 2);
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

static void a_gang_that_died_of_a_page_is_told_how_to_look_for_damage(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:exit135:7:1", 1); /* 128 + SIGBUS, as mpirun passes it on */
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "exit code 135 without a word; a store may be damaged");
    set_expect_done(set);
}

static void lose_socket(void *own, const struct gang *gang, double seconds)
{
    struct stage_set *set = own;
    char endpoint[SET_ENDPOINT];
    (void)seconds;
    set_endpoint(set->cfg.journal, endpoint);
    const char *path = endpoint + strlen("ipc://");
    char *folder = mem_string(path);
    *strrchr(folder, '/') = '\0';
    if (gang->stage == SET_TEACHER) /* a cleaner of temporary folders took the file,... */
        assert_int_equal(unlink(path), 0);
    else if (gang->stage == SET_KERNEL) /* ...or all */
        assert_int_equal(file_remove_folder(folder), ERR_OK);
    mem_free(folder);
}

static void a_socket_that_was_cleaned_away_is_made_again(void **state)
{
    struct stage_set *set = *state;
    set->view.done = lose_socket;
    set->cfg.limits.hello_s = 5;
    expect_run(set, ERR_OK);
    if (strstr(text_get(&set->told), "failed"))
        fail_msg("%s", text_get(&set->told));
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

static bool is_evaluate_started;

static void release(const struct stage_set *set)
{
    char path[160];
    snprintf(path, sizeof path, "%s/release", set->folder);
    assert_int_equal(file_write(path, "", 0), ERR_OK);
}

static void release_when_told(void *own, const struct gang *gang, const char *text)
{
    (void)gang;
    if (strstr(text, "waiting for the end of 1 processes"))
        release(own);
}

/* In a child: its kills, and its gangs', say that all went well and do nothing. */
static int run_with_vain_kills(struct stage_set *set,
                               void (*warning)(void *own, const struct gang *, const char *text))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        set->view.warning = warning;
        system_call_answers(SYS_kill, 1, SIGKILL, 0);
        _exit(err_exit_code(set_run(set)));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void an_attempt_waits_for_the_last_process_of_the_one_before(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:straggle:7:1", 1);
    setenv("FAKE_LOCK", "1", 1);
    int code = run_with_vain_kills(set, release_when_told);
    if (code == 77) /* no filters here */
        skip();
    assert_int_equal(code, 0);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_KERNEL].record.attempts, 2);
    set_expect_done(set);
}

static void release_behind_evaluate(void *own, const struct gang *gang, double seconds)
{
    struct stage_set *set = own;
    (void)seconds;
    if (gang->stage == SET_EVALUATE)
        release(set);
}

/* They would wait for each other for ever. */
static void fail_when_evaluate_waits(void *own, const struct gang *gang, const char *text)
{
    (void)own;
    if (gang->stage == SET_KERNEL && strstr(text, "waiting for the end of 1 processes") &&
        !is_evaluate_started)
        _exit(1);
}

static void see_evaluate(struct stage_set *set, const struct gang *gang)
{
    (void)set;
    is_evaluate_started = is_evaluate_started || gang->stage == SET_EVALUATE;
}

/* Both behind the teacher; the first kernel leaves a process that holds the checkpoints. */
static void an_evaluation_waits_for_no_process_of_a_training_gang(void **state)
{
    struct stage_set *set = *state;
    set->graph.stages[SET_EVALUATE].dependencies[0] = SET_TEACHER;
    set->graph.stages[SET_EVALUATE].start_stage = SET_TEACHER;
    set->graph.stages[SET_COMPILE].dependencies[set->graph.stages[SET_COMPILE].dependency_count++] =
        SET_KERNEL;
    set_edit(set, SET_EVALUATE, 2);
    set->view.done = release_behind_evaluate;
    set->on_start = see_evaluate;
    setenv("FAKE_FAULT", "kernel:straggle:7:1", 1);
    setenv("FAKE_LOCK", "1", 1);
    int code = run_with_vain_kills(set, fail_when_evaluate_waits);
    if (code == 77) /* no filters here */
        skip();
    assert_int_equal(code, 0);
    set_expect_done(set);
}

static void a_killed_gang_that_does_not_end_is_told_of(void **state)
{
    struct stage_set *set = *state;
    set->cfg.limits.stall_s = 0.5;
    setenv("FAKE_FAULT", "kernel:linger:7:1", 1);
    int code = run_with_vain_kills(set, release_when_told);
    if (code == 77) /* no filters here */
        skip();
    assert_int_equal(code, 0);
    set_expect_done(set);
}

static void a_launch_that_fails_for_now_is_tried_again(void **state)
{
    struct stage_set *set = *state;
    setenv("GLOWWORM_FAULT", "process.start:2:again,process.start:3:again", 1);
    fault_reset();
    expect_run(set, ERR_OK);
    expect_in(text_get(&set->told), "failed kernel again: a fault injected at process.start");
    set_expect_done(set);
}

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

/* Links of a stranger (wrong token) and of a ghost (an old lease), which both claim that the stage
 * is done; their threads keep saying so. */
static struct link *liars[2];

static void start_liars(struct stage_set *set, const struct gang *gang)
{
    char endpoint[SET_ENDPOINT];
    struct hash content = {{0xbb}};
    if (gang->stage != SET_KERNEL || liars[0])
        return;
    set_endpoint(set->cfg.journal, endpoint);
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
        TEST(what_the_system_ended_for_want_of_memory_is_not_tried_again),
        TEST(a_bug_is_not_tried_for_long_and_people_are_asked_to_report_it),
        TEST(a_lost_rank_is_worth_a_retry),
        TEST(a_worker_that_leaves_without_a_word_is_not_believed),
        TEST(a_gang_that_died_of_a_page_is_told_how_to_look_for_damage),
        TEST(a_socket_that_was_cleaned_away_is_made_again),
        TEST(a_gang_that_hangs_is_ended_and_replaced),
        TEST(a_gang_that_is_frozen_is_ended_and_replaced),
        TEST(what_a_dead_gang_leaves_behind_is_killed),
        TEST(an_attempt_waits_for_the_last_process_of_the_one_before),
        TEST(an_evaluation_waits_for_no_process_of_a_training_gang),
        TEST(a_killed_gang_that_does_not_end_is_told_of),
        TEST(a_launch_that_fails_for_now_is_tried_again),
        TEST(lost_messages_are_said_again),
        TEST(neither_strangers_nor_ghosts_are_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
