/* Whether a run's ranks fit into the memory there is: `plan` and `run` ask before anything starts.
 * Nothing is made smaller to fit; a refusal says what would. One thread. */
#ifndef CLUSTER_RUN_MEMORY_H
#define CLUSTER_RUN_MEMORY_H

#include "cluster/campaign_run.h"
#include "cluster/machine_memory.h"
#include "trainer/footprint.h"

struct run_memory {             /* of the stage that takes most of those that are still to be run */
    int stage;                  /* in the run's graph; -1: nothing is to be run in memory */
    int ranks;                  /* at once, on this machine */
    struct footprint footprint; /* all zero without a stage */
    int device_stage;    /* where a module's device computes: the stage that takes most of its
                            memory; -1: none */
    size_t device_bytes; /* of a rank there (struct footprint) */
    size_t scratch_bytes;
};

/* done[stage]: not run again. Where a module's device computes, what it takes there is counted, and
 * nothing of this machine's memory. */
void run_memory_of(const struct campaign_run *run, const bool *done, struct run_memory *memory);

/* What each stage of the run takes; zero where it is not known. */
void run_memory_of_stages(const struct campaign_run *run, size_t bytes[PLAN_MAX_STAGES]);

/* The memory of this machine, and of the cards it has for the campaign's device. ERR_IO. */
MUST_CHECK enum err run_memory_there(const struct campaign *campaign,
                                     struct machine_memory *machine);

/* ERR_CONFIG with what is needed, what there is, and what would fit. */
MUST_CHECK enum err run_memory_check(const struct campaign_run *run, const bool *done,
                                     const struct machine_memory *machine,
                                     struct run_memory *memory);

/* The same for the stages that a survey finds undone, on this machine. */
MUST_CHECK enum err run_memory_survey(const struct campaign_run *run, const struct survey *survey,
                                      struct machine_memory *machine, struct run_memory *memory);

#endif
