/* A copy of a checkpoint that the async writer works on while training goes on. Its memory is kept
 * from save to save, so that only the first one pays for the pages. */
#ifndef TRAINER_CHECKPOINT_SNAPSHOT_H
#define TRAINER_CHECKPOINT_SNAPSHOT_H

#include "trainer/checkpoint/checkpoint.h"

struct snapshot {
    struct checkpoint checkpoint; /* values point into block */
    void *block;
    size_t room_bytes;
};

/* Replaces what the copy held; values as arrange->fetch brings them (NULL: as they stand in the
 * checkpoint). ERR_MEMORY, or what fetch says: the copy is worth nothing then. */
MUST_CHECK enum err snapshot_take(struct snapshot *copy, const struct checkpoint *checkpoint,
                                  const struct checkpoint_arrange *arrange);
/* Bytes that a copy of these tensors takes. */
size_t snapshot_room(const struct tensor *tensors, int tensor_count);

/* Makes room for tensors of so many bytes and touches it, so that the first copy is as quick as the
 * later ones. The copy is empty then. ERR_MEMORY. */
MUST_CHECK enum err snapshot_prepare(struct snapshot *copy, size_t size_bytes);
/* Puts every tensor into the outside's order. ERR_MEMORY, or what arrange says. */
MUST_CHECK enum err snapshot_arrange(struct snapshot *copy,
                                     const struct checkpoint_arrange *arrange);
void snapshot_fini(struct snapshot *copy); /* accepts a zeroed one */

#endif
