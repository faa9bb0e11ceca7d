/* The thread that writes checkpoints while training goes on. One thread asks, waits and looks. */
#ifndef TRAINER_CHECKPOINT_ASYNC_WRITER_H
#define TRAINER_CHECKPOINT_ASYNC_WRITER_H

#include "base/store/store.h"
#include "trainer/checkpoint/checkpoint.h"

struct async_writer;

/* Borrows the store. Saves are numbered from `serial` on. Returns owned. */
MUST_CHECK enum err async_writer_create(struct store *store, uint64_t serial, int keep,
                                        struct async_writer **writer);
void async_writer_destroy(
    struct async_writer **writer); /* waits for what is in hand; accepts NULL */

/* Waits for the save in hand, tells its error once, or copies the checkpoint and starts the next.
 */
MUST_CHECK enum err async_writer_ask(struct async_writer *writer,
                                     const struct checkpoint *checkpoint,
                                     const struct checkpoint_arrange *arrange);
MUST_CHECK enum err async_writer_wait(struct async_writer *writer);
/* The same, but leaves the error for the next call to tell. */
void async_writer_finish(struct async_writer *writer);
bool async_writer_is_busy(struct async_writer *writer);
bool async_writer_look(struct async_writer *writer, struct checkpoint_saved *saved);

#endif
