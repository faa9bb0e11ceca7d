/* A copy of a checkpoint that the async writer works on while training goes on. Its memory is kept
 * from save to save, so that only the first one pays for the pages. */
#ifndef TRAINER_CHECKPOINT_SNAPSHOT_H
#define TRAINER_CHECKPOINT_SNAPSHOT_H

#include "trainer/checkpoint/checkpoint.h"

struct snapshot {
    struct checkpoint checkpoint; /* values point into block, or are the caller's */
    void *block;
    size_t room_bytes;
};

/* Replaces what the copy held. Values are copied, or with arrange->start stay where they are.
 * Without it ERR_MEMORY, with it what start says: the copy is worth nothing then. */
MUST_CHECK enum err snapshot_take(struct snapshot *copy, const struct checkpoint *checkpoint,
                                  const struct checkpoint_arrange *arrange);
/* Puts every tensor into the outside's order. ERR_MEMORY, or what arrange says. */
MUST_CHECK enum err snapshot_arrange(struct snapshot *copy,
                                     const struct checkpoint_arrange *arrange);
void snapshot_fini(struct snapshot *copy); /* accepts a zeroed one */

#endif
