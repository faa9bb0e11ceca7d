/* Real processes: sessions, logs, exit codes, and what a dead parent leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "scheduler/gang.h"
#include "scheduler/process.h"
#include "tests/scheduler/system_call.h"
#include "tests/scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct process start(const char *folder, const char *script, const char *const *environment)
{
    struct process process = {0};
    char *log = file_join(folder, "log");
    const char *argv[] = {"sh", "-c", script, NULL};
    struct process_cfg cfg = {.argv = argv, .environment = environment, .log_path = log};
    if (process_start(&cfg, &process) != ERR_OK)
        fail_msg("%s", err_text());
    mem_free(log);
    return process;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static struct process_end await(const struct process *process)
{
    struct process_end end = {0};
    for (double limit = clock_seconds() + 20; !end.has_ended; nap()) {
        if (clock_seconds() > limit)
            fail_msg("the process does not end");
        end = process_poll(process);
    }
    return end;
}

static void expect_log(const char *folder, const char *expected)
{
    char *log = file_join(folder, "log"), *bytes = NULL;
    size_t size = 0;
    assert_int_equal(file_read(log, 65536, &bytes, &size), ERR_OK);
    assert_string_equal(bytes, expected);
    mem_free(bytes);
    mem_free(log);
}

static void output_is_appended_and_the_exit_code_kept(void **state)
{
    const char *environment[] = {"GREETING=hello", NULL};
    struct process process = start(*state, "echo $GREETING; echo error >&2; exit 78", environment);
    struct process_end end = await(&process);
    assert_int_equal(end.code, 78);
    assert_int_equal(end.signal, 0);
    process = start(*state, "echo again", NULL);
    assert_int_equal(await(&process).code, 0);
    expect_log(*state, "hello\nerror\nagain\n");
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
    struct process process = {0};
    char *log = file_join(*state, "log");
    const char *argv[] = {"no-such-program", NULL};
    struct process_cfg cfg = {.argv = argv, .log_path = log};
    assert_int_equal(process_start(&cfg, &process), ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(), "no-such-program"));
    assert_int_equal(process.pid, 0);
    mem_free(log);
}

static void a_signal_reaches_every_group_of_the_session(void **state)
{
    /* set -m gives each job a process group of its own, as mpirun does with ranks */
    struct process process =
        start(*state, "set -m; sleep 600 & sleep 600 & echo ready; wait", NULL);
    char *log = file_join(*state, "log"), *bytes = NULL;
    double limit = clock_seconds() + 20;
    size_t size = 0;
    /* not at the first byte: the shell complains of the missing terminal before it forks */
    while (!bytes || !strstr(bytes, "ready")) {
        assert_true(clock_seconds() < limit);
        nap();
        mem_free(bytes);
        if (file_read(log, 65536, &bytes, &size) != ERR_OK)
            bytes = NULL;
    }
    int count = process_signal(&process, SIGKILL);
    if (count != 3)
        fail_msg("%d processes were signalled, expected 3", count);
    assert_int_equal(await(&process).signal, SIGKILL);
    for (limit = clock_seconds() + 20; process_signal(&process, SIGKILL) > 0; nap())
        assert_true(clock_seconds() < limit);
    mem_free(bytes);
    mem_free(log);
}

static void ctrl_c_does_not_reach_the_child(void **state)
{
    struct process process = start(*state, "sleep 600", NULL);
    assert_int_not_equal(getsid((pid_t)process.pid), getsid(0));
    assert_int_equal(getsid((pid_t)process.pid), process.pid);
    process_signal(&process, SIGKILL);
    await(&process);
}

static void a_kernel_without_close_range_starts_programs_too(void **state)
{
    int status = 0;
    int inherited = open("/dev/null", O_RDONLY); /* not to be seen by the program */
    char script[64];
    snprintf(script, sizeof script, "[ ! -e /proc/self/fd/%d ] && echo closed", inherited);
    pid_t child = fork();
    if (child == 0) {
        /* kernels before 5.11 and some sandboxes do not know it */
        system_call_answers(SYS_close_range, 0, 0, ENOSYS);
        struct process process = start(*state, script, NULL);
        _exit(await(&process).code);
    }
    close(inherited);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WEXITSTATUS(status) == 77) /* no filters here */
        skip();
    assert_int_equal(status, 0);
    expect_log(*state, "closed\n");
}

struct refusal {
    long call;
    int argument;
    unsigned bits;
    int reason;
};

