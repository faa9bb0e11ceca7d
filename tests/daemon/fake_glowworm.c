/* What glowworm-scheduler takes for `glowworm run`: begins, says so in its folder as a real runner
 * does, and does what files there tell it to.
 *   RUN/starts   a line is added to it by each that begins: its pid
 *   RUN/code     when it is there the runner ends with the number in it; 74: as on a full disk
 *   RUN/slow     while it is there a stop is heard, and waits
 *   RUN/mute     while it is there nothing is said of it
 *   RUN/asked    a line is added by each signal and stop file that asks it to stop
 *   RUN/keys     a line is added by each that is to wait for a job: what the job is submitted once
 * for RUN/twice    made by one that begins while another runs */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/status/stop_file.h"
#include "scheduler/process.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t terms, requests;

static void count(int signal)
{
    if (signal == SIGUSR1)
        requests = requests + 1;
    else
        terms = terms + 1;
}

static bool is_there(const char *run, const char *name)
{
    char *path = file_join(run, name);
    bool is = file_exists(path);
    mem_free(path);
    return is;
}

/* The scheduler's folder is beside the run's. */
static bool is_test_over(const char *run)
{
    char path[600];
    int size = (int)(strrchr(run, '/') - run);
    snprintf(path, sizeof path, "%.*s/scheduler", size, run);
    return !file_exists(path);
}

static void add_line(const char *run, const char *name, const char *line)
{
    char *path = file_join(run, name);
    FILE *file = fopen(path, "ae");
    if (file) {
        fprintf(file, "%s\n", line);
        fclose(file);
    }
    mem_free(path);
}

static void say(const char *run, struct run_status *status, enum run_state state)
{
    if (is_there(run, "mute"))
        return;
    char *path = file_join(run, "published/status.json");
    status->state = state;
    status->written_ms = clock_wall_ms();
    json_t *json = run_status_json(status);
    char *text = json_dumps(json, 0);
    if (file_write(path, text, strlen(text)) != ERR_OK)
        fprintf(stderr, "%s\n", err_text());
    free(text);
    json_decref(json);
    mem_free(path);
}

static struct run_status *begin(const char *run)
{
    char pid[24];
    struct run_status *status = mem_alloc(sizeof *status);
    char *published = file_join(run, "published");
    char *lock = file_join(run, "lock");
    if (file_make_folders(published) != ERR_OK)
        _exit(74);
    int held = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (flock(held, LOCK_EX | LOCK_NB) != 0) {
        add_line(run, "twice", "");
        _exit(75);
    }
    run_status_init(status);
    status->pid = getpid();
    status->started_ticks = (int64_t)process_started_ticks(getpid());
    process_place(status->place, sizeof status->place);
    say(run, status, RUN_STATE_RUNNING);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    add_line(run, "starts", pid);
    mem_free(published);
    mem_free(lock);
    return status;
}

static int code_of(const char *run)
{
    size_t size = 0;
    char *path = file_join(run, "code"), *bytes = NULL;
    int code = file_read(path, 64, &bytes, &size) == ERR_OK ? (int)strtol(bytes, NULL, 10) : 0;
    mem_free(bytes);
    mem_free(path);
    return code;
}

static int finish(const char *run, struct run_status *status)
{
    int code = code_of(run);
    if (code == err_exit_code(ERR_FULL))
        snprintf(status->error, sizeof status->error, "%s", err_name(ERR_FULL));
    if (code != 0)
        snprintf(status->text, sizeof status->text, "ended with %d as it was told", code);
    say(run, status, code == 0 ? RUN_STATE_DONE : RUN_STATE_FAILED);
    return code;
}

static int stop(const char *run, struct run_status *status, int signal)
{
    status->signal = signal;
    say(run, status, RUN_STATE_STOPPED);
    return 128 + signal;
}

static int work(const char *run, struct run_status *status)
{
    int heard = 0, signal = 0;
    for (;; nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL)) {
        for (; heard < terms; heard++) {
            add_line(run, "asked", "signal");
            signal = signal ? signal : SIGTERM;
        }
        if (requests > 0 && !is_there(run, "slow")) {
            add_line(run, "asked", "request");
            return stop(run, status, SIGINT);
        }
        if (stop_file_take(run, status)) {
            add_line(run, "asked", "stop file");
            signal = signal ? signal : SIGINT;
        }
        if (signal && !is_there(run, "slow"))
            return stop(run, status, signal);
        if (is_there(run, "code"))
            return finish(run, status);
        if (is_test_over(run))
            return 1;
    }
}

int main(int argc, char **argv)
{
    const char *run = argv[argc - 1];
    if (is_test_over(run))
        return 1;
    bool waits_for_job = strcmp(argv[1], "slurm") == 0;
    signal(SIGTERM, count);
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGUSR1);
    signal(SIGUSR1, count);
    sigprocmask(SIG_UNBLOCK, &held, NULL);
    printf("%s in %s\n", argv[2], run);
    fflush(stdout);
    struct run_status *status = begin(run);
    if (waits_for_job)
        add_line(run, "keys", argv[5]);
    int code = work(run, status);
    mem_free(status);
    return code;
}
