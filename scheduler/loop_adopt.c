/* Gangs that outlived their runner and go on under us. What the journal and the file where they
 * met their runner say is believed as far as it can be checked; the rest they say themselves. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "scheduler/loop_internal.h"
#include "scheduler/mpi_folder.h"
#include "scheduler/socket_folder.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOCK_S 2.0 /* another run's sweep holds it for a moment */

static int find_stage(const struct graph *graph, const struct hash *key)
{
    for (int i = 0; i < graph->count; i++)
        if (hash_equal(&graph->stages[i].key, key))
            return i;
    return -1;
}

/* Of a host stage nobody would hear the exit code. */
static bool is_wanted(const struct loop_cfg *cfg, const struct attempt_record *record, int *stage)
{
    *stage = find_stage(cfg->graph, &record->key);
    return *stage >= 0 && !cfg->graph->stages[*stage].is_host && !record->is_helper;
}

static enum err find_lease(struct journal *journal, const struct attempt_record *record,
                           bool *is_current)
{
    struct stage_record stage = {0};
    enum err err = journal_stage(journal, &record->key, &stage);
    *is_current = err == ERR_OK && stage.is_leased && stage.lease_epoch == record->lease_epoch;
    if (err == ERR_OK)
        stage_record_fini(&stage);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static bool is_alive(const struct attempt_record *record, struct process *process)
{
    char mark[JOURNAL_PATH + 64];
    *process = (struct process){.pid = record->pid, .started_ticks = record->pid_started};
    if (!leftover_is_here(record) || socket_folder_check(record->socket_folder) != ERR_OK)
        return false;
    leftover_mark(record->socket_folder, mark, sizeof mark);
    const char *endpoint = strchr(mark, '=') + 1;
    launch_gang_mark(endpoint, record->lease_epoch, process->mark, sizeof process->mark);
    return process_lives(process) && process_is_marked(process, mark);
}

/* Whether it can be met where it looks for its runner. */
static bool can_meet(const struct loop_cfg *cfg, const struct attempt_record *record,
                     struct rendezvous *rendezvous)
{
    enum err err = rendezvous_read(launch_own_folder(&cfg->launch), cfg->campaign, rendezvous);
    if (err == ERR_OK && strcmp(rendezvous->socket_folder, record->socket_folder) != 0)
        err = err_set(ERR_CONFIG, "the run's file \"" RENDEZVOUS_NAME "\" is of other gangs");
    if (err != ERR_OK)
        log_warn("stage %s: its gang was left running and is replaced: %s", record->name,
                 err_text());
    return err == ERR_OK;
}

bool left_gangs_have(const struct left_gangs *left, uint64_t lease_epoch)
{
    for (int i = 0; i < left->count; i++)
        if (left->records[i].lease_epoch == lease_epoch)
            return true;
    return false;
}

enum err adopt_consider(const struct loop_cfg *cfg, const struct attempt_record *record,
                        struct left_gangs *left)
{
    enum err err = ERR_OK;
    bool is_current = false;
    int stage = -1;
    struct process process;
    if (left->count == PLAN_MAX_STAGES || !is_wanted(cfg, record, &stage))
        return ERR_OK;
    TRY(find_lease(cfg->journal, record, &is_current));
    if (!is_current || !is_alive(record, &process) || !can_meet(cfg, record, &left->rendezvous))
        return ERR_OK;
    left->stages[left->count] = stage;
    left->processes[left->count] = process;
    left->records[left->count++] = *record;
out:
    return err;
}

static enum err await_lock(const char *folder, int *lock)
{
    double end = clock_seconds() + LOCK_S;
    while ((*lock = socket_folder_lock(folder)) < 0 && errno == EWOULDBLOCK &&
           clock_seconds() < end)
        loop_nap();
    return *lock >= 0 ? ERR_OK : err_set(ERR_UNAVAILABLE, "%s: %s", folder, strerror(errno));
}

/* Where it cannot be had, gangs of ours get another one. */
static void take_mpi_folder(struct loop *loop, const char *folder)
{
    if (!folder[0] || socket_folder_check(folder) != ERR_OK ||
        await_lock(folder, &loop->mpi_lock) != ERR_OK)
        return;
    snprintf(loop->mpi_folder, sizeof loop->mpi_folder, "%s", folder);
}

enum err adopt_meet(struct loop *loop, const struct left_gangs *left)
{
    enum err err = ERR_OK;
    const struct rendezvous *at = &left->rendezvous;
    TRY(await_lock(at->socket_folder, &loop->socket_lock));
    memcpy(loop->socket_folder, at->socket_folder, sizeof loop->socket_folder);
    memcpy(loop->token, at->token, sizeof loop->token);
    loop->port = at->port;
    TRY(loop_open_wire(loop));
    take_mpi_folder(loop, at->mpi_folder);
out:
    if (err != ERR_OK) { /* its folder is cleared with its gangs */
        if (loop->socket_lock >= 0)
            close(loop->socket_lock);
        loop->socket_lock = -1;
        loop->socket_folder[0] = '\0';
        loop->port = 0;
    }
    return err;
}

/* How far it is, as the journal knows; it will say more. */
static enum err recall(struct loop *loop, const struct attempt_record *record, struct gang *gang)
{
    enum err err = ERR_OK;
    struct stage_record stage = {0};
    TRY(journal_stage(loop->cfg->journal, &record->key, &stage));
    gang->progress.step = stage.step;
    gang->first_step = record->first_step;
    gang->progress.steps = stage.steps;
    gang->made_progress = stage.checkpoint[0] && stage.step > record->first_step;
    gang->saved_step = gang->noted_step = gang->made_progress ? stage.step : 0;
out:
    stage_record_fini(&stage);
    return err;
}

static double age_s(const struct attempt_record *record, double now_s)
{
    double age = (double)(clock_wall_ms() - record->started_ms) / 1000.0;
    return age < 0 ? 0 : age < now_s ? age : now_s; /* somebody may have set the clock */
}

static enum err adopt(struct loop *loop, const struct left_gangs *left, int at)
{
    enum err err = ERR_OK;
    const struct attempt_record *record = &left->records[at];
    struct attempt *attempt = &loop->attempts[left->stages[at]];
    struct gang *gang = &attempt->gang;
    double now = clock_seconds();
    attempt_begin(loop, attempt, left->stages[at]);
    gang->lease =
        (struct lease){.key = record->key, .epoch = record->lease_epoch, .attempt = record->number};
    memcpy(gang->lease.name, record->name, sizeof gang->lease.name);
    memcpy(gang->log, record->log, sizeof gang->log);
    gang->process = left->processes[at];
    gang->process.mark[0] = '\0'; /* it served to spare the gang */
    launch_reach(&loop->cfg->launch, loop->endpoint, record->lease_epoch, &gang->process);
    gang->started_s = now - age_s(record, now);
    gang->heard_s = gang->moved_s = gang->adopted_s = now;
    TRY(recall(loop, record, gang));
    gang->is_running = attempt->is_recorded = true;
    gang->oom_kills = oom_kills(loop_system_root(loop));
    policy_started(&loop->policy, gang->stage);
    log_info("stage %s: waiting for a word of the gang that was left running, process %lld",
             gang->lease.name, (long long)gang->process.pid);
out:
    return err;
}

enum err adopt_all(struct loop *loop, const struct left_gangs *left)
{
    enum err err = ERR_OK;
    for (int i = 0; i < left->count; i++)
        TRY(adopt(loop, left, i));
out:
    return err;
}

void adopt_hear_first(struct loop *loop, struct gang *gang, const Gw__FromWorker *message)
{
    if (gang->adopted_s == 0 || gang->has_peer)
        return;
    if (message->body_case == GW__FROM_WORKER__BODY_PROGRESS)
        gang->progress.step = message->progress->step;
    VIEW(loop, adopted, gang);
}

struct told { /* is it among what was told? */
    const char *stage, *text;
    int64_t since_ms;
    bool is_found;
};

static enum err compare(const struct event_record *event, void *own)
{
    struct told *told = own;
    if (strcmp(event->kind, "warning") == 0 && event->at_ms >= told->since_ms &&
        strcmp(event->stage, told->stage) == 0 && strcmp(event->text, told->text) == 0)
        told->is_found = true;
    return ERR_OK;
}

bool adopt_has_told(struct loop *loop, const struct gang *gang, const char *warning)
{
    double age = clock_seconds() - gang->started_s;
    struct told told = {.stage = gang->lease.name,
                        .text = warning,
                        .since_ms = clock_wall_ms() - (int64_t)(age * 1000) - 1000};
    return gang->adopted_s > 0 && journal_events(loop->cfg->journal, compare, &told) == ERR_OK &&
           told.is_found;
}
