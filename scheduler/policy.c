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
    state->capacity = (struct policy_capacity){.gangs = 1, .hosts = 1};
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

/* Done, as is all that it was made from. */
static void find_whole(const struct policy_state *state, bool *whole)
{
    for (int i = 0; i < state->graph->count; i++) {
        const struct graph_stage *node = &state->graph->stages[i];
        whole[i] = state->stages[i].status == POLICY_DONE;
        for (int j = 0; j < node->dependency_count; j++)
            whole[i] = whole[i] && whole[node->dependencies[j]];
    }
}

static bool is_being_read(const struct policy_state *state, int stage)
{
    for (int i = stage + 1; i < state->graph->count; i++)
        if (state->stages[i].status == POLICY_RUNNING && graph_needs(state->graph, i, stage))
            return true;
    return false;
}

static bool is_ready(const struct policy_state *state, const bool *whole, int stage)
{
    const struct graph_stage *node = &state->graph->stages[stage];
    if (state->stages[stage].status != POLICY_PENDING)
        return false;
    for (int i = 0; i < node->dependency_count; i++)
        if (!whole[node->dependencies[i]])
            return false;
    return !is_being_read(state, stage);
}

struct usage { /* of the capacity */
    int gangs, hosts;
    size_t memory_bytes;
};

static void take(const struct policy_state *state, int stage, struct usage *usage)
{
    const size_t *bytes = state->capacity.stage_bytes;
    if (state->graph->stages[stage].is_host)
        usage->hosts++;
    else
        usage->gangs++;
    usage->memory_bytes += bytes ? bytes[stage] : 0;
}

static struct usage count_running(const struct policy_state *state)
{
    struct usage usage = {0};
    for (int i = 0; i < state->graph->count; i++)
        if (state->stages[i].status == POLICY_RUNNING)
            take(state, i, &usage);
    return usage;
}

static bool is_idle(const struct usage *usage)
{
    return usage->gangs + usage->hosts == 0;
}

static bool fits(const struct policy_state *state, int stage, const struct usage *usage)
{
    const struct policy_capacity *capacity = &state->capacity;
    struct usage with = *usage;
    take(state, stage, &with);
    return is_idle(usage) ||
           (with.gangs <= capacity->gangs && with.hosts <= capacity->hosts &&
            (!capacity->stage_bytes || with.memory_bytes <= capacity->memory_bytes));
}

/* Where nothing runs and nothing backs off. */
static struct policy_action find_end(const struct policy_state *state)
{
    if (state->is_stopping)
        return (struct policy_action){.verb = POLICY_STOPPED, .stage = -1};
    for (int i = 0; i < state->graph->count; i++)
        if (state->stages[i].status == POLICY_FAILED)
            return (struct policy_action){.verb = POLICY_GIVE_UP, .stage = i};
    return (struct policy_action){.verb = POLICY_FINISHED, .stage = -1};
}

struct policy_actions policy_next(const struct policy_state *state, int64_t now_ms)
{
    struct policy_actions next = {0};
    struct policy_action wait = {.verb = POLICY_WAIT, .stage = -1};
    struct usage usage = count_running(state);
    bool whole[PLAN_MAX_STAGES];
    find_whole(state, whole);
    for (int i = 0; i < state->graph->count && !state->is_stopping; i++) {
        int64_t begin_ms = state->stages[i].not_before_ms;
        if (!is_ready(state, whole, i))
            continue;
        if (begin_ms > now_ms && (wait.stage < 0 || begin_ms < wait.until_ms)) { /* the earliest */
            wait = (struct policy_action){POLICY_WAIT, i, begin_ms};
        } else if (begin_ms <= now_ms && fits(state, i, &usage)) {
            next.list[next.count++] = (struct policy_action){.verb = POLICY_START, .stage = i};
            take(state, i, &usage);
        }
    }
    bool goes_on = !is_idle(&usage) || wait.stage >= 0;
    next.list[next.count++] = goes_on ? wait : find_end(state);
    return next;
}

void policy_started(struct policy_state *state, int stage)
{
    state->stages[stage].status = POLICY_RUNNING;
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
