/* RUN/slurm.json: which job was meant to run a campaign, written before Slurm is asked for it, and
 * by a run that goes on in another job. One thread. */
#ifndef CLUSTER_SLURM_INTENT_H
#define CLUSTER_SLURM_INTENT_H

#include "cluster/slurm/ask.h"
#include "cluster/slurm/job.h"
#include "cluster/status/run_status.h"

#define INTENT_NAME   "slurm.json" /* inside the run's folder */
#define INTENT_KEY    80
#define INTENT_RUNNER 256

struct intent {
    char uuid[JOB_UUID];        /* "": nothing was submitted */
    char job[ASK_JOB];          /* "": Slurm was not asked yet, or has not answered */
    char key[INTENT_KEY];       /* of whoever wants one submission for it; "": nobody does */
    char before[INTENT_RUNNER]; /* whose status lay there when it was submitted; "": nobody's */
    bool is_settled;            /* no crash of Slurm's controller makes it forget the job */
};

/* What cannot be read is taken for none: the run's own lock still lets only one of two jobs work.
 */
void intent_read(const char *run_folder, struct intent *intent);
/* ERR_IO, ERR_FULL, ERR_MEMORY. */
MUST_CHECK enum err intent_write(const char *run_folder, const struct intent *intent);

/* The runner that wrote a status, as `before` names it. */
void intent_name_runner(const struct run_status *status, char runner[INTENT_RUNNER]);
/* Letters, digits and _.- only, and it fits. */
bool intent_is_key(const char *text);

#endif
