/* The life of a helper: a gang that measures for the one that holds its stage's lease. It comes
 * when there is room and goes with that gang, or when another stage needs the room. Losing one
 * costs the stage nothing but time. */
#include "base/clock.h"
#include "base/log.h"
#include "scheduler/loop_internal.h"
#include <stdio.h>
#include <string.h>

static bool is_free(const struct attempt *attempt)
{
    return !attempt->gang.is_running &&
           (attempt->leaving.pid == 0 || process_signal(&attempt->leaving, SIGKILL) == 0);
}

static struct attempt *find_free(struct loop *loop)
{
    for (int i = PLAN_MAX_STAGES; i < LOOP_MAX_ATTEMPTS; i++)
        if (is_free(&loop->attempts[i]))
            return &loop->attempts[i];
    return NULL;
}

static void count_helpers(struct loop *loop, int stage)
{
    loop->attempts[stage].gang.helpers = policy_helpers_staying(&loop->policy.stages[stage]);
}

static enum policy_place place_of(const struct gang *gang)
{
    return gang->is_away ? POLICY_AWAY : POLICY_HERE;
}

enum err helper_start(struct loop *loop, int stage, enum policy_place place)
{
    enum err err = ERR_OK;
    const struct graph_stage *node = &loop->cfg->graph->stages[stage];
    struct attempt *attempt = find_free(loop);
    if (!attempt) /* all are leaving */
        return ERR_OK;
    attempt_begin(loop, attempt, stage);
    struct gang *gang = &attempt->gang;
    gang->is_helper = true;
    gang->is_job = place == POLICY_AWAY && away_is_job(loop);
    gang->is_away = place == POLICY_AWAY;
    if (gang->is_away && !away_find(loop, stage, gang->published))
        goto out;
    TRY(journal_help(loop->cfg->journal, &node->key, &gang->lease));
    snprintf(gang->log, sizeof gang->log, "logs/%s-helper-%llu.log", node->name,
             (unsigned long long)gang->lease.epoch);
    gang->started_s = gang->heard_s = gang->moved_s = clock_seconds();
    policy_helper_started(&loop->policy, stage, place);
    TRY(attempt_launch(loop, attempt));
    count_helpers(loop, stage);
out:
    if (!gang->is_running)
        liveness_fini(&gang->liveness);
    return err;
}

static enum err end(struct loop *loop, struct attempt *attempt, struct gang_end why,
                    const char *text)
{
    struct stage_outcome outcome = {.error = why.error,
                                    .cause = why.cause,
                                    .text = text,
                                    .content = "",
                                    .results = "",
                                    .results_hash = ""};
    return attempt_end(loop, attempt, &outcome);
}

/* Its end is no failure from now on. */
static enum err release(struct loop *loop, struct attempt *attempt, const char *why)
{
    enum err err = ERR_OK;
    struct gang *gang = &attempt->gang;
    TRY(end(loop, attempt, (struct gang_end){.error = ERR_OK}, why));
    shares_lose(loop->shares, gang->lease.epoch);
    attempt->is_released = true;
    policy_helper_released(&loop->policy, gang->stage, place_of(gang));
    tell_at_once(loop, attempt);
    if (gang->is_job) /* it may not have begun */
        process_kill(&gang->process);
    count_helpers(loop, gang->stage);
out:
    return err;
}

enum err helper_release(struct loop *loop, int stage)
{
    for (EACH_RUNNING(loop, attempt)) {
        const struct gang *gang = &attempt->gang;
        if (gang->is_helper && gang->stage == stage && !gang->is_ending && !gang->is_away)
            return release(loop, attempt, "another stage needs its room");
    }
    return ERR_OK;
}

/* Nobody asks any more: its stage has ended, or the gang it helped is gone. */
static bool is_needless(const struct loop *loop, const struct gang *gang)
{
    const struct gang *helped = &loop->attempts[gang->stage].gang;
    return !helped->is_running || helped->is_ending || helped->is_killed;
}

enum err helpers_let_go(struct loop *loop)
{
    enum err err = ERR_OK;
    for (EACH_RUNNING(loop, attempt)) {
        const struct gang *gang = &attempt->gang;
        if (gang->is_helper && !gang->is_ending && is_needless(loop, gang))
            TRY(release(loop, attempt, "the gang it helped has ended"));
    }
out:
    return err;
}

static void tell_lost(struct loop *loop, const struct attempt *attempt)
{
    char text[512];
    const struct gang *gang = &attempt->gang;
    snprintf(text, sizeof text,
             "a helper was lost: %.200s (log: %.200s); others measure what it had left",
             attempt->text, gang->log);
    log_warn("stage %s: %s", gang->lease.name, text);
    VIEW(loop, warning, &loop->attempts[gang->stage].gang, text);
}

enum err helper_reap(struct loop *loop, struct attempt *attempt, const struct process_end *ended)
{
    enum err err = ERR_OK;
    struct gang *gang = &attempt->gang;
    char text[512] = "";
    if (!gang->is_ended) {
        struct gang_end why = attempt_judge_exit(loop, gang, ended, text, sizeof text);
        TRY(end(loop, attempt, why, text));
    }
    attempt_leave(attempt);
    shares_lose(loop->shares, gang->lease.epoch);
    policy_helper_ended(&loop->policy, gang->stage, place_of(gang),
                        attempt->is_released ? CAUSE_NONE : gang->cause, loop_now_ms());
    if (gang->outcome != ERR_OK && gang->outcome != ERR_INTERRUPTED)
        tell_lost(loop, attempt);
    count_helpers(loop, gang->stage);
    liveness_fini(&gang->liveness);
out:
    return err;
}
