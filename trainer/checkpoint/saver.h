/* The thread that writes checkpoints while training goes on. One thread asks, waits and looks. */
#ifndef TRAINER_CHECKPOINT_SAVER_H
#define TRAINER_CHECKPOINT_SAVER_H

#include "base/store/store.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/measurement.h"

struct saver;

/* Borrows the store. Saves are numbered from `serial` on. Returns owned. */
MUST_CHECK enum err saver_create(struct store *store, uint64_t serial, int keep,
                                 struct saver **saver);
void saver_destroy(struct saver **saver); /* waits for what is in hand; accepts NULL */

/* Waits for the save in hand, tells its error once, or copies the checkpoint and starts the next.
 */
MUST_CHECK enum err saver_ask(struct saver *saver, const struct checkpoint *checkpoint,
                              const struct checkpoint_arrange *arrange);
/* Waits for the save in hand, then makes the copy's memory ready in the background. */
MUST_CHECK enum err saver_prepare(struct saver *saver, size_t size_bytes);
MUST_CHECK enum err saver_wait(struct saver *saver);
/* Waits for measurements too, and leaves the error for the next call to tell. */
void saver_finish(struct saver *saver);
/* Leaves a measurement to be written between saves, in the background, with others that have
 * gathered. Waits only while MEASUREMENT_BATCH are not durable. */
void saver_keep(struct saver *saver, const struct measurement *measurement);
/* Whether one that is not durable yet has this key; its record, appended. */
bool saver_find_kept(struct saver *saver, const struct hash *key, struct text *packed);
bool saver_is_busy(struct saver *saver);
bool saver_look(struct saver *saver, struct checkpoint_saved *saved);

#endif
