#include "cluster/timed_command.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LAST_S 1.0 /* to see the end of what was killed */

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* interrupts: how many there were before it began. */
static bool is_reached(const struct timed_limit *limit, double start_s, sig_atomic_t interrupts)
{
    return clock_seconds() - start_s >= limit->most_s ||
           (limit->interrupts && *limit->interrupts != interrupts);
}

static sig_atomic_t count_interrupts(const struct timed_limit *limit)
{
    return limit->interrupts ? *limit->interrupts : 0;
}

static struct process_end await_end(const struct process *process, const struct timed_limit *limit,
                                    sig_atomic_t interrupts)
{
    double start = clock_seconds();
    struct process_end end = process_poll(process);
    while (!end.has_ended && !is_reached(limit, start, interrupts)) {
        nap();
        end = process_poll(process);
    }
    return end;
}

static void take_output(const char *path, struct timed_result *result)
{
    char *bytes = NULL;
    size_t size = 0;
    struct text safe;
    text_init(&safe);
    if (file_read(path, 1 << 20, &bytes, &size) == ERR_OK)
        text_add_safe(&safe, bytes, size);
    snprintf(result->output, sizeof result->output, "%s", text_get(&safe));
    text_fini(&safe);
    mem_free(bytes);
}

static void run(const struct process *process, const struct timed_limit *limit,
                sig_atomic_t interrupts, struct timed_result *result)
{
    double start = clock_seconds();
    struct process_end end = await_end(process, limit, interrupts);
    result->is_over = !end.has_ended;
    process_signal(process, SIGKILL); /* and what it has left behind */
    if (!end.has_ended)
        end = await_end(process, &(struct timed_limit){.most_s = LAST_S}, 0);
    result->code = end.has_ended ? end.code : -1;
    result->signal = end.signal;
    result->seconds = clock_seconds() - start;
}

enum err timed_process(timed_start *start, void *own, const struct timed_limit *limit,
                       struct timed_result *result)
{
    enum err err = ERR_OK;
    const char *root = getenv("TMPDIR");
    struct process process = {0};
    sig_atomic_t interrupts = count_interrupts(limit);
    char *path = file_join(root && root[0] ? root : "/tmp", "glowworm-command-XXXXXX");
    int file = mkstemp(path);
    memset(result, 0, sizeof *result);
    if (file < 0)
        TRY(err_set(ERR_IO, "cannot create %s: %s", path, strerror(errno)));
    TRY(start(own, path, &process));
    run(&process, limit, interrupts, result);
    take_output(path, result);
out:
    if (file >= 0) {
        close(file);
        unlink(path);
    }
    mem_free(path);
    return err;
}

static enum err start_command(void *own, const char *log_path, struct process *process)
{
    struct process_cfg *cfg = own;
    cfg->log_path = log_path;
    return process_start(cfg, process);
}

enum err timed_command(const char *const *argv, const char *const *environment,
                       const struct timed_limit *limit, struct timed_result *result)
{
    struct process_cfg cfg = {.argv = argv, .environment = environment};
    return timed_process(start_command, &cfg, limit, result);
}
