/* What people ask of a daemon. */
#include "base/clock.h"
#include "cluster/daemon/daemon_internal.h"
#include <stdio.h>
#include <string.h>

#define GB 1e9

static const char no_slurm[] = "the scheduler hands nothing to Slurm: it was started with --jobs "
                               "0, or there is no sbatch on its "
                               "machine; start it where sbatch is (a login node)";
static const char by_hold[] = "a person holds it", by_removal[] = "a person took it out";

static struct entry *find(const struct daemon *daemon, uint64_t id)
{
    for (int i = 0; i < daemon->count; i++)
        if (daemon->entries[i]->submitted.id == id)
            return daemon->entries[i];
    return NULL;
}

static enum err check_folder(const struct daemon *daemon, const struct submitted *submitted)
{
    for (int i = 0; i < daemon->count; i++) {
        const struct submitted *other = &daemon->entries[i]->submitted;
        if (!submitted_is_over(other) && strcmp(other->run_folder, submitted->run_folder) == 0)
            return err_set(ERR_AGAIN,
                           "campaign %llu has the run's folder %s already, and is %s: \"glowworm "
                           "queue remove %llu\" takes it out, --run-folder names another folder",
                           (unsigned long long)other->id, other->run_folder,
                           submitted_state_name(other->state), (unsigned long long)other->id);
    }
    return ERR_OK;
}

static enum err check_size(const struct daemon *daemon, const struct submitted *submitted)
{
    uint64_t most = daemon->cfg.capacity.memory_bytes;
    if (submitted_is_for_slurm(submitted) && daemon->cfg.capacity.jobs == 0)
        return err_set(ERR_UNAVAILABLE, "%s", no_slurm);
    if (most == 0 || submitted->memory_bytes <= most)
        return ERR_OK;
    return err_set(ERR_CONFIG,
                   "the campaign takes %.2f GB of memory, and the scheduler's machine has %.2f GB: "
                   "lower resources.gangs, resources.ranks or batch.micro",
                   (double)submitted->memory_bytes / GB, (double)most / GB);
}

static int count_over(const struct daemon *daemon)
{
    int over = 0;
    for (int i = 0; i < daemon->count; i++)
        over += submitted_is_over(&daemon->entries[i]->submitted);
    return over;
}

/* The oldest that is over makes room for a later one. */
static enum err forget_oldest(struct daemon *daemon)
{
    for (int i = 0; i < daemon->count; i++)
        if (submitted_is_over(&daemon->entries[i]->submitted))
            return daemon_forget(daemon, daemon->entries[i]);
    return ERR_OK;
}

static enum err check_room(struct daemon *daemon)
{
    int over = count_over(daemon);
    if (daemon->count - over >= DAEMON_MAX_WAITING)
        return err_set(ERR_AGAIN,
                       "%d campaigns wait or run, and there is no room for more: "
                       "\"glowworm queue remove ID\" makes some",
                       daemon->count - over);
    return over > DAEMON_MAX_OVER ? forget_oldest(daemon) : ERR_OK;
}

static enum err submit(struct daemon *daemon, const Gwd__Submit *message, uint64_t *id)
{
    enum err err = ERR_OK;
    struct submitted submitted = {0};
    TRY(submitted_accept(message, &submitted));
    TRY(check_folder(daemon, &submitted));
    TRY(check_size(daemon, &submitted));
    TRY(check_room(daemon));
    submitted.submitted_ms = clock_wall_ms();
    TRY(queue_store_add(daemon->store, &submitted));
    daemon_append(daemon, &submitted);
    *id = submitted.id;
    log_info("campaign %llu, %s, was submitted by %s: %d cores%s%s, priority %d",
             (unsigned long long)submitted.id, submitted.name, submitted.by, submitted.cores,
             submitted.site[0] ? ", for Slurm, site " : "", submitted.site, submitted.priority);
out:
    if (err != ERR_OK)
        submitted_fini(&submitted);
    return err;
}

static enum err refuse_over(const struct entry *entry)
{
    return err_set(ERR_CONFIG, "campaign %llu is %s: submit it again, and it goes on",
                   (unsigned long long)entry->submitted.id,
                   submitted_state_name(entry->submitted.state));
}

static enum err set_priority(struct daemon *daemon, struct entry *entry, int priority)
{
    struct submitted changed = entry->submitted;
    if (submitted_is_over(&changed))
        return refuse_over(entry);
    changed.priority = priority;
    return daemon_change(daemon, entry, &changed);
}

/* Who waits for its job is started again, at once, and then asked to stop it. */
static enum err stop_job(struct daemon *daemon, struct entry *entry, enum submitted_state then)
{
    struct submitted changed = entry->submitted;
    if (!submitted_owes_stop(&changed) || then == SUBMITTED_REMOVED)
        changed.then = then;
    changed.not_before_ms = 0;
    snprintf(changed.text, sizeof changed.text, "%s",
             changed.then == SUBMITTED_REMOVED ? by_removal : by_hold);
    return daemon_change(daemon, entry, &changed);
}

/* One that is being removed stays so. */
static enum err hold(struct daemon *daemon, struct entry *entry)
{
    struct submitted changed = entry->submitted;
    if (submitted_is_over(&changed))
        return refuse_over(entry);
    if (changed.state == SUBMITTED_RUNNING)
        return daemon_stop(daemon, entry, SUBMITTED_HELD, by_hold);
    if (changed.state == SUBMITTED_STOPPING && changed.then == SUBMITTED_WAITING)
        changed.then = SUBMITTED_HELD;
    else if (changed.state == SUBMITTED_WAITING && changed.may_have_job)
        return stop_job(daemon, entry, SUBMITTED_HELD);
    else if (changed.state == SUBMITTED_WAITING)
        changed.state = SUBMITTED_HELD;
    return daemon_change(daemon, entry, &changed);
}

