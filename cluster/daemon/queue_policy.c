#include "cluster/daemon/queue_policy.h"
#include "base/mem.h"
#include <stdlib.h>

#define MEMORY_MOST ((int64_t)1 << 46) /* sums of thousands fit */

struct room {
    int64_t cores;
    int64_t memory_bytes;
    int64_t jobs; /* in Slurm */
};

/* A turn: what it looks at and decides. */
struct turn {
    const struct submitted *const *campaigns;
    int count;
    struct room all;
    struct room free;   /* now, and not set aside */
    struct room coming; /* of those that stop already */
    bool *is_stopping;  /* (count) now, or by this turn */
    struct queue_plan *plan;
};

static struct room need_of(const struct turn *turn, const struct submitted *campaign)
{
    uint64_t all = (uint64_t)turn->all.memory_bytes, memory = campaign->memory_bytes;
    if (submitted_is_for_slurm(campaign))
        return (struct room){.jobs = 1};
    return (struct room){.cores =
                             campaign->cores < turn->all.cores ? campaign->cores : turn->all.cores,
                         .memory_bytes = (int64_t)(memory < all ? memory : all)};
}

static void add(struct room *room, struct room other)
{
    room->cores += other.cores;
    room->memory_bytes += other.memory_bytes;
    room->jobs += other.jobs;
}

static void take(struct room *room, struct room other)
{
    room->cores -= other.cores;
    room->memory_bytes -= other.memory_bytes;
    room->jobs -= other.jobs;
}

static bool fits(struct room need, struct room room)
{
    bool fits_here = need.cores <= room.cores && need.memory_bytes <= room.memory_bytes;
    return need.jobs > 0 ? need.jobs <= room.jobs : fits_here;
}

static struct room both(struct room left, struct room right)
{
    add(&left, right);
    return left;
}

static int64_t least(int64_t left, int64_t right)
{
    return left < right ? left : right;
}

/* `need` has the first right to what is free and what is coming: the rest is for others. */
static void set_aside(struct turn *turn, struct room need)
{
    struct room from_coming = {least(need.cores, turn->coming.cores),
                               least(need.memory_bytes, turn->coming.memory_bytes),
                               least(need.jobs, turn->coming.jobs)};
    take(&turn->coming, from_coming);
    take(&need, from_coming);
    take(&turn->free, need);
}

static void act(struct turn *turn, struct queue_action action)
{
    turn->plan->actions[turn->plan->action_count++] = action;
}

/* It runs here, and gives way to one of this priority. */
static bool gives_way(const struct turn *turn, int index, int priority)
{
    const struct submitted *one = turn->campaigns[index];
    return one->state == SUBMITTED_RUNNING && !turn->is_stopping[index] &&
           one->priority < priority && !submitted_is_for_slurm(one);
}

/* The one to be stopped first of those of lower priority: -1: there is none left. */
static int find_victim(const struct turn *turn, int priority)
{
    int found = -1;
    for (int i = 0; i < turn->count; i++) {
        const struct submitted *one = turn->campaigns[i];
        if (!gives_way(turn, i, priority))
            continue;
        const struct submitted *best = found >= 0 ? turn->campaigns[found] : NULL;
        if (!best || one->priority < best->priority ||
            (one->priority == best->priority && one->id > best->id))
            found = i;
    }
    return found;
}

static bool can_make_room(const struct turn *turn, int priority, struct room need)
{
    struct room room = both(turn->free, turn->coming);
    for (int i = 0; i < turn->count; i++)
        if (gives_way(turn, i, priority))
            add(&room, need_of(turn, turn->campaigns[i]));
    return fits(need, room);
}

static void make_room(struct turn *turn, const struct submitted *campaign, struct room need)
{
    while (!fits(need, both(turn->free, turn->coming))) {
        int victim = find_victim(turn, campaign->priority);
        if (victim < 0)
            return;
        turn->is_stopping[victim] = true;
        add(&turn->coming, need_of(turn, turn->campaigns[victim]));
        act(turn, (struct queue_action){QUEUE_STOP, victim, campaign->id});
    }
}

