/* Could the cluster ever start such a job? Asked before it is submitted, since Slurm takes what it
 * can never start, and lets it wait. One thread. */
#ifndef CLUSTER_SLURM_PREFLIGHT_H
#define CLUSTER_SLURM_PREFLIGHT_H

#include "base/err.h"

struct job_needs {
    const char *partition; /* "": the default */
    int nodes, cpus;       /* cpus: of each node */
    long long memory_mib;  /* of each node; 0: as the partition gives it */
    double time_seconds;   /* 0: likewise */
    double signal_seconds; /* before the end of it, when the run begins to end */
    int gpus;              /* of each node */
};

/* `listed`: what sinfo prints in preflight_format. ERR_CONFIG says what is too much, what there is,
 * and the cure. A pure function. */
MUST_CHECK enum err preflight_check(const char *listed, const struct job_needs *needs);
extern const char preflight_format[];

/* Asks sinfo. ERR_CONFIG; ERR_UNAVAILABLE, ERR_AGAIN: no answer. */
MUST_CHECK enum err preflight(const struct job_needs *needs);

#endif
