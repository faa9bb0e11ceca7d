/* A campaign that somebody gave to glowworm-scheduler: what it is, what it takes, where it has got
 * to. Plain data, its form in the store and on the wire, and as JSON. Texts from elsewhere are
 * bounded, and safe to print. Pure. */
#ifndef CLUSTER_DAEMON_SUBMITTED_H
#define CLUSTER_DAEMON_SUBMITTED_H

#include "base/err.h"
#include "cluster/daemon/daemon.pb-c.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUBMITTED_PATH        1024
#define SUBMITTED_TEXT        1024
#define SUBMITTED_MAX_WORDS   160
#define SUBMITTED_WORDS_BYTES 16384 /* all of them, each with its end */
#define SUBMITTED_MAX_CORES   1000000

enum submitted_state { /* numbers of the store */
                       SUBMITTED_WAITING = 1,
                       SUBMITTED_HELD,     /* until it is released */
                       SUBMITTED_RUNNING,  /* it has a runner: `glowworm run`, or `slurm submit
                                              --wait` */
                       SUBMITTED_STOPPING, /* which was asked to stop, and becomes `then` */
                       SUBMITTED_DONE,
                       SUBMITTED_FAILED,
                       SUBMITTED_CANCELLED, /* by `glowworm cancel` */
                       SUBMITTED_REMOVED,   /* while it ran, by `glowworm queue remove` */
                       SUBMITTED_STATES
};

/* Times are milliseconds since 1970, 0: not yet. Paths are absolute. */
struct submitted {
    uint64_t id; /* from 1 on, in the order of submission; never given again */
    char name[64];
    char campaign_path[SUBMITTED_PATH];
    char run_folder[SUBMITTED_PATH];
    char work_folder[SUBMITTED_PATH]; /* where the person was: relative names in the file count */
    char by[128];                     /* "user@host" */
    int word_count;                   /* behind "glowworm run", or "glowworm slurm submit" */
    char **words;                     /* (word_count) owned: submitted_fini */
    char site[SUBMITTED_PATH];        /* of Slurm, which it is handed to: a path from /, or a name;
                                         "": it runs on this machine */
    int priority;                     /* the higher, the sooner */
    int cores;                        /* it takes of this machine, 0: it is for Slurm... */
    uint64_t memory_bytes;            /* ...and of its memory; 0: not known */
    int64_t submitted_ms;
    enum submitted_state state;
    enum submitted_state then; /* of one that is stopping, or whose job is still to be stopped */
    char text[SUBMITTED_TEXT]; /* why it failed, waits or was stopped */
    int64_t pid;               /* of its runner, the last one; 0: none yet */
    uint64_t started_ticks;    /* process_started_ticks() */
    char place[192];           /* process_place() of its machine */
    int exit_code;             /* of it; -1: not known, or none */
    int starts;                /* runners it has had */
    int losses;                /* of them that were lost in a row, without progress */
    int blocked;               /* starts in a row that found something in the way */
    int jobs;                  /* that were meant to be submitted to Slurm for it */
    bool may_have_job;         /* the last of them: nobody has seen its end */
    int64_t progress;          /* that was seen (runner_end.h) */
    int64_t not_before_ms;     /* it waits until then */
    int64_t started_ms, ended_ms;
};
void submitted_fini(struct submitted *submitted); /* accepts a zeroed one */

/* The words are copied. */
void submitted_set_words(struct submitted *submitted, size_t count, char *const *words);

/* Of a store or a listing. ERR_DATA: a text too long, a state there is none of, ... Call
 * submitted_fini after success. */
MUST_CHECK enum err submitted_read(const Gwd__Submitted *message, struct submitted *submitted);
/* The message borrows from `submitted`. */
void submitted_write(const struct submitted *submitted, Gwd__Submitted *message);
/* What a person submits, checked as submitted_read() does; its id is still to be given. */
MUST_CHECK enum err submitted_accept(const Gwd__Submit *message, struct submitted *submitted);

/* "waiting", ... */
const char *submitted_state_name(enum submitted_state state);
bool submitted_has_runner(const struct submitted *submitted);
bool submitted_is_for_slurm(const struct submitted *submitted);
/* Its job, which is still to be stopped, has nobody who waits for it. */
bool submitted_owes_stop(const struct submitted *submitted);
/* Done, failed, cancelled or removed. */
bool submitted_is_over(const struct submitted *submitted);
/* Returns owned (json_decref). */
json_t *submitted_json(const struct submitted *submitted);

#endif
