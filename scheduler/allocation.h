/* The job of Slurm that this program runs in, by the environment that Slurm gives it, and what
 * gangs get of it. Plain data; one thread. */
#ifndef SCHEDULER_ALLOCATION_H
#define SCHEDULER_ALLOCATION_H

#include "base/err.h"
#include "trainer/spec/campaign.h"
#include <stdbool.h>

struct allocation {
    char job[32];         /* its number */
    char node[256];       /* that we are on */
    int nodes;            /* of the job... */
    const char *names;    /* ...and theirs (node_list.h), the environment's; NULL: not known */
    bool is_first;        /* of them: where the ranks of a gang of several begin */
    int cpus;             /* of the job on this one */
    int cpus_of_each;     /* likewise on every one: where they differ the fewest */
    long long memory_mib; /* of a node; 0: not limited, or counted by the CPU */
};
struct gang_share { /* of one gang */
    int threads;    /* of a rank */
    int gpus_per_rank;
    long long memory_mib; /* 0: as Slurm gives it */
    int of_node;          /* so many gangs at most are on one node... */
    int away;             /* ...and so many on others than ours: helpers */
    int jobs;             /* more helpers, each a job of its own */
};

/* ERR_CONFIG, with the cure: we are in no job, or not on a node of it. ERR_DATA: what Slurm says is
 * not understood. */
MUST_CHECK enum err allocation_read(struct allocation *allocation);
/* Gangs of this campaign beside each other, resources.gangs_per_node of them on a node, or each
 * with as many ranks on every one of resources.nodes. ERR_CONFIG, with the cure: they have no room.
 */
MUST_CHECK enum err allocation_divide(const struct allocation *allocation,
                                      const struct campaign *campaign, struct gang_share *share);

#endif
