/* What glowworm-scheduler must not forget: a row for each campaign that was submitted, in an LMDB
 * environment (base/store) of its folder. One process holds it open, which makes it the folder's
 * scheduler. What a call wrote is durable when it returns ERR_OK, and was never there otherwise.
 * One thread. */
#ifndef CLUSTER_DAEMON_QUEUE_STORE_H
#define CLUSTER_DAEMON_QUEUE_STORE_H

#include "cluster/daemon/submitted.h"

struct queue_store;
/* Made where there is none. ERR_AGAIN names the process that has it; ERR_DATA: damaged, or of
 * another version; ERR_CONFIG: on a network file system; ERR_IO, ERR_FULL. Returns owned. */
MUST_CHECK enum err queue_store_open(const char *folder, struct queue_store **store);
void queue_store_close(struct queue_store **store); /* accepts NULL */

/* Gives it the next id. ERR_FULL, ERR_IO. */
MUST_CHECK enum err queue_store_add(struct queue_store *store, struct submitted *submitted);
/* Replaces the row of its id. ERR_FULL, ERR_IO. */
MUST_CHECK enum err queue_store_put(struct queue_store *store, const struct submitted *submitted);
MUST_CHECK enum err queue_store_forget(struct queue_store *store, uint64_t id);

/* In the order of ids; the visitor owns what it is given (submitted_fini). ERR_DATA: a damaged row.
 */
MUST_CHECK enum err
queue_store_each(struct queue_store *store,
                 enum err (*visit)(const struct submitted *submitted, void *own), void *own);

#endif
