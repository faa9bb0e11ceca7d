#include "cluster/scratch/copier.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_S    30.0 /* after a failure */
#define ENDING_S   10.0 /* of a child that was killed */
#define NAP_MS     50
#define TAIL_BYTES ((size_t)2048)

struct copier {
    struct copier_cfg cfg;
    struct loop_view view;
    struct process child; /* pid 0: none runs */
    char *log;
    double next_s; /* to publish at the latest then */
    bool is_asked; /* to publish at once */
    bool is_failing;
};

static enum err start(struct copier *copier)
{
    enum err err = ERR_OK;
    char claim[32];
    const struct copier_cfg *cfg = &copier->cfg;
    snprintf(claim, sizeof claim, "%llu", (unsigned long long)cfg->claim);
    const char *argv[] = {cfg->glowworm, "publish",  cfg->run_folder, "--claim",
                          claim,         "--stores", cfg->stores,     NULL};
    const char *environment[] = {NULL};
    struct process_cfg process = {
        .argv = argv, .environment = environment, .log_path = copier->log};
    unlink(copier->log); /* of the one before */
    TRY(process_start(&process, &copier->child));
out:
    return err;
}

/* The last line of what the child said. */
static void read_reason(const struct copier *copier, struct text *reason)
{
    char *bytes = NULL;
    size_t size = 0;
    if (file_read_tail(copier->log, TAIL_BYTES, &bytes, &size) != ERR_OK)
        size = 0;
    while (size > 0 && bytes[size - 1] == '\n')
        size--;
    size_t at = size;
    while (at > 0 && bytes[at - 1] != '\n')
        at--;
    text_add_safe(reason, bytes ? bytes + at : "", size - at);
    mem_free(bytes);
}

static enum err judge(struct copier *copier, const struct process_end *end)
{
    static const enum err errors[] = {ERR_AGAIN, ERR_DATA, ERR_CONFIG, ERR_FULL};
    enum err err = ERR_OK;
    struct text reason;
    text_init(&reason);
    copier->child = (struct process){0};
    if (end->code != 0) {
        read_reason(copier, &reason);
        err = ERR_FAILED;
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
            err = end->code == err_exit_code(errors[i]) ? errors[i] : err;
        err_set(err, "the run could not be published: %s",
                reason.size > 0 ? text_get(&reason) : "its process was killed");
    }
    text_fini(&reason);
    return err;
}

static void take_outcome(struct copier *copier, enum err err)
{
    copier->next_s = clock_seconds() + copier->cfg.every_s;
    if (err != ERR_OK) {
        log_warn("%s; it goes on, and tries again", err_text());
        copier->next_s = clock_seconds() + fmin(AGAIN_S, copier->cfg.every_s);
    } else if (copier->is_failing) {
        log_warn("the run is published again");
    }
    copier->is_failing = err != ERR_OK;
}

static void on_tick(void *own)
{
    struct copier *copier = own;
    if (copier->child.pid != 0) {
        struct process_end end = process_poll(&copier->child);
        if (end.has_ended)
            take_outcome(copier, judge(copier, &end));
    } else if (copier->is_asked || clock_seconds() >= copier->next_s) {
        copier->is_asked = false;
        enum err err = start(copier);
        if (err != ERR_OK)
            take_outcome(copier, err);
    }
}

/* A child that runs was begun before: another one follows it. */
static void on_done(void *own, const struct gang *gang, double seconds)
{
    struct copier *copier = own;
    (void)gang, (void)seconds;
    copier->is_asked = true;
}

struct copier *copier_create(const struct copier_cfg *cfg)
{
    struct copier *copier = mem_alloc(sizeof *copier);
    char *logs = file_join(cfg->run_folder, "logs");
    copier->cfg = *cfg;
    copier->view = (struct loop_view){.own = copier, .done = on_done, .tick = on_tick};
    copier->log = file_join(logs, "publish.log");
    copier->next_s = clock_seconds() + cfg->every_s;
    if (file_make_folders(logs) != ERR_OK)
        log_warn("%s", err_text());
    mem_free(logs);
    return copier;
}

const struct loop_view *copier_view(struct copier *copier)
{
    return &copier->view;
}

static void kill_child(struct copier *copier)
{
    double end = clock_seconds() + ENDING_S;
    if (copier->child.pid == 0)
        return;
    process_signal(&copier->child, SIGKILL);
    while (!process_poll(&copier->child).has_ended && clock_seconds() < end)
        nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000L}, NULL);
    copier->child = (struct process){0};
}

static enum err await(struct copier *copier)
{
    const struct loop_view *meanwhile = copier->cfg.meanwhile;
    for (;;) {
        struct process_end end = process_poll(&copier->child);
        if (end.has_ended)
            return judge(copier, &end);
        if (copier->cfg.stop_asked && *copier->cfg.stop_asked >= 3) {
            kill_child(copier);
            return err_set(ERR_INTERRUPTED, "the run was not published: a third interrupt");
        }
        if (meanwhile && meanwhile->tick)
            meanwhile->tick(meanwhile->own);
        nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000L}, NULL);
    }
}

/* One that runs now was begun before the last word. */
enum err copier_finish(struct copier *copier)
{
    enum err err = ERR_OK;
    if (copier->child.pid != 0 && await(copier) != ERR_OK)
        log_warn("%s", err_text());
    TRY(start(copier));
    TRY(await(copier));
out:
    return err;
}

void copier_destroy(struct copier **destroyed)
{
    struct copier *copier = *destroyed;
    if (!copier)
        return;
    kill_child(copier);
    mem_free(copier->log);
    mem_free(copier);
    *destroyed = NULL;
}