/* One that pauses since it was lost does not pause any more. */
static enum err release(struct daemon *daemon, struct entry *entry)
{
    struct submitted changed = entry->submitted;
    if (submitted_is_over(&changed))
        return refuse_over(entry);
    bool is_stopping = changed.state == SUBMITTED_STOPPING || submitted_owes_stop(&changed);
    if (is_stopping && changed.then == SUBMITTED_HELD)
        changed.then = SUBMITTED_WAITING;
    else if (changed.state == SUBMITTED_HELD)
        changed.state = SUBMITTED_WAITING;
    changed.not_before_ms = 0;
    changed.losses = 0;
    changed.blocked = 0;
    return daemon_change(daemon, entry, &changed);
}

/* Its run's folder stays. */
static enum err take_out(struct daemon *daemon, struct entry *entry)
{
    if (submitted_has_runner(&entry->submitted))
        return daemon_stop(daemon, entry, SUBMITTED_REMOVED, by_removal);
    if (entry->submitted.may_have_job)
        return stop_job(daemon, entry, SUBMITTED_REMOVED);
    return daemon_forget(daemon, entry);
}

static enum err change(struct daemon *daemon, const Gwd__Change *asked)
{
    struct entry *entry = find(daemon, asked->id);
    if (!entry)
        return err_set(ERR_NOT_FOUND, "there is no campaign %llu: \"glowworm queue\" lists them",
                       (unsigned long long)asked->id);
    switch (asked->verb) {
    case GWD__VERB__PRIORITY:
        return set_priority(daemon, entry, asked->priority);
    case GWD__VERB__HOLD:
        return hold(daemon, entry);
    case GWD__VERB__RELEASE:
        return release(daemon, entry);
    case GWD__VERB__REMOVE:
        return take_out(daemon, entry);
    default:
        return err_set(ERR_DATA, "there is no change of number %d", (int)asked->verb);
    }
}

static void explain_slurm(const struct daemon *daemon, char *why, size_t room)
{
    int jobs = daemon->cfg.capacity.jobs;
    if (jobs == 0)
        snprintf(why, room, "%s", no_slurm);
    else
        snprintf(why, room, "for one of the %d jobs in Slurm that there may be at once (--jobs)",
                 jobs);
}

/* As a person reads it. */
static void explain(const struct daemon *daemon, const struct entry *entry, char *why, size_t room)
{
    const struct submitted *campaign = &entry->submitted;
    double pause_s = (double)(campaign->not_before_ms - clock_wall_ms()) / 1000;
    why[0] = '\0';
    if (campaign->state != SUBMITTED_WAITING) {
        snprintf(why, room, "%s", campaign->text);
        return;
    }
    if (entry->reason.why == QUEUE_PAUSES && pause_s > 0)
        snprintf(why, room, "is tried again in %.0f s: %.900s", pause_s, campaign->text);
    else if (entry->reason.why == QUEUE_ROOM && submitted_is_for_slurm(campaign))
        explain_slurm(daemon, why, room);
    else if (entry->reason.why == QUEUE_ROOM && campaign->cores >= daemon->cfg.capacity.cores)
        snprintf(why, room, "for room: it takes all %d cores and runs alone",
                 daemon->cfg.capacity.cores);
    else if (entry->reason.why == QUEUE_ROOM)
        snprintf(why, room, "for room: it takes %d of %d cores, %.1f GB", campaign->cores,
                 daemon->cfg.capacity.cores, (double)campaign->memory_bytes / GB);
    else if (entry->reason.why == QUEUE_MADE)
        snprintf(why, room, "others stop for it");
    else if (entry->reason.why == QUEUE_TURN)
        snprintf(why, room, "campaign %llu is before it", (unsigned long long)entry->reason.behind);
}

static Gwd__Listed *list_one(const struct daemon *daemon, const struct entry *entry,
                             struct arena *arena)
{
    char why[SUBMITTED_TEXT + 64];
    Gwd__Listed *listed = arena_alloc(arena, sizeof *listed);
    gwd__listed__init(listed);
    listed->submitted = arena_alloc(arena, sizeof *listed->submitted);
    submitted_write(&entry->submitted, listed->submitted);
    explain(daemon, entry, why, sizeof why);
    listed->why = arena_string(arena, why);
    char *log = daemon_log_path(daemon, &entry->submitted);
    listed->log = arena_string(arena, log);
    mem_free(log);
    return listed;
}

static void list(const struct daemon *daemon, uint64_t after, Gwd__Reply *reply,
                 struct arena *arena)
{
    reply->listed = arena_alloc(arena, CONTROL_LISTED * sizeof *reply->listed);
    for (int i = 0; i < daemon->count; i++) {
        if (daemon->entries[i]->submitted.id <= after)
            continue;
        reply->has_more = reply->n_listed == CONTROL_LISTED;
        if (reply->has_more)
            return;
        reply->listed[reply->n_listed++] = list_one(daemon, daemon->entries[i], arena);
    }
}

void daemon_answer(void *own, const Gwd__Request *request, Gwd__Reply *reply, struct arena *arena)
{
    enum err err = ERR_OK;
    struct daemon *daemon = own;
    if (request->body_case == GWD__REQUEST__BODY_SUBMIT)
        err = submit(daemon, request->submit, &reply->id);
    else if (request->body_case == GWD__REQUEST__BODY_CHANGE)
        err = change(daemon, request->change);
    else
        list(daemon, request->list->after, reply, arena);
    if (err != ERR_OK)
        control_refuse(err, reply, arena);
}
