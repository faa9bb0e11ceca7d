#include "scheduler/loop.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/processors.h"
#include "scheduler/loop_internal.h"
#include "scheduler/sweep.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS       100
#define LAST_RESORT_S 10.0 /* to see the end of a killed session */

/* So many host stages have processors for their threads. */
static int count_hosts(const struct loop_cfg *cfg)
{
    int threads = cfg->campaign->resources.threads, processors = processors_allowed();
    int hosts = threads > 1 ? processors / threads : processors;
    return hosts > 1 ? hosts : 1;
}

static struct policy_capacity find_capacity(const struct loop_cfg *cfg)
{
    struct policy_capacity capacity = cfg->capacity;
    if (capacity.gangs == 0)
        capacity.gangs = 1;
    if (capacity.hosts == 0)
        capacity.hosts = count_hosts(cfg);
    return capacity;
}

static void recall_stage(struct loop *loop, int stage, const struct stage_record *record)
{
    struct policy_memory memory = {.budget = &record->budget,
                                   .cause = record->cause,
                                   .ago_ms = clock_wall_ms() - record->ended_ms};
    policy_recall(&loop->policy, stage, &memory, loop_now_ms());
}

static void init_policy(struct loop *loop)
{
    const struct loop_cfg *cfg = loop->cfg;
    policy_init(&loop->policy, cfg->graph);
    loop->policy.capacity = find_capacity(cfg);
    if (cfg->backoff_ms > 0)
        loop->policy.backoff_ms = cfg->backoff_ms;
    for (int i = 0; i < cfg->graph->count; i++) {
        const struct survey_stage *stage = &cfg->survey->stages[i];
        bool is_damaged = stage->why && stage->why[0];
        loop->has_checkpoint[i] = stage->verdict == SURVEY_PARTIAL && !is_damaged;
        if (stage->has_record)
            recall_stage(loop, i, &stage->record);
        if (stage->verdict != SURVEY_DONE)
            continue;
        loop->policy.stages[i].status = POLICY_DONE;
        memcpy(loop->contents[i], stage->record.content, sizeof loop->contents[i]);
    }
}

/* The journal's word is what a later runner goes by: what the survey found gone is no longer done.
 */
static enum err reopen_lost(const struct loop_cfg *cfg)
{
    enum err err = ERR_OK;
    for (int i = 0; i < cfg->graph->count; i++)
        if (cfg->survey->stages[i].verdict == SURVEY_LOST)
            TRY(journal_reopen(cfg->journal, &cfg->graph->stages[i].key,
                               cfg->survey->stages[i].why));
out:
    return err;
}

enum cause loop_stop_cause(const struct loop *loop)
{
    if (loop->cfg->why_stopped)
        return loop->cfg->why_stopped();
    return loop->is_job_ending ? CAUSE_PREEMPTED : CAUSE_STOPPED;
}

static void stop(struct loop *loop, struct attempt *attempt, int count)
{
    struct gang *gang = &attempt->gang;
    if (count == 1) {
        gang->is_stop_asked = true;
        if (gang->is_host || gang->is_job)
            process_signal(&gang->process, SIGTERM);
        tell_at_once(loop, attempt);
    }
    if (count >= 3 && !attempt->end.has_ended)
        gang_kill(gang, ERR_INTERRUPTED, "a third interrupt", clock_seconds());
    if (!gang->is_helper)
        VIEW(loop, stopping, gang, count);
}

static void stop_all(struct loop *loop, int count)
{
    loop->policy.is_stopping = true;
    if (!attempt_running(loop, loop->attempts))
        VIEW(loop, stopping, NULL, count);
    for (EACH_RUNNING(loop, attempt))
        stop(loop, attempt, count);
}

static void heed_stops(struct loop *loop)
{
    while (loop->cfg->stop_asked && loop->stops_seen < *loop->cfg->stop_asked)
        stop_all(loop, ++loop->stops_seen);
    if (loop->is_job_ending && !loop->policy.is_stopping)
        stop_all(loop, 1);
}

/* The end of a process is about to come. */
static bool is_any_leaving(struct loop *loop)
{
    for (EACH_RUNNING(loop, attempt))
        if (!attempt->end.has_ended && (attempt->gang.is_host || attempt->gang.left_s > 0))
            return true;
    return false;
}

/* An earlier runner's child is none of ours. */
static struct process_end poll_gang(const struct gang *gang, bool has_child_ended)
{
    bool may_have_ended = has_child_ended || gang->adopted_s > 0;
    return may_have_ended ? process_poll(&gang->process) : (struct process_end){0};
}

