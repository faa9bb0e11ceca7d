/* Which campaigns of one machine run: a pure function of what was submitted, what the machine has
 * and the time, to what is to be started and asked to stop. The rules:
 *
 * - A campaign of higher priority is before one of lower; of equal priority, who came first.
 * - In that order each one starts that fits beside what runs. The first that does not fit waits,
 * and of those behind it only such of *lower* priority may start in the room that is left: they
 * give way as soon as that makes room enough. One of the same priority never overtakes it, so
 * nothing small keeps a large one waiting for ever.
 * - One that waits stops campaigns of strictly lower priority, the lowest and youngest first, when
 *   without them there is room for it. Room that is being made for it is nobody else's.
 * - One that asks for more than the machine has counts as all of it: it runs alone.
 * - Those for Slurm take nothing of the machine, but one of the jobs that all of them may have at a
 *   time. They stand in a line of their own, by the same rules, but that nobody is stopped for one:
 *   who runs before whom is Slurm's affair. One whose job may be there keeps its place, and is
 *   looked after at once. */
#ifndef CLUSTER_DAEMON_QUEUE_POLICY_H
#define CLUSTER_DAEMON_QUEUE_POLICY_H

#include "cluster/daemon/submitted.h"

enum queue_verb { QUEUE_START, QUEUE_STOP };

enum queue_why { /* a campaign that is to wait does */
                 QUEUE_RUNS,
                 QUEUE_HELD,
                 QUEUE_PAUSES, /* until its not_before_ms */
                 QUEUE_ROOM,   /* for what runs to end */
                 QUEUE_MADE,   /* for others that stop for it */
                 QUEUE_TURN    /* behind `behind` of the same priority */
};

struct queue_capacity {
    int cores;
    uint64_t memory_bytes; /* 0: any */
    int jobs;              /* in Slurm; 0: it cannot be asked */
};

struct queue_action {
    enum queue_verb verb;
    int campaign;        /* its place in the list */
    uint64_t makes_room; /* QUEUE_STOP: id of the one it is for */
};

struct queue_plan {
    int action_count;
    struct queue_action *actions; /* (count of campaigns) the caller's */
    struct queue_reason {
        enum queue_why why;
        uint64_t behind; /* id of the one it waits for; 0: none */
    } * reasons;         /* (count of campaigns) the caller's */
};

/* campaigns: (count) borrowed, in any order. */
void queue_policy(const struct submitted *const *campaigns, int count,
                  const struct queue_capacity *capacity, int64_t now_ms, struct queue_plan *plan);

#endif
