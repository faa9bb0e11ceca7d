/* The life of one attempt: lease, process, outcome. The journal knows of a lease before anything
 * runs for it, and of the outcome before anything is built on it. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "scheduler/loop_internal.h"
#include "scheduler/mpi_folder.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LEAVING_TOLD_S 2.0 /* what is killed is usually gone in less */

#define OOM_LATELY_S 30.0
#define TAIL_LINES   12
#define TAIL_BYTES   4096

static const char *target_name(const struct loop *loop, int stage)
{
    const struct graph_stage *node = &loop->cfg->graph->stages[stage];
    return node->target >= 0 ? loop->cfg->campaign->targets[node->target].name : "";
}

/* What a later runner needs to find the processes of this attempt, should we die. */
enum err attempt_record(struct loop *loop, struct attempt *attempt)
{
    const struct gang *gang = &attempt->gang;
    struct attempt_record *record = mem_alloc(sizeof *record);
    record->pid = gang->process.pid;
    record->pid_started = gang->process.started_ticks;
    record->first_step = gang->first_step;
    process_place(record->host, sizeof record->host);
    snprintf(record->log, sizeof record->log, "%s", gang->log);
    snprintf(record->socket_folder, sizeof record->socket_folder, "%s", loop->socket_folder);
    enum err err = journal_started(loop->cfg->journal, &gang->lease, record);
    attempt->is_recorded = err == ERR_OK && gang->is_running;
    mem_free(record);
    return err;
}

/* Once an attempt: what was killed is usually gone in less. */
static void tell_leaving(struct loop *loop, struct attempt *attempt, const struct process *process,
                         double since_s)
{
    char list[256], text[512];
    if (attempt->is_leaving_told || clock_seconds() - since_s <= LEAVING_TOLD_S)
        return;
    int count = process_list(process, list, sizeof list);
    snprintf(text, sizeof text,
             "waiting for the end of %d processes of the last attempt: %s; killed, they end when "
             "what they wait for (a disk?) answers",
             count, list);
    log_warn("stage %s: %s", attempt->gang.lease.name, text);
    VIEW(loop, warning, &attempt->gang, text);
    attempt->is_leaving_told = true;
}

static bool is_leaving(struct loop *loop, struct attempt *attempt)
{
    if (process_signal(&attempt->leaving, SIGKILL) == 0) {
        attempt->leaving = (struct process){0};
        return false;
    }
    tell_leaving(loop, attempt, &attempt->leaving, attempt->leaving_s);
    return true;
}

void attempts_hold(struct loop *loop)
{
    const struct graph *graph = loop->cfg->graph;
    bool are_leaving[PLAN_MAX_STAGES], is_writer_leaving = false;
    for (int i = 0; i < graph->count; i++) {
        are_leaving[i] = is_leaving(loop, &loop->attempts[i]);
        is_writer_leaving |= are_leaving[i] && graph->stages[i].kind == STAGE_TRAIN;
    }
    for (int i = 0; i < graph->count; i++)
        loop->policy.stages[i].is_held =
            are_leaving[i] || (is_writer_leaving && graph->stages[i].kind == STAGE_TRAIN);
}

void attempt_await_end(struct loop *loop, struct attempt *attempt)
{
    const struct gang *gang = &attempt->gang;
    if (gang->is_killed)
        tell_leaving(loop, attempt, &gang->process, gang->left_s);
}

/* A disk that fails now may answer at the next try. */
static enum err make_folder(const char *path)
{
    enum err err = file_make_folders(path);
    return err == ERR_IO ? err_prefix(ERR_AGAIN, "logs") : err;
}

/* A log of this attempt that is there already is of one that a runner elsewhere made, of which our
 * journal, brought back from a copy, does not know. It may still be written. */
static void keep_log(const struct loop *loop, const char *path)
{
    char kept[2 * JOURNAL_PATH];
    uint64_t claim = loop->cfg->launch.claim;
    if (claim == 0 || !file_exists(path))
        return;
    snprintf(kept, sizeof kept, "%s-before-claim-%llu", path, (unsigned long long)claim);
    if (rename(path, kept) != 0)
        log_warn("%s goes on with what another attempt wrote: %s", path, strerror(errno));
}

