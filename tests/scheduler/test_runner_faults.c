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
#include "scheduler/socket_folder.h"
#include "tests/scheduler/open_journal.h"
#include "tests/scheduler/stage_set.h"
#include "tests/scheduler/system_call.h"
#include <dirent.h>
#include <fcntl.h>
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

static void a_journal_that_fails_lets_the_gang_save(void **state)
{
    struct stage_set *set = *state;
    char folder[160];
    int saved = 0;
    setenv("FAKE_STEP_MS", "100", 1);
    setenv("GLOWWORM_FAULT", "journal.checkpoint:1", 1);
    fault_reset();
    expect_run(set, ERR_IO);
    assert_non_null(strstr(err_text(), "journal.checkpoint"));
    assert_int_equal(set_count_processes(), 0);
    snprintf(folder, sizeof folder, "%s/checkpoints", set->folder);
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list));)
        saved += entry->d_name[0] != '.';
    closedir(list);
    assert_int_equal(set_count_steps(set, "teacher", 10), 0);
    assert_int_equal(saved, 2); /* at step 5, and at the stop */
}

static struct journal *read_journal(const char *folder)
{
    struct journal *journal = NULL;
    char *path = file_join(folder, "journal");
    assert_int_equal(journal_open(path, JOURNAL_READ, &journal), ERR_OK);
    mem_free(path);
    return journal;
}

static void a_killed_runner_leaves_its_budget_to_the_next(void **state)
{
    struct stage_set *set = *state;
    setenv("FAKE_FAULT", "kernel:kill:0:99", 1);
    setenv("GLOWWORM_FAULT", "journal.lease:4:kill", 1); /* behind the kernel's second failure */
    assert_int_equal(wait_for(set_fork(set)), SIGKILL);
    unsetenv("GLOWWORM_FAULT");
    set_survey(set);
    const struct stage_record *kernel = &set->survey.stages[SET_KERNEL].record;
    assert_int_equal(kernel->attempts, 2);
    assert_int_equal(kernel->budget.spent[CAUSE_CRASH], 2);
    expect_run(set, ERR_FAILED);
    set_survey(set);
    assert_int_equal(kernel->attempts, 5);
    assert_int_equal(kernel->budget.spent[CAUSE_CRASH], 0); /* a person has seen it */
    assert_int_equal(kernel->ends[CAUSE_CRASH], 5);
    unsetenv("FAKE_FAULT");
    expect_run(set, ERR_OK);
    set_expect_done(set);
}

static void what_killed_processes_were_writing_is_removed(void **state)
{
    static const char *const names[] = {"report.html.part-999999999-1",
                                        "results/kernel.json.part-999999999-1",
                                        "metrics/kernel.jsonl.part-999999999-1"};
    struct stage_set *set = *state;
    char path[3][256];
    snprintf(path[2], sizeof path[2], "%s/metrics", set->folder);
    assert_int_equal(file_make_folders(path[2]), ERR_OK);
    for (int i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/%s", set->folder, names[i]);
        assert_int_equal(file_write(path[i], "half", 4), ERR_OK);
    }
    expect_run(set, ERR_OK);
    for (int i = 0; i < 3; i++)
        assert_false(file_exists(path[i]));
}

static void die(void *own, const struct gang *gang, enum err error, const char *text,
                const char *tail, double retry_s)
{
    (void)own, (void)gang, (void)error, (void)text, (void)tail, (void)retry_s;
    raise(SIGKILL);
}

