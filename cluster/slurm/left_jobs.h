/* Jobs of a run that nobody wants any more and that could not be taken back, since Slurm did not
 * answer: RUN/left-jobs/UUID is a note of each, until Slurm says what became of it. Whoever comes
 * later, of whatever owner of the run, cancels them. One thread. */
#ifndef CLUSTER_SLURM_LEFT_JOBS_H
#define CLUSTER_SLURM_LEFT_JOBS_H

#include "base/err.h"
#include <stdbool.h>

/* Cancels the job of this UUID. *was_there: it was queued, or ran. ERR_AGAIN, ERR_UNAVAILABLE: it
 * may be there still. */
MUST_CHECK enum err left_jobs_cancel_one(const char *uuid, bool *was_there);

/* Leaves a note; where that cannot be, says so in the log. */
void left_jobs_note(const char *run_folder, const char *uuid);
/* Of all there are notes of; what Slurm does not answer to keeps its note. */
void left_jobs_cancel(const char *run_folder);

#endif