static enum err start_process(struct loop *loop, struct attempt *attempt)
{
    enum err err = ERR_OK;
    struct gang *gang = &attempt->gang;
    const struct graph_stage *stage = &loop->cfg->graph->stages[gang->stage];
    char *logs = file_join(loop->cfg->run_folder, "logs");
    char *path = file_join(loop->cfg->run_folder, gang->log), excluded[1024];
    bad_nodes_write(&loop->bad_nodes, excluded, sizeof excluded);
    TRY(make_folder(logs));
    keep_log(loop, path);
    TRY(attempt_record(loop, attempt));
    struct launch launch = {.stage = stage,
                            .target = target_name(loop, gang->stage),
                            .endpoint = loop->endpoint,
                            .port = loop->port,
                            .is_away = gang->is_away,
                            .is_job = gang->is_job,
                            .token = loop->token,
                            .mpi_folder = loop->mpi_folder,
                            .lease_epoch = gang->lease.epoch,
                            .log_path = path,
                            .exclude = excluded};
    TRY(launch_start(&loop->cfg->launch, &launch, &gang->process));
    gang->is_running = true;
    TRY(FAULT("loop.launched"));
    TRY(attempt_record(loop, attempt));
out:
    mem_free(logs);
    mem_free(path);
    return err;
}

static void tell_started(struct loop *loop, struct gang *gang)
{
    struct stage_record record = {0};
    bool is_known = journal_stage(loop->cfg->journal, &gang->lease.key, &record) == ERR_OK;
    gang->progress.step = gang->first_step = is_known ? record.step : 0;
    VIEW(loop, started, gang, is_known && record.checkpoint[0], record.step);
    stage_record_fini(&record);
}

static void remove_parts(const struct loop *loop, const char *name)
{
    char *folder = file_join(loop->cfg->run_folder, name);
    file_remove_parts(folder);
    mem_free(folder);
}

/* Gangs share the socket and Open MPI's folder, and write results and metrics: none of them is
 * touched under one that runs. */
static enum err make_room(struct loop *loop)
{
    enum err err = ERR_OK;
    for (EACH_RUNNING(loop, attempt))
        if (!attempt->gang.is_host)
            return ERR_OK;
    TRY(loop_renew_socket(loop));
    if (loop->mpi_lock >= 0)
        mpi_folder_clear(loop->mpi_folder);
    remove_parts(loop, "results");
    remove_parts(loop, "metrics");
out:
    return err;
}

void attempt_begin(struct loop *loop, struct attempt *attempt, int stage)
{
    *attempt = (struct attempt){
        .gang = {.stage = stage, .is_host = loop->cfg->graph->stages[stage].is_host}};
    liveness_init(&attempt->gang.liveness, loop->cfg->launch.ranks);
}

static enum err take_lease(struct loop *loop, struct gang *gang)
{
    enum err err = ERR_OK;
    const struct graph_stage *node = &loop->cfg->graph->stages[gang->stage];
    TRY(journal_lease(loop->cfg->journal, &node->key, node->name, node->inputs,
                      loop->has_checkpoint[gang->stage] ? LEASE_GOES_ON : LEASE_AFRESH,
                      &gang->lease));
    snprintf(gang->log, sizeof gang->log, "logs/%s-%d.log", node->name, gang->lease.attempt);
    gang->started_s = gang->heard_s = gang->moved_s = clock_seconds();
    gang->oom_kills = oom_kills(loop_system_root(loop));
out:
    return err;
}

/* The launch failed with `error`, the run may go on. */
static enum err end_unstarted(struct loop *loop, struct attempt *attempt, enum err error)
{
    attempt->launch_error = error;
    snprintf(attempt->text, sizeof attempt->text, "%s", err_text());
    attempt->gang.is_running = true; /* until the journal has its end */
    attempt->end = (struct process_end){.has_ended = true};
    return attempt_reap(loop, attempt, &attempt->end);
}

enum err attempt_launch(struct loop *loop, struct attempt *attempt)
{
    enum err err = start_process(loop, attempt);
    if (err != ERR_OK && !attempt->gang.is_running)
        err = end_unstarted(loop, attempt, err);
    return err;
}

/* What it writes is believed: it must not be another runner's turn. */
static enum err check_fence(struct loop *loop)
{
    const struct launch_cfg *launch = &loop->cfg->launch;
    const struct fence fence = {loop->cfg->run_folder, launch->claim};
    enum err err = fence_check(&fence);
    loop->is_lost = loop->is_lost || err != ERR_OK;
    return err;
}

