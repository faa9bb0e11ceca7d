/* Gangs without processes of their own that matter: every attempt of the set is a process that
 * sleeps, and one thread, between two turns of the loop, is all of them on the wire. A training
 * stage is done at once. The gang that holds the evaluation asks for scores, and it and its helpers
 * measure shares, until all are known to it. */
#ifndef TESTS_SCHEDULER_CREW_H
#define TESTS_SCHEDULER_CREW_H

#include "scheduler/shares.h"
#include "tests/scheduler/stage_set.h"

#define CREW_MAX_GANGS  128 /* that ever join */
#define CREW_MAX_SCORES 10000
#define CREW_PUBLISHED  "published/state-7-3"

struct crew_gang {
    uint64_t lease_epoch;
    int64_t pid;
    char stage[64];
    struct wire *wire;
    bool is_assigned, is_helper, is_gone;
    char published[96]; /* of its assignment */
    uint64_t sequence;  /* of its last word that wants an answer */
    uint64_t share;     /* measured last */
    double asked_s, ready_s;
    bool has_asked;                         /* its question */
    int left_count, left[SHARE_MAX_SCORES]; /* of its share: not measured yet */
    uint64_t taken;                         /* number of that share */
    int measured;
};

struct crew {
    struct stage_set *set;
    int scores;           /* the evaluation asks for so many */
    int share_losses;     /* so many shares are not heard */
    int kill_helpers;     /* so many helpers are killed when they have heard of a share */
    int kill_asking;      /* so many asking gangs are killed when they know half */
    int kill_measured;    /* so many asking gangs are killed when they have measured some */
    int stop_at;          /* a stop is asked for when so many are known; 0: never */
    int scores_per_share; /* measured at a turn, so that others have the time to come; 0: all */
    int begin_at;         /* nothing is measured before so many gangs are there */
    bool asks_first;      /* the asking gang asks what is known before it wants anything */
    bool talks_nonsense;  /* keys that are none, empty records */
    double give_up_s;
    int joined;
    struct crew_gang gangs[CREW_MAX_GANGS]; /* that have joined, gone or not */
    /* What came of it. */
    int measured[CREW_MAX_SCORES];    /* how often each was */
    bool is_known[CREW_MAX_SCORES];   /* to the gang that asks */
    int known, most_gangs, strangers; /* strangers: told of what was not asked for, or wrongly */
    int measured_by_helpers, unknown_answers;
    int measured_away;       /* by helpers that read what was published */
    double began_s, known_s; /* first measured, all known */
};

void crew_make(struct crew *crew, struct stage_set *set, int gangs, int scores);
void crew_free(struct crew *crew);
/* Behind a run that was stopped: the same scores again, by gangs that know nothing. */
void crew_go_on(struct crew *crew);
/* Every score is known to the journal with its record. */
void crew_expect_journal(const struct crew *crew);

#endif