/* The next runner, whose kills are in vain; what it says goes to a file. */
static pid_t start_in_vain(struct stage_set *set, const char *said)
{
    pid_t runner = fork();
    if (runner == 0) {
        int file = open(said, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (file < 0 || dup2(file, STDERR_FILENO) < 0)
            _exit(76);
        system_call_answers(SYS_kill, 1, SIGKILL, 0);
        _exit(err_exit_code(set_run(set)));
    }
    return runner;
}

static void a_start_waits_for_the_last_process_of_the_runner_before(void **state)
{
    struct stage_set *set = *state;
    struct loop_view whole = set->view;
    char said[160], release[160];
    int status = 0;
    snprintf(said, sizeof said, "%s/said", set->folder);
    snprintf(release, sizeof release, "%s/release", set->folder);
    setenv("FAKE_FAULT", "kernel:straggle:7:1", 1);
    setenv("FAKE_LOCK", "1", 1);
    set->view.failed = die; /* it has seen the end of its gang, but for one process */
    status = wait_for(start_in_vain(set, said));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) /* no filters here */
        skip();
    assert_int_equal(status, SIGKILL);
    set->view = whole;
    pid_t runner = start_in_vain(set, said);
    for (bool is_told = false; !is_told && waitpid(runner, &status, WNOHANG) == 0; nap()) {
        char *text = set_read(set, "said");
        is_told = strstr(text, "waiting for the end of 1 processes of an earlier runner") != NULL;
        mem_free(text);
        if (is_told) {
            assert_int_equal(file_write(release, "", 0), ERR_OK);
            status = wait_for(runner);
        }
    }
    assert_int_equal(status, 0);
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_KERNEL].record.attempts, 2);
    set_expect_done(set);
}

static enum err find_second(const struct attempt_record *record, void *own)
{
    if (strcmp(record->name, "kernel") == 0 && record->number == 2)
        *(int64_t *)own = record->started_ms;
    return ERR_OK;
}

static void a_pause_before_a_retry_outlives_its_runner(void **state)
{
    struct stage_set *set = *state;
    int64_t started_ms = 0;
    setenv("FAKE_FAULT", "kernel:kill:0:1", 1);
    set->cfg.backoff_ms = 2000;
    struct loop_view whole = set->view;
    set->view.failed = die;
    assert_int_equal(wait_for(set_fork(set)), SIGKILL);
    set->view = whole;
    set_survey(set);
    int64_t retry_at_ms = set->survey.stages[SET_KERNEL].record.ended_ms + set->cfg.backoff_ms;
    expect_run(set, ERR_OK);
    struct journal *journal = open_journal(set->folder);
    assert_int_equal(journal_attempts(journal, find_second, &started_ms), ERR_OK);
    journal_close(&journal);
    if (started_ms < retry_at_ms)
        fail_msg("tried again %lld ms before its time", (long long)(retry_at_ms - started_ms));
}

/* A runner in the middle of the teacher's steps. */
static pid_t start_runner(struct stage_set *set)
{
    setenv("FAKE_STEP_MS", "50", 1);
    pid_t runner = set_fork(set);
    for (double end = clock_seconds() + 20; set_count_steps(set, "teacher", 6) == 0; nap())
        assert_true(clock_seconds() < end);
    return runner;
}

static void clearing_a_copy_of_a_live_run_leaves_the_run_alone(void **state)
{
    struct stage_set *set = *state;
    char copy[160], from[160], words[512];
    int killed = 0;
    pid_t runner = start_runner(set);
    kill(runner, SIGSTOP); /* the copy is of one moment */
    snprintf(from, sizeof from, "%s/journal", set->folder);
    snprintf(copy, sizeof copy, "%s/copy", set->folder);
    snprintf(words, sizeof words, "mkdir %s && cp -r %s %s/", copy, from, copy);
    assert_int_equal(system(words), 0);
    kill(runner, SIGCONT);
    struct journal *journal = open_journal(copy);
    assert_int_equal(loop_clear_leftovers(&(struct loop_cfg){.journal = journal}, &killed), ERR_OK);
    assert_int_equal(killed, 0);
    assert_int_equal(loop_clear_leftovers(&(struct loop_cfg){.journal = journal}, &killed),
                     ERR_OK); /* its leases are ended */
    journal_close(&journal);
    assert_int_equal(wait_for(runner), 0);
    assert_int_equal(set_count_steps(set, "teacher", 7), 1);
    set_expect_done(set);
}

#define LEFT 20

/* What a gang may leave. */
static void leave_processes(char *setting, pid_t *left, int count)
{
    int running[2];
    char none;
    assert_int_equal(pipe2(running, O_CLOEXEC), 0);
    for (int i = 0; i < count; i++)
        if ((left[i] = fork()) == 0) {
            execle("/bin/sleep", "sleep", "600", (char *)NULL, (char *[]){setting, NULL});
            _exit(127);
        }
    close(running[1]);
    assert_int_equal(read(running[0], &none, 1), 0); /* all have become programs */
    close(running[0]);
}

