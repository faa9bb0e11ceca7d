/* A campaign given to Slurm, once: what was meant is written into the run's folder before Slurm is
 * asked, and a submission counts when Slurm still knows of it 6 s later, since it forgets young
 * jobs when it crashes. One thread. */
#ifndef CLUSTER_SLURM_SUBMISSION_H
#define CLUSTER_SLURM_SUBMISSION_H

#include "cluster/slurm/intent.h"
#include "cluster/slurm/queue.h"

#define SUBMISSION_SCRIPT "slurm-job.sh" /* inside the run's folder */
#define SUBMISSION_LOG    "slurm.log"

struct submission {
    struct intent intent;
    bool was_there;  /* submitted before, and not over */
    char state[32];  /* as Slurm has it */
    int submissions; /* by this call: more than one where Slurm had forgotten it */
};

/* Fills in what cfg says of paths and UUID, but for its campaign, options, site and after_job. The
 * run's folder is made. key: kept with it (struct intent); NULL: that of the job before goes on.
 * ERR_AGAIN: it is not known whether Slurm has it, the same call finds out; or another one is at
 * it; or Slurm has no room for it yet. ERR_CONFIG, ERR_FAILED: Slurm refuses it, in its words. */
MUST_CHECK enum err submission_make(struct job_cfg cfg, const char *key, struct submission *made);

/* It was submitted under this key, and either cannot be forgotten or has begun: it is never to be
 * submitted again under it. Looks at files alone. */
bool submission_was_made(const char *run_folder, const char *key);

/* The job as submission_make() would submit it, with `uuid`; nothing is made. */
MUST_CHECK enum err submission_describe(struct job_cfg cfg, const char *uuid, struct job *job);

/* The error of who found no run in this folder: where it was submitted, and has not begun, what is
 * to be done is said, and `err` becomes ERR_AGAIN. Looks at files alone. */
MUST_CHECK enum err submission_explain(const char *run_folder, enum err err);

#endif
