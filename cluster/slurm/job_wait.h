/* Waits for the end of a run that was given to Slurm, through all the jobs that it takes: those it
 * is queued again in, and those it goes on in. Holds nothing that the run needs: whoever is killed
 * while waiting waits again. One thread. */
#ifndef CLUSTER_SLURM_JOB_WAIT_H
#define CLUSTER_SLURM_JOB_WAIT_H

#include "cluster/slurm/queue.h"
#include "cluster/status/run_status.h"

struct job_seen {
    bool is_known;      /* Slurm answers */
    bool is_stop_asked; /* of us */
    struct queued queued;
    const struct run_status *status; /* written by a runner of this submission; NULL: none began */
    const char *last_words;          /* of the job's log; "": none */
};

enum job_verdict {
    JOB_GOES_ON,
    JOB_MAY_BE_OVER, /* unless a last word, or its return to the queue, is still to be seen */
    JOB_IS_OVER
};
/* A pure function. */
enum job_verdict job_wait_judge(const struct job_seen *seen);
/* What it ended with, for one that is over: the run's own error; ERR_INTERRUPTED: a person stopped
 * or cancelled it; ERR_REQUEUE: its job ended, and did not bring it back; ERR_FAILED, ERR_MEMORY.
 * A pure function but for err_text(). */
MUST_CHECK enum err job_wait_end(const struct job_seen *seen);

struct job_wait_cfg {       /* borrowed */
    const char *run_folder; /* with a submission (intent.h) */
    bool (*is_stop_asked)(void);
    bool (*is_left)(void); /* nobody wants to wait any more */
};
/* Says on standard error and in the folder (job_news.h) what changes. Asked to stop: the run is, as
 * by `glowworm cancel`, or its job cancelled where it has not begun, and its end is waited for.
 * As job_wait_end(); left, ERR_INTERRUPTED too. */
MUST_CHECK enum err job_wait(const struct job_wait_cfg *cfg);

#endif
