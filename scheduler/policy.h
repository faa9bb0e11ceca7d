/* What to do next: pure functions of the stages' states and the time. No lock, no clock, no socket;
 * the loop asks, acts, and writes down what happened. Times are of one steady clock. One thread. */
#ifndef SCHEDULER_POLICY_H
#define SCHEDULER_POLICY_H

#include "scheduler/cause.h"
#include "scheduler/graph.h"
#include <stdint.h>

enum policy_status { POLICY_PENDING, POLICY_RUNNING, POLICY_DONE, POLICY_FAILED };

enum policy_place { POLICY_HERE, POLICY_AWAY }; /* on our node, on another one */

struct policy_helpers {   /* of a stage, at one place */
    int running, leaving; /* of those that run, so many were released */
};

struct policy_stage {
    enum policy_status status;
    struct budget budget;
    enum cause cause;      /* of its last end */
    int64_t not_before_ms; /* backing off until then */
    bool is_held;          /* the loop's word: what lives of attempts before would be in its way */
    /* Gangs that measure for its gang (scheduler/shares.h). */
    bool wants_helpers; /* the loop's word: something waits to be measured */
    bool is_seen_away;  /* likewise: gangs on other nodes can read what it needs */
    struct policy_helpers helpers[POLICY_AWAY + 1];
    int helper_failures; /* in a row */
    int64_t no_helper_before_ms;
};

struct policy_capacity {       /* what may run side by side; one stage may always run */
    int gangs;                 /* on our node, helpers too; one of them may train */
    int away;                  /* helpers on other nodes */
    int hosts;                 /* host stages, beside gangs */
    size_t memory_bytes;       /* of all of them... */
    const size_t *stage_bytes; /* ...where each stage takes so much; borrowed; NULL: not known */
};

struct policy_state {
    const struct graph *graph; /* borrowed */
    struct policy_stage stages[PLAN_MAX_STAGES];
    int64_t backoff_ms; /* before the first retry; doubles, capped at backoff_max_ms */
    int64_t backoff_max_ms;
    struct policy_capacity capacity;
    bool is_stopping; /* a person asked for a stop: start nothing more */
};

/* Backoff as shipped: 1 s doubling to 60 s. One gang and one host stage. */
void policy_init(struct policy_state *state, const struct graph *graph);

enum policy_verb {
    POLICY_START,   /* start `stage` */
    POLICY_HELP,    /* start a helper for `stage` */
    POLICY_RELEASE, /* let a helper of `stage` go that is here: another stage needs the room */
    POLICY_WAIT, /* something runs, or `stage` backs off until `until_ms` (0: none does), or is held
                  */
    POLICY_FINISHED, /* every stage is done */
    POLICY_GIVE_UP,  /* nothing runs or can go on: `stage` is the first that failed */
    POLICY_STOPPED   /* a stop was asked for and nothing runs */
};

struct policy_action {
    enum policy_verb verb;
    int stage;
    enum policy_place place; /* of a helper to be started */
    int64_t until_ms;
};
struct policy_actions { /* the last of them is one of the four below POLICY_RELEASE, no other is */
    int count;
    struct policy_action list[2 * PLAN_MAX_STAGES + 2];
};
/* Every stage that is ready and fits beside what runs is to be started; what room is left then is
 * for helpers, other nodes' first. One is ready when all that
 * it needs, directly or through others, is done, and nothing runs that needs it: that would read
 * what is made again. */
struct policy_actions policy_next(const struct policy_state *state, int64_t now_ms);
void policy_started(struct policy_state *state, int stage);

/* How an attempt of a stage ended; CAUSE_NONE: well. made_progress as in budget_add(). A stop that
 * was asked for leaves the stage pending, as a failure does that its budget has room for. */
void policy_ended(struct policy_state *state, int stage, enum cause cause, bool made_progress,
                  int64_t now_ms);
struct policy_memory {           /* of a stage, from an earlier runner of the same run */
    const struct budget *budget; /* borrowed */
    enum cause cause;            /* of the last end... */
    int64_t ago_ms;              /* ...so long ago, by a clock that somebody may have set */
};
/* A budget used up is good for one attempt. */
void policy_recall(struct policy_state *state, int stage, const struct policy_memory *memory,
                   int64_t now_ms);
void policy_helper_started(struct policy_state *state, int stage, enum policy_place place);
void policy_helper_released(struct policy_state *state, int stage, enum policy_place place);
/* Those that run and were not released, at either place. */
int policy_helpers_staying(const struct policy_stage *stage);
/* CAUSE_NONE: it was told to go. Otherwise a failure: after as many crashes in a row as end a
 * stage, or one end that would come again, it gets no more helpers, and goes on alone. */
void policy_helper_ended(struct policy_state *state, int stage, enum policy_place place,
                         enum cause cause, int64_t now_ms);
/* A helper has measured something: its failures are forgotten. */
void policy_helper_works(struct policy_state *state, int stage);
/* A stage that was done has to run again. */
void policy_reopen(struct policy_state *state, int stage);

#endif