/* A runner that was killed, and its gang with it, but for these processes: from the first to the
 * last moment somebody is there, so that no other suite sweeps it away. */
static struct journal *leave_run(struct stage_set *set, char setting[SET_ENDPOINT + 32],
                                 pid_t *left, int count)
{
    char endpoint[SET_ENDPOINT];
    pid_t runner = start_runner(set);
    struct journal *journal = read_journal(set->folder);
    set_endpoint(journal, endpoint);
    journal_close(&journal);
    launch_mark(endpoint, setting, SET_ENDPOINT + 32);
    leave_processes(setting, left, count);
    kill(runner, SIGKILL);
    wait_for(runner);
    for (double end = clock_seconds() + 20; set_count_processes() > 0; nap())
        assert_true(clock_seconds() < end);
    return open_journal(set->folder);
}

static void each_process_that_was_left_is_counted_once(void **state)
{
    char setting[SET_ENDPOINT + 32];
    pid_t left[LEFT];
    int killed = 0;
    struct journal *journal = leave_run(*state, setting, left, LEFT);
    assert_int_equal(loop_clear_leftovers(&(struct loop_cfg){.journal = journal}, &killed), ERR_OK);
    for (int i = 0; i < LEFT; i++)
        assert_int_equal(WTERMSIG(wait_for(left[i])), SIGKILL);
    journal_close(&journal);
    assert_int_equal(killed, LEFT);
}

/* Runs that start at the same moment look at each other's leftovers. */
static void another_run_that_sweeps_is_not_taken_for_the_runner(void **state)
{
    char setting[SET_ENDPOINT + 32];
    pid_t left = 0;
    int killed = 0;
    struct journal *journal = leave_run(*state, setting, &left, 1);
    char *folder = mem_string(strstr(setting, "ipc://") + strlen("ipc://"));
    *strrchr(folder, '/') = '\0';
    int sweeper = socket_folder_share(folder);
    assert_true(sweeper >= 0);
    assert_int_equal(loop_clear_leftovers(&(struct loop_cfg){.journal = journal}, &killed), ERR_OK);
    close(sweeper);
    kill(left, SIGTERM); /* where nobody has */
    assert_int_equal(WTERMSIG(wait_for(left)), SIGKILL);
    journal_close(&journal);
    mem_free(folder);
}

static enum err take_newest(const struct attempt_record *record, void *own)
{
    *(struct attempt_record *)own = *record;
    return ERR_OK;
}

/* A laptop that changes its network. */
static void a_machine_that_has_another_name_now_is_cleared_too(void **state)
{
    char setting[SET_ENDPOINT + 32];
    pid_t left = 0;
    int killed = 0;
    struct attempt_record newest = {0};
    struct journal *journal = leave_run(*state, setting, &left, 1);
    assert_int_equal(journal_attempts(journal, take_newest, &newest), ERR_OK);
    const struct lease lease = {.key = newest.key, .epoch = newest.lease_epoch};
    snprintf(strchr(newest.host, ' '), 16, " elsewhere");
    assert_int_equal(journal_started(journal, &lease, &newest), ERR_OK);
    assert_int_equal(loop_clear_leftovers(&(struct loop_cfg){.journal = journal}, &killed), ERR_OK);
    kill(left, SIGTERM); /* where nobody has */
    assert_int_equal(WTERMSIG(wait_for(left)), SIGKILL);
    journal_close(&journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_runner_killed_at_any_point_is_continued_by_the_same_command),
        TEST(a_gang_ends_by_itself_when_its_runner_is_frozen),
        TEST(what_killed_processes_were_writing_is_removed),
        TEST(a_killed_runner_leaves_its_budget_to_the_next),
        TEST(a_start_waits_for_the_last_process_of_the_runner_before),
        TEST(a_pause_before_a_retry_outlives_its_runner),
        TEST(a_journal_that_fails_ends_the_run_and_leaves_nothing_running),
        TEST(a_journal_that_fails_lets_the_gang_save),
        TEST(clearing_a_copy_of_a_live_run_leaves_the_run_alone),
        TEST(each_process_that_was_left_is_counted_once),
        TEST(a_machine_that_has_another_name_now_is_cleared_too),
        TEST(another_run_that_sweeps_is_not_taken_for_the_runner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
