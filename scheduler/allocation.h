/* The job of Slurm that this program runs in, by the environment that Slurm gives it, and what
 * gangs get of it. Plain data; one thread. */
#ifndef SCHEDULER_ALLOCATION_H
#define SCHEDULER_ALLOCATION_H

#include "base/err.h"
#include "trainer/spec/campaign.h"

struct allocation {
    char job[32];         /* its number */
    char node[256];       /* that we are on */
    int cpus;             /* of the job on this node */
    long long memory_mib; /* likewise; 0: not limited, or counted by the CPU */
};
struct gang_share { /* of one gang */
    int threads;    /* of a rank */
    int gpus_per_rank;
    long long memory_mib; /* 0: as Slurm gives it */
};

/* ERR_CONFIG, with the cure: we are in no job, or not on a node of it. ERR_DATA: what Slurm says is
 * not understood. */
MUST_CHECK enum err allocation_read(struct allocation *allocation);
/* Gangs of this campaign beside each other. ERR_CONFIG, with the cure: they have no room on this
 * node, and a gang lies on one. */
MUST_CHECK enum err allocation_divide(const struct allocation *allocation,
                                      const struct campaign *campaign, struct gang_share *share);

#endif
