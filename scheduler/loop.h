/* The scheduler's loop as `glowworm run` embeds it: asks the policy, starts attempts (side by side,
 * where the capacity allows it), listens to them, writes down what happened, until the graph is
 * done, cannot go on, or a person stops it. One thread, which also started the processes. */
#ifndef SCHEDULER_LOOP_H
#define SCHEDULER_LOOP_H

#include "scheduler/bad_nodes.h"
#include "scheduler/gang.h"
#include "scheduler/graph.h"
#include "scheduler/journal.h"
#include "scheduler/launch.h"
#include "scheduler/policy.h"
#include "scheduler/survey.h"
#include <signal.h>

/* What people are told, as it happens; every function may be NULL. Strings are borrowed; a stage's
 * gang lies at the same place in all its attempts, as long as loop_run(). */
struct loop_view {
    void *own;
    void (*started)(void *own, const struct gang *gang, bool is_resume, uint64_t step);
    /* A gang that an earlier runner left running has said a word: it goes on under this one. */
    void (*adopted)(void *own, const struct gang *gang);
    void (*progress)(void *own, const struct gang *gang);
    void (*checkpoint)(void *own, const struct gang *gang, uint64_t step);
    void (*warning)(void *own, const struct gang *gang, const char *text); /* it goes on */
    void (*done)(void *own, const struct gang *gang, double seconds);
    /* retry_s < 0: it will not be tried again. tail: the last lines of the log. */
    void (*failed)(void *own, const struct gang *gang, enum err error, const char *text,
                   const char *tail, double retry_s);
    /* Gangs are not started on these nodes of the job any more; NULL: a runner before us said so.
     */
    void (*excluded)(void *own, const struct gang *gang, const struct bad_nodes *nodes);
    /* A disk of the run is full, as the text says: nothing is started, what runs goes on. NULL:
     * there is room again. */
    void (*full)(void *own, const char *text);
    /* It ended as it was asked to; it goes on from there another time. */
    void (*stopped)(void *own, const struct gang *gang);
    /* A person asked for a stop, for the count'th time: once for each that runs. gang: NULL when
     * nothing does. */
    void (*stopping)(void *own, const struct gang *gang, int count);
    void (*tick)(void *own); /* at least ten times a second */
};

struct loop_cfg {            /* all borrowed */
    struct journal *journal; /* open for writing: that is the run's lock */
    const struct graph *graph;
    const struct survey *survey;
    const struct campaign *campaign;
    const char *run_folder;
    const char *campaign_path; /* the resolved file workers read */
    const char *token;         /* NULL: a random one */
    struct launch_cfg launch;
    struct gang_limits limits;
    struct policy_capacity capacity; /* gangs 0: one; hosts 0: as the processors allow */
    /* Where a stage failed for want of it: is the final checkpoint it starts from still whole? Else
     * the stage that made it runs again. NULL: nobody can tell. */
    check_checkpoint *check;
    void *check_own; /* of find_published(), too */
    /* A copy of the stores that holds a final checkpoint, for gangs that do not see ours: its
     * folder inside the run's (base/published.h). ERR_NOT_FOUND: there is none yet. NULL: never. */
    enum err (*find_published)(void *own, const char *content, char folder[PUBLISHED_NAME]);
    /* Is the run still ours? An error, of which it has to know without waiting, ends it at once:
     * gangs are killed, nothing more is written. NULL: it is. */
    enum err (*check_owner)(void *own);
    void *owner;
    int64_t backoff_ms;                      /* before a first retry; 0: the policy's own */
    double look_for_room_s;                  /* so often on a full disk; 0: every second */
    const volatile sig_atomic_t *stop_asked; /* counts requests: 1 stop, 2 tell, 3 kill */
    /* Who asked: CAUSE_STOPPED, CAUSE_PREEMPTED or CAUSE_TIME_LIMIT. NULL: a person. */
    enum cause (*why_stopped)(void);
    bool *was_stopped;       /* set where the run ended since it was asked to. NULL: no matter */
    const char *system_root; /* of oom_kills(); NULL: "" */
    const struct loop_view *view;
};

/* ERR_OK: every stage is done. ERR_INTERRUPTED: stopped as asked, the same run goes on from there;
 * ERR_FULL: so too, but a full disk kept the journal from knowing how its attempts ended.
 * Otherwise the error of the first stage that failed; ERR_FAILED when its retries are used up. A
 * run that its job's end has stopped leaves the next one what is left of the stages' budgets. */
MUST_CHECK enum err loop_run(const struct loop_cfg *cfg);

/* Kills what runners that died have left running, waits for its end, and ends their leases; removes
 * what killed runs left of folders. Gangs whose lease is current, of stages that are in the graph,
 * are spared: loop_run() adopts them. Of cfg only journal, graph (NULL: none is spared), campaign,
 * run_folder, launch and stop_asked are looked at. *count: processes killed. A stop that was asked
 * for ends a wait for a process that does not end with ERR_INTERRUPTED. loop_run() does all this
 * first. */
MUST_CHECK enum err loop_clear_leftovers(const struct loop_cfg *cfg, int *count);

#endif
