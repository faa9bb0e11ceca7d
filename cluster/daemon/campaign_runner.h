/* The process of a campaign: `glowworm run`, or for one for Slurm `glowworm slurm submit --wait`,
 * which waits for the end of its job, in a session of its own, that outlives the daemon.
 * What one daemon started another watches on, by number and start time. One thread. */
#ifndef CLUSTER_DAEMON_CAMPAIGN_RUNNER_H
#define CLUSTER_DAEMON_CAMPAIGN_RUNNER_H

#include "cluster/daemon/runner_end.h"
#include "scheduler/process.h"

struct campaign_runner {
    struct process process; /* pid 0: none */
    bool is_ours;           /* a child: its exit code will be known */
    bool is_asked;          /* to stop, by this daemon */
    bool may_be_asked;      /* by the one before */
    double tried_s;         /* to ask it, for the first time */
    struct process_end end; /* kept: it can be seen once only */
};

struct campaign_runner_cfg { /* all borrowed */
    const char *glowworm;    /* the program */
    const char *log_path;    /* absolute; appended to */
    const struct submitted *campaign;
    /* The process is there and has begun nothing: with an error it never does. */
    enum err (*note)(void *own, const struct process *process);
    void *own;
};
/* Errors of process_start() and of note. */
MUST_CHECK enum err campaign_runner_start(const struct campaign_runner_cfg *cfg,
                                          struct campaign_runner *runner);
/* The runner that an earlier daemon noted; of one that has ended by now its end is seen at once. */
void campaign_runner_adopt(const struct submitted *campaign, struct campaign_runner *runner);

/* Whether it still runs; once it has ended, how is kept. */
bool campaign_runner_runs(struct campaign_runner *runner);
/* Asks it to end its step, save and end; any number of times. */
void campaign_runner_stop(struct campaign_runner *runner, const struct submitted *campaign);

/* What is to be known of its end, from its folder and its log too. room: what `seen` borrows. */
struct runner_traces {
    struct run_status *status; /* owned: runner_traces_fini */
    char last_words[SUBMITTED_TEXT];
};
void campaign_runner_look(const struct campaign_runner *runner, const struct submitted *campaign,
                          const char *log_path, struct runner_traces *traces,
                          struct runner_seen *seen);
void runner_traces_fini(struct runner_traces *traces);

#endif
