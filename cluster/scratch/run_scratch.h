/* A run whose stores lie on scratch: claims it, finds its stores there or brings them back from
 * what was published, and lets links in its folder lead to them. Without resources.scratch there is
 * none of this. One thread. */
#ifndef CLUSTER_SCRATCH_RUN_SCRATCH_H
#define CLUSTER_SCRATCH_RUN_SCRATCH_H

#include "cluster/scratch/claim.h"
#include "trainer/spec/campaign.h"

struct run_scratch_cfg { /* borrowed */
    const struct campaign *campaign;
    const char *run_folder; /* is there */
    enum claim_mode mode;
    double watch_s;  /* as claim_cfg's */
    double leaves_s; /* what an owner of this machine that is replaced has to leave the stores */
    const volatile sig_atomic_t *stop_asked; /* NULL: nothing ends what takes long */
};

struct run_scratch;
/* *scratch stays NULL where the campaign names none. The run is ours, and its stores are those of
 * the last owner if they are here, else what was published last, else new ones; people are told
 * which. Until run_scratch_unlock() no other owner of this machine touches them. Errors as
 * claim_take() and state_restore(); ERR_AGAIN, too: another one of this machine is at the stores,
 * or has taken the run over meanwhile; ERR_CONFIG: the folder or its run do not go with
 * resources.scratch. Returns owned. */
MUST_CHECK enum err run_scratch_open(const struct run_scratch_cfg *cfg,
                                     struct run_scratch **scratch);
/* Once the journal is held, which is the stores' lock from then on. */
void run_scratch_unlock(struct run_scratch *scratch);
/* The folder of journal/ and checkpoints/; borrowed. */
const char *run_scratch_stores(const struct run_scratch *scratch);
uint64_t run_scratch_claim(const struct run_scratch *scratch);
/* ERR_AGAIN: another runner has taken the run over. Never waits. own: the struct run_scratch. */
MUST_CHECK enum err run_scratch_check(void *own);
/* Accepts NULL. */
void run_scratch_close(struct run_scratch **scratch, enum claim_end end);

#endif
