/* A run that is asked for before it has begun: there is nothing in its folder yet, but Slurm or
 * glowworm-scheduler may have it. One thread. */
#ifndef CLUSTER_QUEUED_RUN_H
#define CLUSTER_QUEUED_RUN_H

#include "base/err.h"

/* The error of who looked for a run in this folder: ERR_NOT_FOUND becomes ERR_AGAIN with where it
 * waits, why, and what takes it back, where that is known (of Slurm from what was submitted, of the
 * person's scheduler by asking it), and ERR_FAILED where the scheduler has given it up. Others stay
 * as they are. */
MUST_CHECK enum err queued_run_explain(const char *run_folder, enum err err);

#endif
