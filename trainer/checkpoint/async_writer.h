/* The thread that writes checkpoints while training goes on. One thread asks, waits and looks. */
#ifndef TRAINER_CHECKPOINT_ASYNC_WRITER_H
#define TRAINER_CHECKPOINT_ASYNC_WRITER_H

#include "base/store/store.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/measurement.h"

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
/* Waits for measurements too, and leaves the error for the next call to tell. */
void async_writer_finish(struct async_writer *writer);
/* Leaves a measurement to be written between saves, in the background, with others that have
 * gathered. Waits only while MEASUREMENT_BATCH are not durable. */
void async_writer_keep(struct async_writer *writer, const struct measurement *measurement);
/* Whether one that is not durable yet has this key; its record, appended. */
bool async_writer_find_kept(struct async_writer *writer, const struct hash *key,
                            struct text *packed);
bool async_writer_is_busy(struct async_writer *writer);
bool async_writer_look(struct async_writer *writer, struct checkpoint_saved *saved);

#endif
