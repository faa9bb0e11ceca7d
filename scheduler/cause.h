/* Why an attempt of a stage ended, and how often a stage may end so in a row, without any progress
 * in between, before it is given up. Pure. */
#ifndef SCHEDULER_CAUSE_H
#define SCHEDULER_CAUSE_H

#include "base/err.h"
#include <stdbool.h>

/* The journal has the numbers: add behind, change none. */
enum cause {
    CAUSE_NONE = 0,       /* it did not fail, or a journal of before does not say */
    CAUSE_STOPPED = 1,    /* a person asked for it */
    CAUSE_PREEMPTED = 2,  /* the batch system asked its job to go */
    CAUSE_TIME_LIMIT = 3, /* the time of its job was over */
    CAUSE_RUNNER = 4,     /* its runner ended without a word */
    CAUSE_CRASH = 5,      /* a signal, an exit code that says nothing */
    CAUSE_LOST = 6,       /* it fell silent, stood still, or missed one of its ranks */
    CAUSE_BUSY = 7,       /* what it needs is held by others, or does not answer now */
    CAUSE_NODE = 8,       /* its node ended it before its first step, and another may do better */
    CAUSE_INPUT = 9,      /* its data or checkpoint is bad */
    CAUSE_CONFIG = 10,    /* the campaign is */
    CAUSE_MEMORY = 11,    /* out of memory */
    CAUSE_DISK = 12,      /* reading or writing failed */
    CAUSE_BUG = 13,       /* ours: a program found itself in a state that cannot be */
    CAUSE_FAILED = 14,    /* the work itself failed, and would again */
    CAUSE_MISSING = 15,   /* what it needs is not there: a device, a program */
    CAUSE_FULL = 16,      /* a disk had no room: it is tried again until there is some */
    CAUSE_HELD = 17,      /* a person has to do something first */
    CAUSE_COUNT
};

/* "crash", "time limit"; borrowed, for ever. */
const char *cause_name(enum cause cause);
extern const char *const cause_names[CAUSE_COUNT + 1]; /* of all of them; NULL at the end */
/* What an error means where nothing more is known. ERR_OK: CAUSE_NONE. */
enum cause cause_of(enum err error);
/* The end of a job took the attempt with it: it is worth another job. */
bool cause_is_of_job(enum cause cause);
/* What a person can do, a sentence that follows ": "; "" where the attempt's own text says it. */
const char *cause_cure(enum cause cause);

/* Ends in a row without progress that a stage is given up after; 0: any number. */
int cause_limit(enum cause cause);

struct budget { /* of a stage, zeroed: nothing is spent */
    int spent[CAUSE_COUNT];
};
/* made_progress: a checkpoint or a measurement of the attempt counted; what was spent before it is
 * forgotten. */
void budget_add(struct budget *budget, enum cause cause, bool made_progress);
/* Of the ends that count together with this one (a crash and a silence do). */
int budget_spent(const struct budget *budget, enum cause cause);
bool budget_is_used_up(const struct budget *budget, enum cause cause);

#endif