static enum err watch(struct loop *loop, struct attempt *attempt, bool has_child_ended)
{
    enum err err = ERR_OK;
    struct gang *gang = &attempt->gang;
    tell_pulse(loop, attempt);
    if (full_holds(loop)) /* it may have nothing to do but to wait for our answer */
        gang->moved_s = clock_seconds();
    gang_watch(gang, &loop->cfg->limits, clock_seconds());
    attempt_await_end(loop, attempt);
    attempt->end = poll_gang(gang, has_child_ended);
    if (attempt->end.has_ended) {
        gang->gone_s = clock_seconds();
        TRY(listen_all(loop, 0)); /* its last words may still be in the socket */
    } else if (!attempt->is_recorded && !full_holds(loop)) {
        TRY(full_heed(loop, attempt_record(loop, attempt)));
    }
out:
    return err;
}

/* A stop does not wait for room. */
static bool may_reap(struct loop *loop, const struct attempt *attempt)
{
    return attempt->end.has_ended &&
           (attempt->gang.is_ended || loop->policy.is_stopping || !full_holds(loop));
}

static enum err look_after(struct loop *loop, struct attempt *attempt, bool has_child_ended)
{
    enum err err = ERR_OK;
    if (!attempt->end.has_ended)
        TRY(watch(loop, attempt, has_child_ended));
    if (may_reap(loop, attempt))
        TRY(full_heed(loop, attempt_reap(loop, attempt, &attempt->end)));
out:
    return err;
}

static enum err serve(struct loop *loop)
{
    enum err err = ERR_OK;
    heed_stops(loop);
    TRY(listen_all(loop, is_any_leaving(loop) ? LEAVING_MS : TICK_MS));
    attempt_watch_oom(loop);
    bool has_child_ended = process_any_has_ended();
    for (EACH_RUNNING(loop, attempt))
        TRY(look_after(loop, attempt, has_child_ended));
    if (!full_holds(loop))
        TRY(full_heed(loop, helpers_let_go(loop)));
    share_out(loop);
    if (loop->cfg->view && loop->cfg->view->tick)
        loop->cfg->view->tick(loop->cfg->view->own);
out:
    return err;
}

static struct policy_actions ask_policy(struct loop *loop)
{
    attempts_hold(loop);
    for (int i = 0; i < loop->cfg->graph->count; i++)
        loop->policy.stages[i].wants_helpers = shares_waiting(loop->shares, i) > 0;
    away_look(loop);
    return policy_next(&loop->policy, loop_now_ms());
}

static enum err act(struct loop *loop, const struct policy_action *action)
{
    switch (action->verb) {
    case POLICY_START:
        return attempt_start(loop, action->stage);
    case POLICY_HELP:
        return helper_start(loop, action->stage, action->place);
    case POLICY_RELEASE:
        return helper_release(loop, action->stage);
    default:
        BUG("an action that says how to go on before the last");
    }
}

/* All but the last, which says how to go on. What a full disk keeps from being done the policy
 * asks for again. */
static enum err act_all(struct loop *loop, const struct policy_actions *actions)
{
    enum err err = ERR_OK;
    for (int i = 0; i < actions->count - 1 && full_allows_start(loop); i++)
        TRY(full_heed(loop, act(loop, &actions->list[i])));
out:
    return err;
}

static enum err check_owner(struct loop *loop)
{
    const struct loop_cfg *cfg = loop->cfg;
    enum err err = cfg->check_owner ? cfg->check_owner(cfg->owner) : ERR_OK;
    loop->is_lost = err != ERR_OK;
    return err;
}

static enum err tell_stopped(const struct loop *loop)
{
    if (loop->cfg->was_stopped)
        *loop->cfg->was_stopped = true;
    return loop->full.is_unwritten
               ? err_set(ERR_FULL,
                         "stopped, but the disk of %s has no room for the last words of what ran: "
                         "make room, and the same command continues from the checkpoints",
                         journal_folder(loop->cfg->journal))
               : err_set(ERR_INTERRUPTED, "stopped; the same command continues");
}

static enum err go_on(struct loop *loop)
{
    enum err err = ERR_OK;
    for (;;) {
        TRY(check_owner(loop));
        heed_stops(loop);
        struct policy_actions actions = ask_policy(loop);
        TRY(act_all(loop, &actions));
        switch (actions.list[actions.count - 1].verb) {
        case POLICY_START:
        case POLICY_HELP:
        case POLICY_RELEASE:
            BUG("the last action does not say how to go on");
        case POLICY_WAIT:
            TRY(serve(loop));
            break;
        case POLICY_FINISHED:
            return ERR_OK;
        case POLICY_STOPPED:
            return tell_stopped(loop);
        case POLICY_GIVE_UP:
            return err_set(loop->first_error, "%s", loop->first_text);
        }
    }
out:
    return err;
}

/* It has not said its last word, nor been killed. */
static bool may_save(const struct gang *gang)
{
    return gang->has_peer && gang->left_s == 0 && process_signal(&gang->process, 0) > 0;
}

static bool is_any_saving(struct loop *loop)
{
    for (EACH_RUNNING(loop, attempt))
        if (may_save(&attempt->gang))
            return true;
    return false;
}

