/* What becomes of a run whose job is about to end: it has saved, and comes back as its site says.
 * One thread. */
#ifndef CLUSTER_SLURM_JOB_END_H
#define CLUSTER_SLURM_JOB_END_H

#include "cluster/slurm/job.h"
#include "scheduler/allocation.h"
#include "scheduler/cause.h"

struct job_end_cfg { /* borrowed */
    const struct allocation *allocation;
    const struct campaign *campaign;
    const struct campaign_options *options; /* site NULL: only the exit code asks */
};

/* From now on USR1 (Slurm's, ahead of the limit) asks for a stop as the first interrupt does, and
 * so does the time so long before the job's end. However often Slurm asks, it asks once. */
MUST_CHECK enum err job_end_watch(const struct job_end_cfg *cfg);

/* Behind job_end_watch(): what the run was interrupted by, CAUSE_STOPPED, CAUSE_PREEMPTED or
 * CAUSE_TIME_LIMIT; by its signal, so that scancel is CAUSE_PREEMPTED too. */
enum cause job_end_cause(void);

/* The run was interrupted by `signal` (0: its gang was) and has saved. ERR_REQUEUE: the exit code
 * brings it back. ERR_INTERRUPTED: it has seen to it otherwise, or nobody has to, since a person
 * ended it or Slurm already has another idea. */
MUST_CHECK enum err job_end(const struct job_end_cfg *cfg, int signal);

#endif
