#include "scheduler/loop.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/processors.h"
#include "scheduler/loop_internal.h"
#include "scheduler/mpi_folder.h"
#include "scheduler/rendezvous.h"
#include "scheduler/socket_folder.h"
#include "scheduler/sweep.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TICK_MS       100
#define LAST_RESORT_S 10.0 /* to see the end of a killed session */

static enum err make_token(const char *given, char token[65])
{
    unsigned char random[32];
    if (given) {
        snprintf(token, 65, "%s", given);
        return ERR_OK;
    }
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_set(ERR_IO, "no random numbers: %s", strerror(errno));
    for (int i = 0; i < 32; i++)
        snprintf(token + 2 * i, 3, "%02x", random[i]);
    return ERR_OK;
}

static void close_socket(struct loop *loop)
{
    wire_close(&loop->wire);
    if (loop->socket_folder[0] && socket_folder_remove(loop->socket_folder) != ERR_OK)
        log_warn("the folder of the run's socket is left behind: %s", err_text());
    if (loop->socket_lock >= 0)
        close(loop->socket_lock);
    loop->socket_lock = -1;
    loop->socket_folder[0] = '\0';
}

enum err loop_open_wire(struct loop *loop)
{
    enum err err = ERR_OK;
    char endpoint[JOURNAL_PATH + 16];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/" SOCKET_NAME, loop->socket_folder);
    struct wire_cfg cfg = {.role = WIRE_SERVER,
                           .endpoint = endpoint,
                           .format = PROTOCOL_FORMAT,
                           .max_payload_bytes = PROTOCOL_MAX_BYTES,
                           .linger_ms = 500,
                           .wake_fd = -1};
    TRY(wire_open(&cfg, &loop->wire));
out:
    return err;
}

static enum err open_socket(struct loop *loop)
{
    enum err err = ERR_OK;
    TRY(socket_folder_make(loop->socket_folder, &loop->socket_lock));
    TRY(loop_open_wire(loop));
out:
    return err;
}

/* For a runner after us. Without it the run goes on as well, so a disk that is full ends nothing.
 */
static void write_rendezvous(struct loop *loop)
{
    struct rendezvous mine = {0};
    memcpy(mine.token, loop->token, sizeof mine.token);
    memcpy(mine.socket_folder, loop->socket_folder, sizeof mine.socket_folder);
    memcpy(mine.mpi_folder, loop->mpi_folder, sizeof mine.mpi_folder);
    loop->has_rendezvous = true; /* half of it may be there */
    if (rendezvous_write(loop->cfg->run_folder, loop->cfg->campaign, &mine) != ERR_OK)
        log_warn("a runner after this one would not find its gangs: %s", err_text());
}

/* They are replaced, as if we had never thought of adopting them. */
static enum err give_up(const struct loop_cfg *cfg)
{
    struct loop_cfg none = *cfg;
    int killed = 0;
    log_warn("gangs that were left running are replaced: %s", err_text());
    none.graph = NULL;
    return loop_clear_leftovers(&none, &killed);
}

/* Where gangs find us: those that were left where they look already. */
static enum err meet(struct loop *loop, struct left_gangs *left)
{
    enum err err = ERR_OK;
    if (left->count > 0 && adopt_meet(loop, left) != ERR_OK) {
        left->count = 0;
        TRY(give_up(loop->cfg));
    }
    if (left->count == 0) {
        TRY(make_token(loop->cfg->token, loop->token));
        TRY(open_socket(loop));
    }
    if (launch_has_mpi(&loop->cfg->launch) && loop->mpi_lock < 0)
        TRY(mpi_folder_make(loop->mpi_folder, &loop->mpi_lock));
    write_rendezvous(loop);
out:
    return err;
}

static void close_mpi(struct loop *loop)
{
    if (loop->mpi_lock < 0)
        return;
    if (mpi_folder_remove(loop->mpi_folder) != ERR_OK)
        log_warn("what Open MPI kept is left behind: %s", err_text());
    close(loop->mpi_lock);
}

enum err loop_renew_socket(struct loop *loop)
{
    enum err err = ERR_OK;
    char path[JOURNAL_PATH + 16];
    snprintf(path, sizeof path, "%s/" SOCKET_NAME, loop->socket_folder);
    if (file_exists(path))
        return ERR_OK;
    log_warn("%s is gone; the next gang gets another socket", path);
    close_socket(loop);
    TRY(open_socket(loop));
    write_rendezvous(loop);
out:
    return err;
}

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
            policy_recall(&loop->policy, i, stage->record.failures,
                          stage->record.retry_at_ms - clock_wall_ms(), loop_now_ms());
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