/* In a child, whose system call fails; its exit code is process_start()'s error. */
static enum err start_refused(const char *folder, const struct refusal *refusal)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct process process = {0};
        char *log = file_join(folder, "log");
        const char *argv[] = {"true", NULL};
        struct process_cfg cfg = {.argv = argv, .log_path = log};
        system_call_answers(refusal->call, refusal->argument, refusal->bits, refusal->reason);
        _exit((int)process_start(&cfg, &process));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WEXITSTATUS(status) == 77)
        skip();
    return (enum err)WEXITSTATUS(status);
}

static void what_may_pass_is_told_from_what_stays(void **state)
{
    static const struct {
        struct refusal refusal;
        enum err err;
    } cases[] = {{{SYS_clone, 0, 0, EAGAIN}, ERR_AGAIN},
                 {{SYS_clone, 0, 0, ENOMEM}, ERR_AGAIN},
                 {{SYS_openat, 2, O_APPEND, EIO}, ERR_AGAIN},
                 {{SYS_openat, 2, O_APPEND, ESTALE}, ERR_AGAIN},
                 {{SYS_openat, 2, O_APPEND, ENOSPC}, ERR_FULL},
                 {{SYS_openat, 2, O_APPEND, EACCES}, ERR_IO},
                 {{SYS_execve, 0, 0, ESTALE}, ERR_AGAIN},
                 {{SYS_execve, 0, 0, EACCES}, ERR_UNAVAILABLE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum err err = start_refused(*state, &cases[i].refusal);
        if (err != cases[i].err)
            fail_msg("case %zu: %s, expected %s", i, err_name(err), err_name(cases[i].err));
    }
}

static void living_processes_are_listed_with_their_states(void **state)
{
    char list[256], expected[64];
    struct process process = start(*state, "exec sleep 600", NULL);
    snprintf(expected, sizeof expected, "%lld (state T)", (long long)process.pid);
    kill((pid_t)process.pid, SIGSTOP);
    for (double limit = clock_seconds() + 20;; nap()) { /* until the stop has come */
        assert_int_equal(process_list(&process, list, sizeof list), 1);
        if (strcmp(list, expected) == 0)
            break;
        assert_true(clock_seconds() < limit);
    }
    process_signal(&process, SIGKILL);
    await(&process);
    assert_int_equal(process_list(&process, list, sizeof list), 0);
    assert_string_equal(list, "");
}

static void marked_processes_are_found_and_others_left_alone(void **state)
{
    char mine[64], other[64];
    snprintf(mine, sizeof mine, "GW_TEST_MARK=%d-a", getpid());
    snprintf(other, sizeof other, "GW_TEST_MARK=%d-ab", getpid());
    const char *my_environment[] = {mine, NULL}, *other_environment[] = {other, NULL};
    struct process marked = start(*state, "sleep 600", my_environment);
    struct process unmarked = start(*state, "sleep 600", other_environment);
    int count = 0;
    for (double limit = clock_seconds() + 20; count == 0 && clock_seconds() < limit; nap())
        count = process_kill_marked(mine, NULL); /* until it has executed */
    assert_int_equal(await(&marked).signal, SIGKILL);
    assert_false(process_poll(&unmarked).has_ended);
    process_signal(&unmarked, SIGKILL);
    await(&unmarked);
}

static void what_carries_its_mark_belongs_to_it_wherever_it_was_started(void **state)
{
    char list[256];
    struct process launcher = start(*state, "exec sleep 600", NULL);
    snprintf(launcher.mark, sizeof launcher.mark, "GW_TEST_MARK=%d-reach", getpid());
    const char *environment[] = {launcher.mark, NULL};
    struct process rank = start(*state, "exec sleep 600", environment);
    struct process other = start(*state, "exec sleep 600", NULL);
    assert_int_equal(process_list(&launcher, list, sizeof list), 2);
    assert_int_equal(process_signal(&launcher, SIGKILL), 2);
    assert_int_equal(await(&launcher).signal, SIGKILL);
    assert_int_equal(await(&rank).signal, SIGKILL);
    assert_false(process_poll(&other).has_ended);
    process_signal(&other, SIGKILL);
    await(&other);
}

/* srun, that does `when_asked` at SIGTERM, and a rank that it has on this node. */
static struct process start_wide(const char *folder, const char *when_asked, struct process *rank)
{
    char script[256], *ready = file_join(folder, "ready");
    snprintf(script, sizeof script, "trap '%s' TERM; : >%s; while :; do sleep 0.02 & wait $!; done",
             when_asked, ready);
    struct process launcher = start(folder, script, NULL);
    launcher.is_wide = true;
    snprintf(launcher.mark, sizeof launcher.mark, "GW_TEST_MARK=%d-wide", getpid());
    const char *environment[] = {launcher.mark, NULL};
    *rank = start(folder, "exec sleep 600", environment);
    while (!file_exists(ready) || !process_is_marked(rank, launcher.mark))
        nap();
    mem_free(ready);
    return launcher;
}

/* One that is just becoming another program has no environment for a moment, and is missed. */
static void kill_with_rank(struct gang *gang, const struct process *rank)
{
    struct process_end end = {0};
    for (double limit = clock_seconds() + 20; !end.has_ended; nap()) {
        if (clock_seconds() > limit)
            fail_msg("the rank does not end");
        gang_kill(gang, ERR_PEER, "a test", 1000);
        end = process_poll(rank);
    }
    assert_int_equal(end.signal, SIGKILL);
}

static void who_has_ranks_on_other_nodes_is_asked_to_end_them(void **state)
{
    struct process rank;
    struct gang gang = {.is_running = true, .process = start_wide(*state, "exit 7", &rank)};
    kill_with_rank(&gang, &rank);
    assert_int_equal(await(&gang.process).code, 7);
}

static void who_does_not_end_though_it_was_asked_is_killed(void **state)
{
    struct process rank;
    struct gang gang = {.is_running = true, .process = start_wide(*state, ":", &rank)};
    const struct gang_limits limits = gang_limits_default();
    kill_with_rank(&gang, &rank);
    gang_watch(&gang, &limits, 1001);
    assert_false(process_poll(&gang.process).has_ended);
    for (double now_s = 1001; now_s < 1012; now_s += 0.5)
        gang_watch(&gang, &limits, now_s);
    assert_int_equal(await(&gang.process).signal, SIGKILL);
}

static void a_rank_outlives_its_launcher_and_is_found_by_its_mark(void **state)
{
    struct process launcher = start(*state, "exec sleep 600", NULL), later = launcher;
    snprintf(later.mark, sizeof later.mark, "GW_TEST_MARK=%d-late", getpid());
    const char *environment[] = {later.mark, NULL};
    struct process rank = start(*state, "exec sleep 600", environment);
    later.started_ticks--; /* its number is another's now */
    assert_int_equal(process_signal(&later, SIGKILL), 1);
    assert_int_equal(await(&rank).signal, SIGKILL);
    assert_false(process_poll(&launcher).has_ended);
    process_signal(&launcher, SIGKILL);
    await(&launcher);
}

static void a_later_process_of_the_same_number_is_left_alone(void **state)
{
    char list[256];
    struct process process = start(*state, "exec sleep 600", NULL), gone = process;
    gone.started_ticks--;
    assert_int_equal(process_signal(&gone, SIGKILL), 0);
    assert_int_equal(process_list(&gone, list, sizeof list), 0);
    assert_int_equal(process_signal(&process, SIGKILL), 1);
    assert_int_equal(await(&process).signal, SIGKILL);
}

/* The process of a parent that tells of it, and waits for its end. */
static pid_t start_parent(const char *folder, bool may_outlive_us, struct process *child)
{
    int news[2];
    assert_int_equal(pipe2(news, O_CLOEXEC), 0);
    pid_t parent = fork();
    if (parent == 0) {
        char *log = file_join(folder, "log");
        const char *argv[] = {"sleep", "600", NULL};
        struct process_cfg cfg = {.argv = argv, .log_path = log, .may_outlive_us = may_outlive_us};
        if (process_start(&cfg, child) != ERR_OK ||
            write(news[1], child, sizeof *child) != (ssize_t)sizeof *child)
            _exit(1);
        waitpid((pid_t)child->pid, NULL, 0);
        _exit(0);
    }
    close(news[1]);
    assert_int_equal(read(news[0], child, sizeof *child), sizeof *child);
    close(news[0]);
    return parent;
}

static void end_parent(pid_t parent)
{
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
}

static void a_child_ends_with_its_parent(void **state)
{
    struct process orphan = {0};
    end_parent(start_parent(*state, false, &orphan));
    for (double limit = clock_seconds() + 20; process_signal(&orphan, 0) > 0; nap())
        if (clock_seconds() > limit)
            fail_msg("process %ld outlived its parent", (long)orphan.pid);
}

static void a_child_that_may_outlive_its_parent_is_watched_by_another(void **state)
{
    struct process orphan = {0};
    end_parent(start_parent(*state, true, &orphan));
    assert_true(process_lives(&orphan));
    assert_false(process_poll(&orphan).has_ended);
    assert_int_equal(process_signal(&orphan, SIGKILL), 1);
    struct process_end end = await(&orphan);
    assert_int_equal(end.code, -1);
    assert_int_equal(end.signal, 0);
    assert_false(process_lives(&orphan));
}

/* Who inherits it may never ask for its end, as in many containers. */
static void what_nobody_waits_for_has_ended(void **state)
{
    struct process child = {0};
    pid_t parent = start_parent(*state, true, &child);
    kill(parent, SIGSTOP);
    assert_false(process_poll(&child).has_ended);
    assert_int_equal(process_signal(&child, SIGKILL), 1);
    await(&child);
    assert_int_equal(kill((pid_t)child.pid, 0), 0); /* its number is still taken */
    end_parent(parent);
}

static void a_later_process_of_the_same_number_does_not_live_for_it(void **state)
{
    struct process child = {0};
    pid_t parent = start_parent(*state, false, &child);
    struct process gone = child, group = {.pid = parent};
    gone.started_ticks--;
    assert_true(process_poll(&gone).has_ended);
    assert_false(process_lives(&group)); /* leads no session */
    assert_true(process_lives(&child));
    process_signal(&child, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
}

static void who_carries_the_mark_of_a_spared_session_lives_on(void **state)
{
    char mark[64], own[64];
    snprintf(mark, sizeof mark, "GW_TEST_MARK=%d-o", getpid());
    snprintf(own, sizeof own, "GW_TEST_GANG=%d-o", getpid());
    const char *marked[] = {mark, NULL}, *twice[] = {mark, own, NULL};
    struct process launcher = start(*state, "exec sleep 600", twice);
    struct process rank = start(*state, "exec sleep 600", twice);
    struct process other = start(*state, "exec sleep 600", marked);
    memcpy(launcher.mark, own, sizeof own);
    assert_int_equal(process_kill_marked(mark, &(struct process_sessions){&launcher, 1}), 1);
    assert_int_equal(await(&other).signal, SIGKILL);
    assert_false(process_poll(&rank).has_ended);
    assert_int_equal(process_signal(&launcher, SIGKILL), 2);
    assert_int_equal(await(&launcher).signal, SIGKILL);
    assert_int_equal(await(&rank).signal, SIGKILL);
}

static void sessions_that_are_spared_live_on(void **state)
{
    char mark[64], list[256];
    snprintf(mark, sizeof mark, "GW_TEST_MARK=%d-s", getpid());
    const char *environment[] = {mark, NULL};
    struct process spared = start(*state, "sleep 600", environment);
    struct process other = start(*state, "sleep 600", environment);
    struct process_sessions sessions = {&spared, 1};
    while (!process_is_marked(&spared, mark) || !process_is_marked(&other, mark))
        nap(); /* both have executed */
    assert_true(process_list_marked(mark, &sessions, list, sizeof list) > 0);
    assert_true(process_kill_marked(mark, &sessions) > 0);
    assert_int_equal(await(&other).signal, SIGKILL);
    assert_false(process_poll(&spared).has_ended);
    assert_true(process_kill_marked(mark, NULL) > 0);
    assert_int_equal(await(&spared).signal, SIGKILL);
}

static void a_place_is_known_by_its_start_and_its_numbers(void **state)
{
    char here[192];
    (void)state;
    process_place(here, sizeof here);
    assert_true(process_place_is_same(here, here));
    assert_true(process_place_is_same("boot/1 one", "boot/1 two"));
    assert_false(process_place_is_same("boot/1 one", "boot/2 one"));
    assert_false(process_place_is_same("boot/1 one", "boot/11 one"));
    assert_false(process_place_is_same("boot/1 one", "boot one"));
    assert_true(process_place_is_same("boot one", "boot one")); /* of an earlier version */
    assert_false(process_place_is_same("boot one", "boot two"));
    assert_non_null(strchr(here, '/'));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(output_is_appended_and_the_exit_code_kept),
        TEST(a_program_that_is_not_there_is_an_error),
        TEST(a_signal_reaches_every_group_of_the_session),
        TEST(ctrl_c_does_not_reach_the_child),
        TEST(a_kernel_without_close_range_starts_programs_too),
        TEST(what_may_pass_is_told_from_what_stays),
        TEST(living_processes_are_listed_with_their_states),
        TEST(marked_processes_are_found_and_others_left_alone),
        TEST(what_carries_its_mark_belongs_to_it_wherever_it_was_started),
        TEST(who_has_ranks_on_other_nodes_is_asked_to_end_them),
        TEST(who_does_not_end_though_it_was_asked_is_killed),
        TEST(a_rank_outlives_its_launcher_and_is_found_by_its_mark),
        TEST(a_later_process_of_the_same_number_is_left_alone),
        TEST(a_child_ends_with_its_parent),
        TEST(a_child_that_may_outlive_its_parent_is_watched_by_another),
        TEST(what_nobody_waits_for_has_ended),
        TEST(a_later_process_of_the_same_number_does_not_live_for_it),
        TEST(a_place_is_known_by_its_start_and_its_numbers),
        TEST(sessions_that_are_spared_live_on),
        TEST(who_carries_the_mark_of_a_spared_session_lives_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
