/* Writes one checkpoint: blobs first, then manifest, names and retention in one transaction. */
#ifndef TRAINER_CHECKPOINT_WRITE_H
#define TRAINER_CHECKPOINT_WRITE_H

#include "base/store/store.h"
#include "trainer/checkpoint/checkpoint.h"

struct write_order {
    struct store *store;
    const struct checkpoint *checkpoint;
    uint64_t serial;
    int keep;
};

/* Fills saved->position, content, written_bytes and seconds. After an error the store holds what it
 * held before; blobs that were written already wait for the next save to need or to sweep them. */
MUST_CHECK enum err checkpoint_write(const struct write_order *order,
                                     struct checkpoint_saved *saved);

#endif
