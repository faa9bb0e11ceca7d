/* What stays in the store: named checkpoints, the newest few of each stage, and the newest one of
 * the settings it was saved with before: an edit of the campaign may be taken back. What
 * cannot be read stays, and all that may be its own. */
#ifndef TRAINER_CHECKPOINT_RETENTION_H
#define TRAINER_CHECKPOINT_RETENTION_H

#include "base/store/store.h"

/* Deletes every other manifest, then every blob that no kept manifest needs (blobs of a save that
 * did not come to its end as well). Inside the transaction that writes a manifest. */
MUST_CHECK enum err retention_apply(struct store_txn *txn, int keep);

#endif
