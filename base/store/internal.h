/* What the files of base/store share: the environment behind struct store, and LMDB's codes as
 * ours. */
#ifndef BASE_STORE_INTERNAL_H
#define BASE_STORE_INTERNAL_H

#include "base/store/store.h"
#include <lmdb.h>
#include <pthread.h>
#include <stdbool.h>

struct store {
    MDB_env *env;
    char *folder, *file; /* file: the data file inside */
    enum store_mode mode;
    bool is_sealed;
    int lock;                 /* the writer's, or -1 */
    pthread_rwlock_t map;     /* read: a transaction runs; write: the map changes */
    pthread_mutex_t updating; /* one update at a time in this process */
    MDB_dbi format_table;
    int table_count;
    MDB_dbi tables[STORE_MAX_TABLES];
    bool lacks[STORE_MAX_TABLES]; /* a table added later, which this store does not have yet */
    char *table_names[STORE_MAX_TABLES];
};

struct store_txn {
    struct store *store;
    MDB_txn *mdb;
    bool is_writing;
    bool is_map_full; /* abort, grow, run again */
};

/* LMDB's and errno's codes as ERR_OK or our code with a text: "cannot <verb> <folder>: ...". */
enum err store_translate(const struct store *store, int code, const char *verb);

/* Bytes the file should have by its own account, and has. */
enum err store_measure(struct store *store, uint64_t *used_bytes, uint64_t *file_bytes);

/* Another process has grown the map: take its size. */
enum err store_follow_map(struct store *store);

/* Holds store->map for reading when it succeeds; store_abort() takes the transaction. */
enum err store_begin(struct store *store, unsigned flags, struct store_txn *txn);
void store_abort(struct store_txn *txn);

#endif
