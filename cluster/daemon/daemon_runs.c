/* The runners of a daemon: found again, started, asked to stop, and what came of them. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "cluster/daemon/daemon_internal.h"
#include <stdio.h>
#include <string.h>

#define STORE_PAUSE_S 5.0

static unsigned long long id_of(const struct entry *entry)
{
    return (unsigned long long)entry->submitted.id;
}

void daemon_adopt(struct daemon *daemon, struct entry *entry)
{
    (void)daemon;
    campaign_runner_adopt(&entry->submitted, &entry->runner);
    log_info("campaign %llu, %s: its runner, process %lld, %s", id_of(entry), entry->submitted.name,
             (long long)entry->submitted.pid,
             entry->runner.end.has_ended ? "ended meanwhile" : "goes on");
}

int daemon_count_runners(const struct daemon *daemon, enum daemon_where where)
{
    int count = 0;
    for (int i = 0; i < daemon->count; i++) {
        const struct submitted *one = &daemon->entries[i]->submitted;
        bool counts = where == DAEMON_ANYWHERE || !submitted_is_for_slurm(one);
        count += counts && submitted_has_runner(one);
    }
    return count;
}

enum err daemon_stop(struct daemon *daemon, struct entry *entry, enum submitted_state then,
                     const char *text)
{
    enum err err = ERR_OK;
    struct submitted changed = entry->submitted;
    changed.state = SUBMITTED_STOPPING;
    changed.then = then;
    snprintf(changed.text, sizeof changed.text, "%s", text);
    TRY(daemon_change(daemon, entry, &changed));
    TRY(FAULT("daemon.stop"));
    log_info("campaign %llu, %s, is asked to stop: %s", id_of(entry), entry->submitted.name, text);
    campaign_runner_stop(&entry->runner, &entry->submitted);
out:
    return err;
}

static void say_outcome(const struct entry *entry)
{
    const struct submitted *campaign = &entry->submitted;
    const char *between = campaign->text[0] ? ": " : "";
    log_info("campaign %llu, %s: %s%s%s", id_of(entry), campaign->name,
             submitted_state_name(campaign->state), between, campaign->text);
}

/* False: the store does not take it, and it is looked at again. */
static bool judge(struct daemon *daemon, struct entry *entry, const struct runner_seen *seen)
{
    struct submitted changed = entry->submitted;
    runner_end_judge(&changed, seen, clock_wall_ms());
    if (daemon_change(daemon, entry, &changed) != ERR_OK) {
        log_warn_rate(&daemon->troubles, "what became of campaign %llu cannot be written: %s",
                      id_of(entry), err_text());
        return false;
    }
    entry->runner = (struct campaign_runner){0};
    say_outcome(entry);
    return true;
}

static void look_at_end(struct daemon *daemon, struct entry *entry)
{
    struct runner_traces traces;
    struct runner_seen seen;
    char *log = daemon_log_path(daemon, &entry->submitted);
    campaign_runner_look(&entry->runner, &entry->submitted, log, &traces, &seen);
    (void)judge(daemon, entry, &seen);
    runner_traces_fini(&traces);
    mem_free(log);
}

void daemon_look(struct daemon *daemon)
{
    for (int i = 0; i < daemon->count; i++) {
        struct entry *entry = daemon->entries[i];
        if (!submitted_has_runner(&entry->submitted))
            continue;
        if (!campaign_runner_runs(&entry->runner))
            look_at_end(daemon, entry);
        else if (entry->submitted.state == SUBMITTED_STOPPING)
            campaign_runner_stop(&entry->runner, &entry->submitted);
    }
}

struct starting {
    struct daemon *daemon;
    struct entry *entry;
};

/* Of one that may have a job it is that which is waited for, or stopped. */
static void note_job(struct submitted *changed)
{
    bool owes_stop = submitted_owes_stop(changed);
    changed->state = owes_stop ? SUBMITTED_STOPPING : SUBMITTED_RUNNING;
    changed->jobs += submitted_is_for_slurm(changed) && !changed->may_have_job;
    changed->may_have_job = submitted_is_for_slurm(changed);
    if (!owes_stop)
        changed->text[0] = '\0';
}

