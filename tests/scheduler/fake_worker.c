/* A worker that trains nothing: it speaks the protocol through worker/link as the real one does,
 * "computes" steps by waiting, keeps "checkpoints" as files named by their content, and misbehaves
 * on demand.
 *
 * Environment: FAKE_STEPS, FAKE_STEP_MS, FAKE_EVERY (steps between checkpoints), FAKE_SCORES (that
 * the evaluation asks for, instead of steps: fake_measure.h), and FAKE_FAULT =
 * "stage:kind:step:times", kind one of kill (SIGKILL to itself), stop (SIGSTOP), hang (alive but no
 * progress), exit78, exit0, numeric, peer, config, orphan (leaves a child behind, then SIGKILL),
 * straggle (the same, and the child ends when the run's folder has a file "release"), linger (no
 * progress until then), oom (the file FAKE_OOM counts one, as the system does when it ends a
 * process for want of memory, then SIGKILL), memory, full, warn and score (it has measured one; it
 * goes on after both). With FAKE_LOCK it
 * takes the lock of its checkpoints where it trains, as the real one does, and fails while another
 * process holds it. The run's folder gets a file "trace" with a line for every step computed. */
#include "base/fence.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "tests/scheduler/fake_measure.h"
#include "worker/address.h"
#include "worker/link.h"
#include "worker/link_exchange.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : otherwise;
}

static void wait_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void trace(const struct assignment *mine, const char *format, long long number)
{
    char path[LINK_PATH + 16], line[256];
    snprintf(path, sizeof path, "%s/trace", mine->run_folder);
    int size = snprintf(line, sizeof line, format, mine->stage, number);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0 || write(file, line, (size_t)size) != size)
        log_error("no trace");
    close(file);
}

/* The weights after so many steps: a function of the stage's key and the step, as in training. */
static struct hash content_of(const struct assignment *mine, uint64_t step)
{
    struct hasher hasher;
    hasher_init(&hasher);
    hasher_add_text(&hasher, mine->stage_key);
    hasher_add_u64(&hasher, step);
    return hasher_end(&hasher);
}

static struct hash save(const struct assignment *mine, uint64_t step)
{
    char hex[HASH_HEX_BYTES], path[LINK_PATH + 128], text[32];
    struct hash content = content_of(mine, step);
    hash_hex(&content, hex);
    snprintf(path, sizeof path, "%s/checkpoints/%s", mine->run_folder, hex);
    int size = snprintf(text, sizeof text, "%llu", (unsigned long long)step);
    if (file_write(path, text, (size_t)size) != ERR_OK)
        log_error("%s", err_text());
    return content;
}

/* The step a checkpoint stands at; dies when it is not there or damaged. */
static uint64_t load(const struct assignment *mine)
{
    char path[LINK_PATH + 128], *bytes = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/checkpoints/%s", mine->run_folder, mine->start);
    if (file_read(path, 64, &bytes, &size) != ERR_OK) {
        log_error("%s", err_text());
        _exit(65);
    }
    char *end = NULL;
    uint64_t step = strtoull(bytes, &end, 10);
    if (end == bytes) {
        log_error("the checkpoint %s is damaged", mine->start);
        _exit(65);
    }
    mem_free(bytes);
    return step;
}

/* Whether the fault is due now: of this stage and step, and not yet done so many times. */
static bool is_due(const struct assignment *mine, uint64_t step, char kind[32])
{
    char stage[64];
    unsigned long long at = 0;
    int times = 0;
    const char *fault = getenv("FAKE_FAULT");
    if (!fault || sscanf(fault, "%63[^:]:%31[^:]:%llu:%d", stage, kind, &at, &times) != 4 ||
        strcmp(stage, mine->stage) != 0 || step != at)
        return false;
    for (int i = 0; i < times; i++) {
        char path[LINK_PATH + 32];
        snprintf(path, sizeof path, "%s/fault-%d", mine->run_folder, i);
        int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (file >= 0) {
            close(file);
            return true;
        }
    }
    return false;
}

/* A process that cannot be killed: not before its disk answers. */
static void linger(const struct assignment *mine)
{
    char path[LINK_PATH + 16];
    snprintf(path, sizeof path, "%s/release", mine->run_folder);
    while (!file_exists(path))
        wait_ms(5);
    _exit(1);
}

static void straggle(const struct assignment *mine)
{
    if (fork() == 0)
        linger(mine);
    raise(SIGKILL);
}

/* Held until the process and its children have ended. */
static void lock_checkpoints(const struct assignment *mine)
{
    char path[LINK_PATH + 32];
    snprintf(path, sizeof path, "%s/checkpoints.lock", mine->run_folder);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0 || flock(file, LOCK_EX | LOCK_NB) != 0) {
        log_error("another process writes these checkpoints");
        _exit(75);
    }
}

static void count_oom(void)
{
    static const char text[] = "oom_kill 1\n";
    if (file_write(getenv("FAKE_OOM"), text, sizeof text - 1) != ERR_OK)
        log_error("%s", err_text());
}

static void keep_score(struct link *link)
{
    struct exchange exchange = link_exchange(link);
    exchange.keep(&exchange, &(struct exchange_record){.bytes = "a score", .size_bytes = 7});
}

