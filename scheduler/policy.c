#include "scheduler/policy.h"
#include <string.h>

#define MAX_FAILURES   5
#define BACKOFF_MS     1000
#define BACKOFF_MAX_MS 60000

void policy_init(struct policy_state *state, const struct graph *graph)
{
    memset(state, 0, sizeof *state);
    state->graph = graph;
    state->max_failures = MAX_FAILURES;
    state->backoff_ms = BACKOFF_MS;
    state->backoff_max_ms = BACKOFF_MAX_MS;
}

bool policy_is_retryable(enum err error)
{
    return error == ERR_PEER || error == ERR_AGAIN;
}

void policy_reopen(struct policy_state *state, int stage)
{
    state->stages[stage] = (struct policy_stage){.status = POLICY_PENDING};
}

void policy_recall(struct policy_state *state, int stage, int failures, int64_t pause_ms,
                   int64_t now_ms)
{
    int64_t longest_ms = state->backoff_max_ms; /* somebody may have set the clock */
    state->stages[stage].failures = failures;
    if (pause_ms > 0)
        state->stages[stage].not_before_ms =
            now_ms + (pause_ms < longest_ms ? pause_ms : longest_ms);
}

static bool is_ready(const struct policy_state *state, int stage)
{
    const struct graph_stage *node = &state->graph->stages[stage];
    if (state->stages[stage].status != POLICY_PENDING)
        return false;
    for (int i = 0; i < node->dependency_count; i++)
        if (state->stages[node->dependencies[i]].status != POLICY_DONE)
            return false;
    return true;
}

/* One stage at a time: a local gang is given the whole machine. */
static bool is_any_running(const struct policy_state *state)
{
    for (int i = 0; i < state->graph->count; i++)
        if (state->stages[i].status == POLICY_RUNNING)
            return true;
    return false;
}

struct policy_action policy_next(const struct policy_state *state, int64_t now_ms)
{
    struct policy_action action = {.verb = POLICY_FINISHED, .stage = -1};
    if (is_any_running(state))
        return (struct policy_action){.verb = POLICY_WAIT, .stage = -1};
    if (state->is_stopping)
        return (struct policy_action){.verb = POLICY_STOPPED, .stage = -1};
    for (int i = 0; i < state->graph->count; i++) {
        const struct policy_stage *stage = &state->stages[i];
        if (is_ready(state, i) && stage->not_before_ms <= now_ms)
            return (struct policy_action){.verb = POLICY_START, .stage = i};
        if (is_ready(state, i) && (action.verb != POLICY_WAIT || /* the earliest of them */
                                   stage->not_before_ms < action.until_ms))
            action = (struct policy_action){POLICY_WAIT, i, stage->not_before_ms};
        else if (stage->status == POLICY_FAILED && action.verb == POLICY_FINISHED)
            action = (struct policy_action){.verb = POLICY_GIVE_UP, .stage = i};
    }
    return action;
}

static int64_t backoff(const struct policy_state *state, int failures)
{
    int64_t wait = state->backoff_ms;
    for (int i = 1; i < failures && wait < state->backoff_max_ms; i++)
        wait *= 2;
    return wait < state->backoff_max_ms ? wait : state->backoff_max_ms;
}

void policy_ended(struct policy_state *state, int stage, enum err error, bool made_progress,
                  int64_t now_ms)
{
    struct policy_stage *ended = &state->stages[stage];
    ended->error = error;
    if (error == ERR_OK) {
        ended->status = POLICY_DONE;
        return;
    }
    ended->status = POLICY_PENDING;
    if (error == ERR_INTERRUPTED)
        return;
    ended->failures = made_progress ? 1 : ended->failures + 1;
    if (!policy_is_retryable(error) || ended->failures >= state->max_failures)
        ended->status = POLICY_FAILED;
    else
        ended->not_before_ms = now_ms + backoff(state, ended->failures);
}
