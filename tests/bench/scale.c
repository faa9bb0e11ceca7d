/* What very many gangs cost their runner: each a process of its own (scale_worker.c) that says how
 * far it is, and that its rank lives, once a second. usage: bench_scale [GANGS [SECONDS]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "tests/scheduler/stage_set.h"
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 900.0
#define SETTLE_S   20.0

static int gangs = 1000, seconds = 60;
static struct stage_set *stopped; /* the runner's own */

static void nap(double s)
{
    nanosleep(&(struct timespec){.tv_sec = (time_t)s, .tv_nsec = (long)((s - (time_t)s) * 1e9)},
              NULL);
}

static void stop(int number)
{
    (void)number;
    stopped->stop = 1;
}

static pid_t start(struct stage_set *set)
{
    set->cfg.launch.worker = SCALE_WORKER;
    set->cfg.capacity.gangs = gangs;
    set->cfg.limits.hello_s = PATIENCE_S;
    pid_t runner = fork();
    if (runner == 0) {
        stopped = set;
        signal(SIGUSR1, stop);
        _exit(err_exit_code(set_run(set)));
    }
    return runner;
}

/* Each has a log. */
static int count_gangs(const struct stage_set *set)
{
    int count = 0;
    char *path = file_join(set->folder, "logs");
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        count += strncmp(entry->d_name, "evaluate", 8) == 0;
    if (folder)
        closedir(folder);
    mem_free(path);
    return count;
}

/* Of a process: seconds of processor, and resident MB. */
static double read_cost(pid_t pid, double *megabytes)
{
    char path[64], *bytes = NULL;
    size_t size = 0;
    unsigned long user = 0, system = 0;
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    assert_int_equal(file_read(path, 4096, &bytes, &size), ERR_OK);
    int read = sscanf(strrchr(bytes, ')') + 2,
                      "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d "
                      "%*u %*u %ld",
                      &user, &system, &pages);
    assert_int_equal(read, 3);
    mem_free(bytes);
    *megabytes = (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void run_many(void **state)
{
    struct stage_set *set = *state;
    double megabytes = 0, began_s = clock_seconds();
    int status = 0;
    pid_t runner = start(set);
    while (count_gangs(set) < gangs && clock_seconds() - began_s < PATIENCE_S)
        nap(0.5);
    double joined_s = clock_seconds() - began_s;
    nap(SETTLE_S);
    double from_s = clock_seconds(), before = read_cost(runner, &megabytes);
    nap(seconds);
    double cost = read_cost(runner, &megabytes) - before, took_s = clock_seconds() - from_s;
    int lost = count_gangs(set) - gangs;
    printf(
        "gangs=%d started_in_s=%.1f replaced=%d seconds=%.1f of_a_core=%.2f %% resident=%.1f MB\n",
        count_gangs(set) - lost, joined_s, lost, took_s, 100 * cost / took_s, megabytes);
    kill(runner, SIGUSR1);
    waitpid(runner, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), err_exit_code(ERR_INTERRUPTED));
}

int main(int argc, char **argv)
{
    if (argc > 1)
        gangs = (int)strtol(argv[1], NULL, 10);
    if (argc > 2)
        seconds = (int)strtol(argv[2], NULL, 10);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(run_many, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
