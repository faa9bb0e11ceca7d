/* A copy of a checkpoint that the saver works on while training goes on. Its memory is kept from
 * save to save, so that only the first one pays for the pages. */
#ifndef TRAINER_CHECKPOINT_HOST_COPY_H
#define TRAINER_CHECKPOINT_HOST_COPY_H

#include "trainer/checkpoint/checkpoint.h"

struct host_copy {
    struct checkpoint checkpoint; /* values point into block */
    void *block;
    size_t room_bytes;
};

/* Replaces what the copy held; values as arrange->fetch brings them (NULL: as they stand in the
 * checkpoint). ERR_MEMORY, or what fetch says: the copy is worth nothing then. */
MUST_CHECK enum err host_copy_take(struct host_copy *copy, const struct checkpoint *checkpoint,
                                   const struct checkpoint_arrange *arrange);
/* Bytes that a copy of these tensors takes. */
size_t host_copy_room(const struct tensor *tensors, int tensor_count);

/* Makes room for tensors of so many bytes and touches it, so that the first copy is as quick as the
 * later ones. The copy is empty then. ERR_MEMORY. */
MUST_CHECK enum err host_copy_prepare(struct host_copy *copy, size_t size_bytes);
/* Puts every tensor into the outside's order. ERR_MEMORY, or what arrange says. */
MUST_CHECK enum err host_copy_arrange(struct host_copy *copy,
                                      const struct checkpoint_arrange *arrange);
void host_copy_fini(struct host_copy *copy); /* accepts a zeroed one */

#endif