enum err attempt_start(struct loop *loop, int stage)
{
    enum err err = ERR_OK;
    struct attempt *attempt = &loop->attempts[stage];
    TRY(check_fence(loop));
    attempt_begin(loop, attempt, stage);
    TRY(make_room(loop));
    TRY(take_lease(loop, &attempt->gang));
    policy_started(&loop->policy, stage);
    tell_started(loop, &attempt->gang);
    TRY(attempt_launch(loop, attempt));
out:
    if (!attempt->gang.is_running)
        liveness_fini(&attempt->gang.liveness);
    return err;
}

void attempt_complete(const struct loop *loop, const struct gang *gang,
                      struct stage_outcome *outcome)
{
    outcome->seconds = gang_age_s(gang, clock_seconds());
    outcome->made_progress = gang->made_progress;
    if (outcome->error == ERR_INTERRUPTED)
        outcome->cause = loop_stop_cause(loop);
}

void attempt_ended(struct loop *loop, struct attempt *attempt, const struct stage_outcome *outcome)
{
    struct gang *gang = &attempt->gang;
    gang->is_ending = gang->is_ended = true;
    gang->outcome = outcome->error;
    gang->cause = outcome_cause(outcome);
    snprintf(attempt->text, sizeof attempt->text, "%s", outcome->text);
    if (gang->left_s == 0)
        gang->left_s = clock_seconds();
    if (gang->is_helper)
        return;
    shares_drop(loop->shares, gang->stage);
    if (outcome->error == ERR_OK)
        snprintf(loop->contents[gang->stage], sizeof loop->contents[0], "%s", outcome->content);
}

enum err attempt_end(struct loop *loop, struct attempt *attempt,
                     const struct stage_outcome *outcome)
{
    enum err err = ERR_OK;
    struct stage_outcome complete = *outcome;
    attempt_complete(loop, &attempt->gang, &complete);
    err = full_holds(loop) ? ERR_FULL
                           : journal_end(loop->cfg->journal, &attempt->gang.lease, &complete);
    if (err == ERR_FULL && loop->policy.is_stopping) { /* the next runner ends the lease */
        TRY(full_heed(loop, err));
        loop->full.is_unwritten = true;
        err = ERR_OK;
    }
    TRY(err);
    attempt_ended(loop, attempt, &complete);
out:
    return err;
}

enum err attempt_hash_result(const struct loop *loop, const char *results,
                             char hash[HASH_HEX_BYTES])
{
    enum err err = survey_hash_file(loop->cfg->run_folder, results, hash);
    return err == ERR_IO ? err_prefix(ERR_AGAIN, "its result") : err;
}

/* The last lines of the attempt's log: where the reason usually stands. Returns owned. */
static char *read_tail(const struct loop *loop, const struct gang *gang)
{
    char *path = file_join(loop->cfg->run_folder, gang->log), *bytes = NULL;
    size_t size = 0;
    if (file_read_tail(path, TAIL_BYTES, &bytes, &size) != ERR_OK)
        size = 0;
    size_t start = size;
    for (int lines = 0; start > 0 && bytes[start - 1] != '\0'; start--) {
        lines += bytes[start - 1] == '\n' && start < size;
        if (lines == TAIL_LINES)
            break;
    }
    char *tail = mem_string(bytes ? bytes + start : "");
    mem_free(bytes);
    mem_free(path);
    return tail;
}

/* The counter is of all that runs here, and of nothing elsewhere: what was counted long before a
 * gang's end, or is another one's, is not its own. */
static bool is_counted(struct loop *loop, const struct gang *gang)
{
    int now = oom_kills(loop_system_root(loop));
    int before = gang->oom_kills > loop->oom.before ? gang->oom_kills : loop->oom.before;
    if (gang->is_away || gang->oom_kills < 0 || now <= before)
        return false;
    loop->oom.before = loop->oom.lately = now;
    return true;
}

void attempt_watch_oom(struct loop *loop)
{
    double now_s = clock_seconds();
    if (now_s - loop->oom.looked_s < OOM_LATELY_S)
        return;
    loop->oom.looked_s = now_s;
    loop->oom.before = loop->oom.lately;
    loop->oom.lately = oom_kills(loop_system_root(loop));
}

bool attempt_look_for_oom(struct loop *loop, const struct gang *gang)
{
    if (is_counted(loop, gang))
        return true;
    if (!loop->cfg->launch.allocation)
        return false;
    char *tail = read_tail(loop, gang);
    bool is_told = oom_is_told(tail);
    mem_free(tail);
    return is_told;
}

