/* What Slurm knows of our jobs. A job is known by the UUID in its comment: numbers are given again
 * after Slurm has crashed. One thread. */
#ifndef CLUSTER_SLURM_QUEUE_H
#define CLUSTER_SLURM_QUEUE_H

#include "base/err.h"
#include "cluster/slurm/ask.h"
#include <stdbool.h>
#include <stdint.h>

struct queued { /* a job as squeue shows it */
    bool is_there;
    bool has_ended;
    char job[ASK_JOB];
    char state[32];  /* "RUNNING" */
    char reason[64]; /* why it waits, in Slurm's word: "Priority"; "": for nothing */
    char nodes[128]; /* it runs on, "n[1-2]"; "": on none */
};

/* ERR_AGAIN, ERR_UNAVAILABLE: nobody knows. */
MUST_CHECK enum err queue_find(const char *uuid, struct queued *found);
/* In what squeue prints; of several the one that has not ended. A pure function. */
void queue_find_in(const char *listed, const char *uuid, struct queued *found);
/* The state of a job, "" when it is not listed. Errors as queue_find(). */
MUST_CHECK enum err queue_state(const char *job, char state[32]);
/* When Slurm will end it, in seconds since 1970; 0: it has no limit. */
MUST_CHECK enum err queue_end(const char *job, int64_t *end_s);

#endif