static void stop(struct loop *loop, struct attempt *attempt, int count)
{
    struct gang *gang = &attempt->gang;
    if (count == 1) {
        gang->is_stop_asked = true;
        if (gang->is_host)
            process_signal(&gang->process, SIGTERM);
        tell_at_once(loop, attempt);
    }
    if (count >= 3)
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
        if (attempt->gang.is_host || attempt->gang.left_s > 0)
            return true;
    return false;
}

static enum err look_after(struct loop *loop, struct attempt *attempt)
{
    enum err err = ERR_OK;
    struct gang *gang = &attempt->gang;
    tell_pulse(loop, attempt);
    gang_watch(gang, &loop->cfg->limits, clock_seconds());
    attempt_await_end(loop, attempt);
    struct process_end end = process_poll(&gang->process);
    if (end.has_ended) {
        TRY(listen_all(loop, 0)); /* its last words may still be in the socket */
        TRY(attempt_reap(loop, attempt, &end));
    }
out:
    return err;
}

static enum err serve(struct loop *loop)
{
    enum err err = ERR_OK;
    heed_stops(loop);
    TRY(listen_all(loop, is_any_leaving(loop) ? LEAVING_MS : TICK_MS));
    for (EACH_RUNNING(loop, attempt))
        TRY(look_after(loop, attempt));
    TRY(helpers_let_go(loop));
    share_out(loop);
    if (loop->cfg->view && loop->cfg->view->tick)
        loop->cfg->view->tick(loop->cfg->view->own);
out:
    return err;
}

static struct policy_actions ask_policy(struct loop *loop)
{
    for (int i = 0; i < loop->cfg->graph->count; i++)
        loop->policy.stages[i].wants_helpers = shares_waiting(loop->shares, i) > 0;
    return policy_next(&loop->policy, loop_now_ms());
}

/* All but the last, which says how to go on. */
static enum err act(struct loop *loop, const struct policy_actions *actions)
{
    enum err err = ERR_OK;
    for (int i = 0; i < actions->count - 1; i++) {
        const struct policy_action *action = &actions->list[i];
        if (action->verb == POLICY_START && !attempt_must_wait(loop, action->stage))
            TRY(attempt_start(loop, action->stage));
        if (action->verb == POLICY_HELP)
            TRY(helper_start(loop, action->stage));
        if (action->verb == POLICY_RELEASE)
            TRY(helper_release(loop, action->stage));
    }
out:
    return err;
}

static enum err go_on(struct loop *loop)
{
    enum err err = ERR_OK;
    for (;;) {
        heed_stops(loop);
        struct policy_actions actions = ask_policy(loop);
        TRY(act(loop, &actions));
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
            return err_set(ERR_INTERRUPTED, "stopped; the same command continues");
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

static void kill_all(struct loop *loop)
{
    for (EACH_RUNNING(loop, attempt)) {
        struct gang *gang = &attempt->gang;
        gang->is_running = !process_poll(&gang->process).has_ended;
        process_signal(&gang->process, SIGKILL);
    }
}

/* We cannot go on: nothing may be left running behind us. Returns `why` with its text kept. */
static enum err end_gangs(struct loop *loop, enum err why)
{
    if (!attempt_running(loop, loop->attempts))
        return why;
    char *text = mem_string(err_text());
    let_gangs_save(loop);
    double end = clock_seconds() + LAST_RESORT_S;
    for (kill_all(loop); attempt_running(loop, loop->attempts) && clock_seconds() < end;
         kill_all(loop))
        loop_nap();
    err_set(why, "%s", text);
    mem_free(text);
    return why;
}

/* A run that ends in good order, well or not, gives the next one its whole budget: a person has
 * looked at it. Returns `why` with its text kept. */
static enum err forget_budgets(struct loop *loop, enum err why)
{
    const struct graph *graph = loop->cfg->graph;
    char *text = mem_string(err_text());
    for (int i = 0; i < graph->count; i++)
        if (loop->policy.stages[i].failures > 0 &&
            journal_set_budget(loop->cfg->journal, &graph->stages[i].key, 0, 0) != ERR_OK)
            log_warn("stage %s: %s", graph->stages[i].name, err_text());
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
    TRY(reopen_lost(cfg));
    init_policy(loop);
    TRY(meet(loop, left));
    TRY(adopt_all(loop, left));
    TRY(go_on(loop));
out:
    err = end_gangs(loop, err);
    err = forget_budgets(loop, err);
    if (loop->has_rendezvous)
        rendezvous_remove(cfg->run_folder);
    close_socket(loop);
    log_rate_end(&loop->refused, "messages were refused");
    log_rate_end(&loop->sent_away, "words of gangs with old leases were heard");
    close_mpi(loop);
    sweep(err);
    shares_destroy(&loop->shares);
    mem_free(loop->entries);
    for (int i = 0; i < LOOP_MAX_ATTEMPTS; i++)
        liveness_fini(&loop->attempts[i].gang.liveness);
    mem_free(left);
    mem_free(loop);
    return err;
}