struct gang_end attempt_judge_exit(struct loop *loop, struct gang *gang,
                                   const struct process_end *end, char *text, int room)
{
    gang->is_out_of_memory =
        gang->is_out_of_memory || (gang_was_killed(gang, end) && attempt_look_for_oom(loop, gang));
    struct gang_end why = gang_judge_exit(gang, end, text, room);
    if (why.error == ERR_IO && full_look(loop) == ERR_FULL)
        why.error = ERR_FULL;
    return why;
}

/* A host stage says on its last line what was wrong. */
static void add_last_word(const struct loop *loop, const struct gang *gang, char *text, int room)
{
    char *tail = read_tail(loop, gang);
    size_t end = strlen(tail), size = strlen(text);
    while (end > 0 && tail[end - 1] == '\n')
        tail[--end] = '\0';
    const char *line = strrchr(tail, '\n');
    line = line ? line + 1 : tail;
    if (line[0])
        snprintf(text + size, (size_t)room - size, ": %s", line);
    mem_free(tail);
}

/* The outcome of a process that ended without a word: a host stage's exit code says it all. */
static enum err conclude(struct loop *loop, struct attempt *attempt, const struct process_end *end)
{
    struct gang *gang = &attempt->gang;
    const struct graph_stage *stage = &loop->cfg->graph->stages[gang->stage];
    char results[JOURNAL_PATH] = "", hash[HASH_HEX_BYTES] = "", text[JOURNAL_TEXT] = "";
    struct stage_outcome outcome = {.content = "",
                                    .results = results,
                                    .results_hash = hash,
                                    .text = text,
                                    .step = gang->progress.step,
                                    .images_per_second = gang->progress.images_per_second};
    if (gang->is_host && end->code == 0 && !gang->is_killed) {
        launch_host_result(stage, target_name(loop, gang->stage), results, sizeof results);
        outcome.error = attempt_hash_result(loop, results, hash);
        if (outcome.error != ERR_OK)
            snprintf(text, sizeof text, "it ended well, but %.400s", err_text());
    } else {
        struct gang_end why = attempt_judge_exit(loop, gang, end, text, sizeof text);
        nodes_blame_end(loop, gang, &why, text, sizeof text);
        if (gang->is_host && end->code > 0)
            add_last_word(loop, gang, text, sizeof text);
        outcome.error = why.error;
        outcome.cause = why.cause;
        outcome.node = gang->node;
    }
    return attempt_end(loop, attempt, &outcome);
}

static void tell_failure(struct loop *loop, const struct attempt *attempt)
{
    const struct gang *gang = &attempt->gang;
    const struct policy_stage *state = &loop->policy.stages[gang->stage];
    bool is_over = state->status == POLICY_FAILED;
    double retry_s = (double)(state->not_before_ms - loop_now_ms()) / 1000.0;
    char *tail = read_tail(loop, gang);
    VIEW(loop, failed, gang, gang->outcome, attempt->text, tail,
         is_over ? -1.0 : (retry_s > 0 ? retry_s : 0.0));
    mem_free(tail);
    if (!is_over || loop->first_error != ERR_OK)
        return;
    bool is_used_up = cause_limit(gang->cause) > 1;
    char cure[512];
    nodes_write_cure(loop, gang, cure, sizeof cure);
    loop->first_error = is_used_up ? ERR_FAILED : gang->outcome;
    snprintf(loop->first_text, sizeof loop->first_text,
             "stage %s failed%s: %.3000s%s%s (log: %s/%s)", gang->lease.name,
             is_used_up ? " too often" : "", attempt->text, cure[0] ? ": " : "", cure,
             loop->cfg->run_folder, gang->log);
}

/* The stage `source` made a final checkpoint that is no longer whole, as `gang` found: it runs
 * again.
 */
static enum err reopen(struct loop *loop, int source, const struct gang *gang)
{
    enum err err = ERR_OK;
    const struct graph_stage *node = &loop->cfg->graph->stages[source];
    struct text why;
    text_init(&why);
    text_add(&why, "stage %s runs again, since its final checkpoint is gone or damaged: %.*s",
             node->name, (int)strcspn(err_text(), "\n"),
             err_text()); /* the first of several tensors */
    log_warn("%s", text_get(&why));
    TRY(journal_reopen(loop->cfg->journal, &node->key, text_get(&why)));
    policy_reopen(&loop->policy, source);
    loop->has_checkpoint[source] = false; /* the worker looks for an older sound one */
    VIEW(loop, warning, gang, text_get(&why));
out:
    text_fini(&why);
    return err;
}