/* Before the runner begins: whoever reads the store can find it. */
static enum err note_start(void *own, const struct process *process)
{
    struct starting *starting = own;
    struct submitted changed = starting->entry->submitted;
    note_job(&changed);
    changed.pid = process->pid;
    changed.started_ticks = process->started_ticks;
    process_place(changed.place, sizeof changed.place);
    changed.exit_code = -1;
    changed.starts++;
    changed.started_ms = clock_wall_ms();
    changed.ended_ms = 0;
    changed.not_before_ms = 0;
    enum err err = daemon_change(starting->daemon, starting->entry, &changed);
    return err == ERR_OK ? FAULT("daemon.noted") : err;
}

/* As if it had ended so. Where the store takes nothing it waits as it did. */
static void fail_start(struct daemon *daemon, struct entry *entry, enum err why)
{
    char text[SUBMITTED_TEXT];
    snprintf(text, sizeof text, "%s", err_text());
    log_warn_rate(&daemon->troubles, "campaign %llu cannot be started: %s", id_of(entry), text);
    int code = err_exit_code(why == ERR_IO ? ERR_AGAIN : why);
    const struct runner_seen seen = {.code = entry->submitted.may_have_job ? -1 : code,
                                     .last_words = text,
                                     .has_no_room = why == ERR_FULL};
    if (!judge(daemon, entry, &seen))
        daemon->starts_after_s = clock_seconds() + STORE_PAUSE_S;
}

static void start(struct daemon *daemon, struct entry *entry)
{
    struct starting starting = {daemon, entry};
    char *log = daemon_log_path(daemon, &entry->submitted);
    const struct campaign_runner_cfg cfg = {.glowworm = daemon->cfg.glowworm,
                                            .log_path = log,
                                            .campaign = &entry->submitted,
                                            .note = note_start,
                                            .own = &starting};
    enum err err = campaign_runner_start(&cfg, &entry->runner);
    if (err != ERR_OK)
        fail_start(daemon, entry, err);
    else
        log_info("campaign %llu, %s, starts: process %lld, log %s", id_of(entry),
                 entry->submitted.name, (long long)entry->submitted.pid, log);
    mem_free(log);
}

static void make_room(struct daemon *daemon, struct entry *entry, uint64_t campaign)
{
    char text[80];
    snprintf(text, sizeof text, "makes room for campaign %llu", (unsigned long long)campaign);
    if (daemon_stop(daemon, entry, SUBMITTED_WAITING, text) != ERR_OK)
        log_warn_rate(&daemon->troubles, "campaign %llu cannot be stopped: %s", id_of(entry),
                      err_text());
}

static void act(struct daemon *daemon, const struct queue_plan *plan)
{
    for (int i = 0; i < plan->action_count; i++) {
        const struct queue_action *action = &plan->actions[i];
        struct entry *entry = daemon->entries[action->campaign];
        if (action->verb == QUEUE_STOP)
            make_room(daemon, entry, action->makes_room);
        else if (clock_seconds() >= daemon->starts_after_s)
            start(daemon, entry);
    }
}

void daemon_schedule(struct daemon *daemon)
{
    size_t count = (size_t)daemon->count + 1;
    struct arena *arena = arena_create();
    const struct submitted **campaigns = arena_alloc(arena, count * sizeof *campaigns);
    struct queue_plan plan = {.actions = arena_alloc(arena, count * sizeof *plan.actions),
                              .reasons = arena_alloc(arena, count * sizeof *plan.reasons)};
    for (int i = 0; i < daemon->count; i++)
        campaigns[i] = &daemon->entries[i]->submitted;
    queue_policy(campaigns, daemon->count, &daemon->cfg.capacity, clock_wall_ms(), &plan);
    for (int i = 0; i < daemon->count; i++)
        daemon->entries[i]->reason = plan.reasons[i];
    act(daemon, &plan);
    arena_destroy(arena);
}