/* The journal fails, but the checkpoints may lie on another disk: gangs that train are given the
 * time to save one. */
static void let_gangs_save(struct loop *loop)
{
    double end = clock_seconds() + loop->cfg->limits.leave_s;
    for (EACH_RUNNING(loop, attempt)) {
        attempt->gang.is_stop_asked = true;
        if (may_save(&attempt->gang))
            tell_at_once(loop, attempt);
    }
    while (clock_seconds() < end && is_any_saving(loop)) {
        listen_farewell(loop, TICK_MS);
        for (EACH_RUNNING(loop, attempt))
            if (may_save(&attempt->gang))
                tell_pulse(loop, attempt);
    }
}

/* is_patient: its srun may still end the ranks of other nodes. */
static void kill_all(struct loop *loop, bool is_patient)
{
    for (EACH_RUNNING(loop, attempt)) {
        struct gang *gang = &attempt->gang;
        gang->is_running = !attempt->end.has_ended && !process_poll(&gang->process).has_ended;
        if (is_patient)
            process_kill(&gang->process);
        else
            process_signal(&gang->process, SIGKILL);
    }
}

/* We cannot go on: nothing may be left running behind us. Returns `why` with its text kept. */
static enum err end_gangs(struct loop *loop, enum err why)
{
    if (!attempt_running(loop, loop->attempts))
        return why;
    char *text = mem_string(err_text());
    if (!loop->is_lost)
        let_gangs_save(loop);
    double now = clock_seconds(), end = now + LAST_RESORT_S, patient = now + LAST_RESORT_S / 2;
    for (; attempt_running(loop, loop->attempts) && now < end; now = clock_seconds()) {
        kill_all(loop, now < patient);
        loop_nap();
    }
    err_set(why, "%s", text);
    mem_free(text);
    return why;
}

static bool is_spent(const struct budget *budget)
{
    static const struct budget whole;
    return memcmp(budget, &whole, sizeof whole) != 0;
}

/* A run that ends in good order, well or not, gives the next one its whole budget: a person has
 * looked at it, unless it only changes its job. Returns `why` with its text kept. */
static enum err forget_budgets(struct loop *loop, enum err why)
{
    const struct graph *graph = loop->cfg->graph;
    bool is_stop = why == ERR_INTERRUPTED || (why == ERR_FULL && loop->full.is_unwritten);
    if (is_stop && cause_is_of_job(loop_stop_cause(loop)))
        return why;
    bool is_left_out = bad_nodes_excluded(&loop->bad_nodes) > 0;
    char *text = mem_string(err_text());
    for (int i = 0; i < graph->count; i++) {
        if (!is_spent(&loop->policy.stages[i].budget) && !is_left_out)
            continue;
        enum err err = journal_forgive(loop->cfg->journal, &graph->stages[i].key);
        if (err != ERR_OK && err != ERR_NOT_FOUND) /* it was never started */
            log_warn("stage %s: %s", graph->stages[i].name, err_text());
    }
    if (why != ERR_OK)
        err_set(why, "%s", text);
    mem_free(text);
    return why;
}

/* The text of `why` is kept: what others left fails where it likes. */
static void sweep(enum err why)
{
    char *text = mem_string(err_text());
    (void)sweep_leftovers();
    if (why != ERR_OK)
        err_set(why, "%s", text);
    mem_free(text);
}

enum err loop_run(const struct loop_cfg *cfg)
{
    enum err err = ERR_OK;
    int leftovers = 0;
    struct loop *loop = mem_alloc(sizeof *loop);
    struct left_gangs *left = mem_alloc(sizeof *left);
    loop->cfg = cfg;
    loop->socket_lock = loop->mpi_lock = -1;
    loop->shares = shares_create();
    TRY(leftovers_clear(cfg, left, &leftovers));
    TRY(check_owner(loop));
    TRY(reopen_lost(cfg));
    init_policy(loop);
    TRY(bad_nodes_recall(cfg->journal, &loop->bad_nodes));
    if (bad_nodes_excluded(&loop->bad_nodes) > 0)
        VIEW(loop, excluded, NULL, &loop->bad_nodes);
    TRY(loop_meet(loop, left));
    TRY(adopt_all(loop, left));
    TRY(go_on(loop));
out:
    err = end_gangs(loop, err);
    err = forget_budgets(loop, err);
    loop_close_socket(loop);
    log_rate_end(&loop->refused, "messages were refused");
    log_rate_end(&loop->strangers, "connections were refused");
    log_rate_end(&loop->sent_away, "words of gangs with old leases were heard");
    loop_close_mpi(loop);
    sweep(err);
    shares_destroy(&loop->shares);
    mem_free(loop->entries);
    for (int i = 0; i < LOOP_MAX_ATTEMPTS; i++)
        liveness_fini(&loop->attempts[i].gang.liveness);
    mem_free(left);
    mem_free(loop);
    return err;
}