/* Whether the stage a checkpoint came from runs again: since now, or since another that was given
 * it has failed too. */
static enum err check_source(struct loop *loop, int source, const struct gang *gang,
                             bool *is_reopened)
{
    enum err err = ERR_OK;
    bool is_done = loop->policy.stages[source].status == POLICY_DONE;
    *is_reopened = !is_done;
    enum err found =
        is_done ? loop->cfg->check(loop->cfg->check_own, loop->contents[source]) : ERR_OK;
    if (found != ERR_DATA && found != ERR_NOT_FOUND) /* sound, or nobody can tell */
        return ERR_OK;
    *is_reopened = true;
    if (loop->policy.is_stopping && full_holds(loop)) /* the next runner finds it */
        loop->full.is_unwritten = true;
    else
        TRY(reopen(loop, source, gang));
out:
    return err;
}

/* A stage that failed over data may have been given a damaged checkpoint. *is_reopened: so it is,
 * and another attempt makes sense behind the stage that makes it again. */
static enum err look_for_damage(struct loop *loop, const struct gang *gang, bool *is_reopened)
{
    enum err err = ERR_OK;
    const struct graph_stage *node = &loop->cfg->graph->stages[gang->stage];
    const int sources[] = {node->start_stage, node->teacher_stage};
    *is_reopened = false;
    if ((gang->outcome != ERR_DATA && gang->outcome != ERR_NOT_FOUND) || !loop->cfg->check)
        return ERR_OK;
    if (full_holds(loop) && !loop->policy.is_stopping)
        return ERR_FULL;
    for (int i = 0; i < 2; i++) {
        bool runs_again = false;
        if (sources[i] >= 0)
            TRY(check_source(loop, sources[i], gang, &runs_again));
        *is_reopened = *is_reopened || runs_again;
    }
out:
    return err;
}

void attempt_leave(struct attempt *attempt)
{
    struct gang *gang = &attempt->gang;
    int stragglers = process_signal(&gang->process, SIGKILL);
    if (stragglers > 0)
        log_warn("stage %s: %d processes outlived their gang and were killed", gang->lease.name,
                 stragglers);
    gang->is_running = false;
    attempt->leaving = gang->process;
    attempt->leaving_s = clock_seconds();
}

static void judge(struct loop *loop, struct gang *gang, enum cause cause)
{
    policy_ended(&loop->policy, gang->stage, cause, gang->made_progress, loop_now_ms());
    gang->failures = budget_spent(&loop->policy.stages[gang->stage].budget, cause);
}

static void tell_end(struct loop *loop, const struct attempt *attempt)
{
    const struct gang *gang = &attempt->gang;
    bool is_given_up = loop->policy.stages[gang->stage].status == POLICY_FAILED;
    if (gang->outcome == ERR_OK)
        VIEW(loop, done, gang, gang_age_s(gang, clock_seconds()));
    else if (gang->outcome != ERR_INTERRUPTED || is_given_up)
        tell_failure(loop, attempt);
    else
        VIEW(loop, stopped, gang);
}

/* Of one that could not be started. */
static enum err conclude_launch(struct loop *loop, struct attempt *attempt)
{
    char text[JOURNAL_TEXT];
    struct stage_outcome outcome = {.error = attempt->launch_error,
                                    .text = text,
                                    .content = "",
                                    .results = "",
                                    .results_hash = ""};
    memcpy(text, attempt->text, sizeof text);
    return attempt_end(loop, attempt, &outcome);
}

enum err attempt_reap(struct loop *loop, struct attempt *attempt, const struct process_end *end)
{
    enum err err = ERR_OK;
    struct gang *gang = &attempt->gang;
    bool is_reopened = false;
    if (!gang->is_ended && attempt->launch_error != ERR_OK)
        TRY(conclude_launch(loop, attempt));
    if (gang->is_helper)
        return helper_reap(loop, attempt, end);
    if (!gang->is_ended)
        TRY(conclude(loop, attempt, end));
    TRY(look_for_damage(loop, gang, &is_reopened));
    attempt_leave(attempt);
    judge(loop, gang, is_reopened ? CAUSE_BUSY : gang->cause);
    nodes_judge(loop, attempt);
    tell_end(loop, attempt);
    memset(&gang->process, 0, sizeof gang->process);
    liveness_fini(&gang->liveness);
out:
    return err;
}
