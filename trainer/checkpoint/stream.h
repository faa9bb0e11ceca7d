/* A checkpoint's tensors piece by piece, in one snapshot of the store, for whoever looks at each
 * value once: nothing of it is held in memory but a chunk. Any thread may call. */
#ifndef TRAINER_CHECKPOINT_STREAM_H
#define TRAINER_CHECKPOINT_STREAM_H

#include "trainer/checkpoint/checkpoint.h"
#include <stddef.h>

struct stream { /* who listens; its errors end the stream and are returned */
    /* First: the checkpoint without values, as checkpoint_peek() gives it; borrowed for the whole
     * stream. NULL: not asked. */
    enum err (*begin)(void *own, const struct checkpoint *checkpoint);
    /* Values of one tensor, in order; tensors in the checkpoint's order, each whole before the
     * next. They are not believed before `end` was called. */
    enum err (*piece)(void *own, int tensor, const float *values, size_t count);
    /* Behind every tensor: its hash was right. NULL: not asked. */
    enum err (*end)(void *own, int tensor);
    void *own;
};

/* By name or content hash; errors as checkpoint_load(). */
MUST_CHECK enum err checkpoint_stream(struct checkpoint_store *store, const char *name,
                                      const struct stream *stream);

#endif
