/* What becomes of a campaign whose runner has ended: a pure function of what was seen of the end
 * and of what was asked. The daemon tries nothing again that failed: the runner has budgets for
 * that. One that was lost (killed, out of memory) is tried again, at most RUNNER_MOST_LOSSES times
 * in a row without progress; one that found something in the way which may pass (another runner, a
 * full disk) is tried again for as long as it takes. For one that was handed to Slurm the runner is
 * who waits for its job: where that one is lost its job goes on, and it is waited for again, for as
 * long as it takes; where the job ended too early each new try is a job, of which there are as many
 * as of a runner that is lost. */
#ifndef CLUSTER_DAEMON_RUNNER_END_H
#define CLUSTER_DAEMON_RUNNER_END_H

#include "cluster/daemon/submitted.h"
#include "cluster/status/run_status.h"

#define RUNNER_MOST_LOSSES 5

struct runner_seen {
    int code;                        /* exit code; -1: of another's child, or a signal ended it */
    int signal;                      /* 0: none, or not known */
    bool is_rebooted;                /* its machine was started anew */
    const struct run_status *status; /* what this very runner wrote; NULL: nothing */
    const char *last_words;          /* of its log; "": none */
    bool has_no_room;                /* the disk of its run is full now */
    int64_t progress;                /* runner_progress() of what the folder says */
};

/* Sets its state, text, exit code, losses, progress and times. */
void runner_end_judge(struct submitted *campaign, const struct runner_seen *seen, int64_t now_ms);

/* How far a run is, in a number that grows. */
int64_t runner_progress(const struct run_status *status);

#endif
