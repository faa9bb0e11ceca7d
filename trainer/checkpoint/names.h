/* Names of checkpoints: what may be one, and which checkpoint one stands for. */
#ifndef TRAINER_CHECKPOINT_NAMES_H
#define TRAINER_CHECKPOINT_NAMES_H

#include "base/hash.h"
#include "base/store/store.h"

/* ERR_USAGE unless 1 to 100 letters, digits and ._/-, and not 64 hexadecimal digits. */
MUST_CHECK enum err name_check(const char *name);

/* A name, a content hash in hexadecimal or at least its first 8 digits. ERR_NOT_FOUND lists the
 * names there are. */
MUST_CHECK enum err name_resolve(struct store_txn *txn, const char *name, struct hash *content);

#endif