/* True: the stage is over. */
static bool misbehave(struct link *link, const struct assignment *mine, uint64_t step)
{
    char kind[32];
    enum err err = ERR_OK;
    if (!is_due(mine, step, kind))
        return false;
    fprintf(stderr, "the fake worker does \"%s\" at step %llu\n", kind, (unsigned long long)step);
    if (strcmp(kind, "orphan") == 0 && fork() == 0) {
        setpgid(0, 0); /* as Open MPI does with its ranks */
        for (;;)
            pause();
    }
    if (strcmp(kind, "straggle") == 0)
        straggle(mine);
    if (strcmp(kind, "linger") == 0)
        linger(mine);
    if (strcmp(kind, "oom") == 0)
        count_oom();
    if (strcmp(kind, "score") == 0)
        keep_score(link);
    if (strcmp(kind, "kill") == 0 || strcmp(kind, "oom") == 0 || strcmp(kind, "orphan") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(kind, "stop") == 0)
        kill(getpid(), SIGSTOP);
    while (strcmp(kind, "hang") == 0)
        pause();
    if (strncmp(kind, "exit", 4) == 0)
        _exit((int)strtol(kind + 4, NULL, 10));
    if (strcmp(kind, "numeric") == 0)
        err = link_failed(link, ERR_NUMERIC, "the loss is not a number at layer blocks.3", step);
    else if (strcmp(kind, "config") == 0)
        err = link_failed(link, ERR_CONFIG, "there is no such device", step);
    else if (strcmp(kind, "memory") == 0)
        err = link_failed(link, ERR_MEMORY, "no memory for scratch", step);
    else if (strcmp(kind, "full") == 0)
        err = link_failed(link, ERR_FULL, "no room for the checkpoint", step);
    else if (strcmp(kind, "peer") == 0)
        err = link_failed(link, ERR_PEER, "rank 1 has gone", step);
    else if (strcmp(kind, "warn") == 0)
        link_warning(link, "this is another machine");
    else
        return false;
    return err == ERR_OK && strcmp(kind, "warn") != 0;
}

static enum err finish(struct link *link, const struct assignment *mine, uint64_t steps)
{
    char name[128], path[LINK_PATH + 128], text[128];
    struct hash content = save(mine, steps);
    const struct fence fence = {mine->run_folder, fence_given_claim()};
    if (fence_check(&fence) != ERR_OK)
        return link_failed(link, ERR_AGAIN, err_text(), steps);
    snprintf(name, sizeof name, "results/%s.json", mine->stage);
    snprintf(path, sizeof path, "%s/%s", mine->run_folder, name);
    int size = snprintf(text, sizeof text, "{\"key\": \"%s\"}", mine->stage_key);
    enum err err = file_write(path, text, (size_t)size);
    link_finish_measuring(link);
    return err == ERR_OK ? link_done(link, &content, name) : err;
}

static enum err evaluate(struct link *link, const struct assignment *mine, long scores)
{
    enum err err = fake_measure(link, mine, (int)scores, trace);
    if (mine->is_helper)
        return err;
    return err == ERR_OK ? finish(link, mine, (uint64_t)setting("FAKE_STEPS", 20))
                         : link_failed(link, err, "stopped", 0);
}

static enum err work(struct link *link, const struct assignment *mine)
{
    long scores = setting("FAKE_SCORES", 0);
    if (scores > 0 && strcmp(mine->stage, "evaluate") == 0)
        return evaluate(link, mine, scores);
    uint64_t steps = (uint64_t)setting("FAKE_STEPS", 20);
    uint64_t every = (uint64_t)setting("FAKE_EVERY", 5);
    if (getenv("FAKE_LOCK") && strcmp(mine->stage, "evaluate") != 0)
        lock_checkpoints(mine);
    uint64_t step = mine->is_resume ? load(mine) : 0;
    if (!mine->is_resume && mine->start[0])
        (void)load(mine);
    trace(mine, mine->is_resume ? "%s resumes %lld\n" : "%s starts %lld\n", (long long)step);
    while (step < steps) {
        if (misbehave(link, mine, step))
            return ERR_OK;
        wait_ms(setting("FAKE_STEP_MS", 2));
        step++;
        trace(mine, "%s step %lld\n", (long long)step);
        struct link_progress progress = {.step = step,
                                         .steps = steps,
                                         .images_per_second = 100,
                                         .loss = 1.0 / (double)step,
                                         .accuracy = -1,
                                         .doing = "training"};
        link_progress(link, &progress);
        bool stops = link_stop_requested(link);
        if (step % every == 0 || stops) {
            struct hash content = save(mine, step);
            link_checkpoint(link, step, &content);
        }
        if (stops)
            link_finish_measuring(link);
        if (stops)
            return link_is_lost(link) ? ERR_PEER
                                      : link_failed(link, ERR_INTERRUPTED, "stopped", step);
    }
    return finish(link, mine, steps);
}

int main(void)
{
    enum err err = ERR_OK;
    struct link_cfg cfg = {.ranks = 1, .version = "fake", .lineage = "none"};
    struct link *link = NULL;
    struct address address;
    struct assignment mine;
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    log_open(LOG_INFO, rank ? (int)strtol(rank, NULL, 10) : 0);
    if (rank && strcmp(rank, "0") != 0)
        return 0; /* only rank 0 speaks */
    cfg.silence_s = (double)setting("FAKE_SILENCE_S", 0);
    cfg.grace_s = (double)setting("FAKE_GRACE_S", 0);
    TRY(link_from_environment(&cfg, &address));
    TRY(link_open(&cfg, &link));
    while ((err = link_take(link, &mine)) == ERR_OK && (err = work(link, &mine)) == ERR_OK)
        continue;
    if (err == ERR_INTERRUPTED)
        err = ERR_OK;
out:
    if (err != ERR_OK)
        log_error("%s", err_text());
    link_close(&link);
    return err_exit_code(err);
}
