/* What the checkpoints of a run say about where they come from. Rank 0's: it writes them. */
#ifndef TRAINER_CHECKPOINT_PROVENANCE_H
#define TRAINER_CHECKPOINT_PROVENANCE_H

#include "base/hash.h"
#include "trainer/spec/campaign.h"

struct provenance {
    struct hash keys[PLAN_MAX_STAGES];
    char *campaign, *space; /* their files' texts; the campaign's with every default written out */
    char *lineage;          /* program, host, device */
    struct hash dataset;
    int64_t lease_epoch;
};
void provenance_fini(struct provenance *provenance); /* accepts a zeroed one */

#endif