/* False: it waits for room, and those behind it know. */
static bool place(struct turn *turn, int index)
{
    const struct submitted *campaign = turn->campaigns[index];
    struct room need = need_of(turn, campaign);
    struct queue_reason *reason = &turn->plan->reasons[index];
    if (campaign->may_have_job || fits(need, turn->free)) {
        if (!campaign->may_have_job) /* else it has its place already */
            take(&turn->free, need);
        act(turn, (struct queue_action){.verb = QUEUE_START, .campaign = index});
        reason->why = QUEUE_RUNS;
        return true;
    }
    reason->why = QUEUE_ROOM;
    if (can_make_room(turn, campaign->priority, need)) {
        make_room(turn, campaign, need);
        set_aside(turn, need);
        reason->why = QUEUE_MADE;
    }
    return false;
}

/* By priority, then by age. */
static int compare(const void *left, const void *right)
{
    const struct submitted *a = *(const struct submitted *const *)left;
    const struct submitted *b = *(const struct submitted *const *)right;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void take_what_runs(struct turn *turn)
{
    for (int i = 0; i < turn->count; i++) {
        const struct submitted *campaign = turn->campaigns[i];
        if (!submitted_has_runner(campaign) && !campaign->may_have_job)
            continue;
        take(&turn->free, need_of(turn, campaign));
        turn->is_stopping[i] = campaign->state == SUBMITTED_STOPPING;
        if (turn->is_stopping[i])
            add(&turn->coming, need_of(turn, campaign));
    }
}

/* Those that may start now; where they stand in the caller's list goes with them. */
struct candidate {
    const struct submitted *campaign; /* first: compare() */
    int index;
};

static int list_candidates(const struct turn *turn, int64_t now_ms, struct candidate *list)
{
    int count = 0;
    for (int i = 0; i < turn->count; i++) {
        const struct submitted *campaign = turn->campaigns[i];
        struct queue_reason *reason = &turn->plan->reasons[i];
        *reason = (struct queue_reason){QUEUE_RUNS, 0};
        if (campaign->state == SUBMITTED_HELD)
            reason->why = QUEUE_HELD;
        else if (campaign->state == SUBMITTED_WAITING && campaign->not_before_ms > now_ms)
            reason->why = QUEUE_PAUSES;
        else if (campaign->state == SUBMITTED_WAITING)
            list[count++] = (struct candidate){campaign, i};
    }
    qsort(list, (size_t)count, sizeof *list, compare);
    return count;
}

/* Whoever waits holds back those of its own priority and line. */
static void place_all(struct turn *turn, const struct candidate *list, int count)
{
    const struct submitted *blocked[2] = {NULL, NULL};
    for (int i = 0; i < count; i++) {
        const struct submitted *campaign = list[i].campaign;
        const struct submitted **first = &blocked[submitted_is_for_slurm(campaign)];
        bool is_behind = *first && campaign->priority == (*first)->priority;
        if (is_behind && !campaign->may_have_job)
            turn->plan->reasons[list[i].index] = (struct queue_reason){QUEUE_TURN, (*first)->id};
        else if (!place(turn, list[i].index))
            *first = campaign;
    }
}

void queue_policy(const struct submitted *const *campaigns, int count,
                  const struct queue_capacity *capacity, int64_t now_ms, struct queue_plan *plan)
{
    int64_t memory = capacity->memory_bytes > 0 && capacity->memory_bytes < MEMORY_MOST
                         ? (int64_t)capacity->memory_bytes
                         : MEMORY_MOST;
    struct turn turn = {.campaigns = campaigns,
                        .count = count,
                        .all = {capacity->cores, memory, capacity->jobs},
                        .free = {capacity->cores, memory, capacity->jobs},
                        .is_stopping = mem_array((size_t)count + 1, sizeof(bool)),
                        .plan = plan};
    struct candidate *list = mem_array((size_t)count + 1, sizeof *list);
    plan->action_count = 0;
    take_what_runs(&turn);
    place_all(&turn, list, list_candidates(&turn, now_ms, list));
    mem_free(list);
    mem_free(turn.is_stopping);
}
