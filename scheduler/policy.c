#include "scheduler/policy.h"
#include <string.h>

#define BACKOFF_MS     1000
#define BACKOFF_MAX_MS 60000

void policy_init(struct policy_state *state, const struct graph *graph)
{
    memset(state, 0, sizeof *state);
    state->graph = graph;
    state->backoff_ms = BACKOFF_MS;
    state->backoff_max_ms = BACKOFF_MAX_MS;
    state->capacity = (struct policy_capacity){.gangs = 1, .hosts = 1};
}

void policy_reopen(struct policy_state *state, int stage)
{
    struct policy_stage *reopened = &state->stages[stage];
    struct policy_stage pending = {.status = POLICY_PENDING};
    memcpy(pending.helpers, reopened->helpers, sizeof pending.helpers);
    *reopened = pending;
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

/* Whether a stage that waits for `stage` may begin: a verdict that failed is told of. */
static bool is_settled(const struct policy_state *state, const bool *whole, int stage)
{
    return whole[stage] || (stage_is_verdict(state->graph->stages[stage].kind) &&
                            state->stages[stage].status == POLICY_FAILED);
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
        if (!is_settled(state, whole, node->dependencies[i]))
            return false;
    return !is_being_read(state, stage);
}

struct usage { /* of the capacity */
    int gangs, away, hosts;
    int training; /* of the gangs */
    size_t memory_bytes;
};

static void take_gang(const struct policy_state *state, int stage, struct usage *usage)
{
    const size_t *bytes = state->capacity.stage_bytes;
    usage->gangs++;
    usage->memory_bytes += bytes ? bytes[stage] : 0;
}

static void take_helper(const struct policy_state *state, int stage, enum policy_place place,
                        struct usage *usage)
{
    if (place == POLICY_AWAY)
        usage->away++;
    else
        take_gang(state, stage, usage);
}

static void take(const struct policy_state *state, int stage, struct usage *usage)
{
    const struct graph_stage *node = &state->graph->stages[stage];
    take_gang(state, stage, usage);
    if (node->is_host) {
        usage->gangs--;
        usage->hosts++;
    } else if (node->kind == STAGE_TRAIN) {
        usage->training++;
    }
}

static struct usage count_stages(const struct policy_state *state)
{
    struct usage usage = {0};
    for (int i = 0; i < state->graph->count; i++)
        if (state->stages[i].status == POLICY_RUNNING)
            take(state, i, &usage);
    return usage;
}

static void take_helpers(const struct policy_state *state, struct usage *usage)
{
    for (int i = 0; i < state->graph->count; i++)
        for (enum policy_place place = POLICY_HERE; place <= POLICY_AWAY; place++)
            for (int helper = 0; helper < state->stages[i].helpers[place].running; helper++)
                take_helper(state, i, place, usage);
}

static bool is_idle(const struct usage *usage)
{
    return usage->gangs + usage->away + usage->hosts == 0;
}

static bool is_room(const struct policy_capacity *capacity, const struct usage *usage)
{
    return usage->gangs <= capacity->gangs && usage->hosts <= capacity->hosts &&
           usage->training <= 1 &&
           (!capacity->stage_bytes || usage->memory_bytes <= capacity->memory_bytes);
}

static bool fits(const struct policy_state *state, int stage, const struct usage *usage)
{
    struct usage with = *usage;
    take(state, stage, &with);
    return is_idle(usage) || is_room(&state->capacity, &with);
}

static bool may_be_helped(const struct policy_state *state, int stage, int64_t now_ms)
{
    const struct policy_stage *helped = &state->stages[stage];
    return helped->status == POLICY_RUNNING && helped->wants_helpers &&
           helped->helper_failures < cause_limit(CAUSE_CRASH) &&
           helped->no_helper_before_ms <= now_ms;
}

/* Where a helper has room: elsewhere it is in nobody's way. */
static bool find_place(const struct policy_state *state, int stage, const struct usage *usage,
                       enum policy_place *place)
{
    struct usage with = *usage;
    take_gang(state, stage, &with);
    bool is_away = state->stages[stage].is_seen_away && usage->away < state->capacity.away;
    *place = is_away ? POLICY_AWAY : POLICY_HERE;
    return is_away || is_room(&state->capacity, &with);
}

/* Where nothing runs and nothing backs off. A stop ends a run whatever has failed, but for a stage
 * that jobs have ended too often: another job would not help it. */
static struct policy_action find_end(const struct policy_state *state)
{
    for (int i = 0; i < state->graph->count; i++)
        if (state->stages[i].status == POLICY_FAILED &&
            (!state->is_stopping || cause_is_of_job(state->stages[i].cause)))
            return (struct policy_action){.verb = POLICY_GIVE_UP, .stage = i};
    if (state->is_stopping)
        return (struct policy_action){.verb = POLICY_STOPPED, .stage = -1};
    return (struct policy_action){.verb = POLICY_FINISHED, .stage = -1};
}

static void add_action(struct policy_actions *actions, enum policy_verb verb, int stage)
{
    actions->list[actions->count++] = (struct policy_action){.verb = verb, .stage = stage};
}

/* One for each stage at a time: the next decision follows soon. */
static void add_helpers(const struct policy_state *state, struct usage *usage, int64_t now_ms,
                        struct policy_actions *actions)
{
    enum policy_place place = POLICY_HERE;
    for (int i = 0; i < state->graph->count; i++) {
        if (!may_be_helped(state, i, now_ms) || !find_place(state, i, usage, &place))
            continue;
        add_action(actions, POLICY_HELP, i);
        actions->list[actions->count - 1].place = place;
        take_helper(state, i, place, usage);
    }
}

/* For `shut_out` stages that helpers keep from starting: a helper of the stage that has most here.
 */
static void add_release(const struct policy_state *state, int shut_out,
                        struct policy_actions *actions)
{
    int leaving = 0, most = -1, most_helpers = 0;
    for (int i = 0; i < state->graph->count; i++) {
        const struct policy_helpers *here = &state->stages[i].helpers[POLICY_HERE];
        leaving += here->leaving;
        if (here->running - here->leaving > most_helpers) {
            most = i;
            most_helpers = here->running - here->leaving;
        }
    }
    if (shut_out > leaving && most >= 0)
        add_action(actions, POLICY_RELEASE, most);
}

struct decision {
    struct policy_actions actions;
    struct policy_action wait;
    struct usage usage, without_helpers; /* as if it were so already */
    int shut_out;                        /* stages that helpers keep from starting */
};

static void consider(const struct policy_state *state, int stage, int64_t now_ms,
                     struct decision *decision)
{
    int64_t begin_ms = state->stages[stage].not_before_ms;
    struct policy_action *wait = &decision->wait;
    if (state->stages[stage].is_held && begin_ms < now_ms)
        begin_ms = now_ms; /* the next decision may find it free, others have the room meanwhile */
    if (begin_ms > now_ms || state->stages[stage].is_held) {
        if (wait->stage < 0 || begin_ms < wait->until_ms) /* the earliest */
            *wait =
                (struct policy_action){.verb = POLICY_WAIT, .stage = stage, .until_ms = begin_ms};
    } else if (fits(state, stage, &decision->usage)) {
        add_action(&decision->actions, POLICY_START, stage);
        take(state, stage, &decision->usage);
        take(state, stage, &decision->without_helpers);
    } else if (fits(state, stage, &decision->without_helpers)) {
        decision->shut_out++;
    }
}

static void decide(const struct policy_state *state, int64_t now_ms, struct decision *decision)
{
    bool whole[PLAN_MAX_STAGES];
    find_whole(state, whole);
    for (int i = 0; i < state->graph->count; i++)
        if (is_ready(state, whole, i))
            consider(state, i, now_ms, decision);
    add_release(state, decision->shut_out, &decision->actions);
    if (decision->shut_out == 0)
        add_helpers(state, &decision->usage, now_ms, &decision->actions);
}

struct policy_actions policy_next(const struct policy_state *state, int64_t now_ms)
{
    struct usage stages = count_stages(state);
    struct decision decision = {
        .wait = {.verb = POLICY_WAIT, .stage = -1}, .usage = stages, .without_helpers = stages};
    take_helpers(state, &decision.usage);
    if (!state->is_stopping)
        decide(state, now_ms, &decision);
    struct policy_actions *next = &decision.actions;
    bool goes_on = !is_idle(&decision.usage) || decision.wait.stage >= 0;
    next->list[next->count++] = goes_on ? decision.wait : find_end(state);
    return decision.actions;
}

void policy_started(struct policy_state *state, int stage)
{
    struct policy_stage *started = &state->stages[stage];
    started->status = POLICY_RUNNING;
    started->wants_helpers = started->is_seen_away = false;
    started->helper_failures = 0;
}

static int64_t backoff(const struct policy_state *state, int failures)
{
    int64_t wait = state->backoff_ms;
    for (int i = 1; i < failures && wait < state->backoff_max_ms; i++)
        wait *= 2;
    return wait < state->backoff_max_ms ? wait : state->backoff_max_ms;
}

/* After an end that a stage is not given up for: 0 where nothing has failed. */
static int64_t pause(const struct policy_state *state, const struct policy_stage *ended)
{
    bool has_failed = ended->cause == CAUSE_FULL ||
                      (cause_limit(ended->cause) > 0 && !cause_is_of_job(ended->cause));
    return has_failed ? backoff(state, budget_spent(&ended->budget, ended->cause)) : 0;
}

void policy_ended(struct policy_state *state, int stage, enum cause cause, bool made_progress,
                  int64_t now_ms)
{
    struct policy_stage *ended = &state->stages[stage];
    ended->cause = cause;
    if (cause == CAUSE_NONE) {
        ended->status = POLICY_DONE;
        return;
    }
    budget_add(&ended->budget, cause, made_progress);
    ended->status = budget_is_used_up(&ended->budget, cause) ? POLICY_FAILED : POLICY_PENDING;
    ended->not_before_ms = now_ms + pause(state, ended);
}

void policy_recall(struct policy_state *state, int stage, const struct policy_memory *memory,
                   int64_t now_ms)
{
    struct policy_stage *recalled = &state->stages[stage];
    recalled->budget = *memory->budget;
    recalled->cause = memory->cause;
    int64_t all_ms = pause(state, recalled), ago_ms = memory->ago_ms > 0 ? memory->ago_ms : 0;
    if (ago_ms < all_ms)
        recalled->not_before_ms = now_ms + all_ms - ago_ms;
}

void policy_helper_started(struct policy_state *state, int stage, enum policy_place place)
{
    state->stages[stage].helpers[place].running++;
}

void policy_helper_released(struct policy_state *state, int stage, enum policy_place place)
{
    state->stages[stage].helpers[place].leaving++;
}

int policy_helpers_staying(const struct policy_stage *stage)
{
    int staying = 0;
    for (enum policy_place place = POLICY_HERE; place <= POLICY_AWAY; place++)
        staying += stage->helpers[place].running - stage->helpers[place].leaving;
    return staying;
}

void policy_helper_ended(struct policy_state *state, int stage, enum policy_place place,
                         enum cause cause, int64_t now_ms)
{
    struct policy_stage *helped = &state->stages[stage];
    helped->helpers[place].running--;
    if (cause == CAUSE_NONE) {
        helped->helpers[place].leaving--;
        return;
    }
    if (cause_limit(cause) > 0)
        helped->helper_failures += cause_limit(cause) == 1 ? cause_limit(CAUSE_CRASH) : 1;
    helped->no_helper_before_ms = now_ms + backoff(state, helped->helper_failures);
}

void policy_helper_works(struct policy_state *state, int stage)
{
    state->stages[stage].helper_failures = 0;
}
