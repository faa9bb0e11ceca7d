/* A store: one LMDB environment in a folder of a local file system, with named tables of ordered
 * keys and values. The only room that includes lmdb.h. One process writes (a lock says which), any
 * number read, and readers never wait for the writer. What a transaction wrote is durable and whole
 * once store_update() returns ERR_OK, and was never there otherwise, whatever happens to process or
 * power.
 *
 * Any thread may call everything; one process opens a folder once and shares the handle (ERR_AGAIN
 * otherwise). A store is not used across fork(). Inside the callback of store_view() or
 * store_update() no other transaction of the same store may be started.
 *
 * A folder that holds a file STORE_SEALED is a copy that nobody writes any more: it is read without
 * locks, from any file system and by any machine, and never opened to write. */
#ifndef BASE_STORE_STORE_H
#define BASE_STORE_STORE_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

#define STORE_MAX_TABLES    8
#define STORE_MAX_KEY_BYTES 511
#define STORE_FILE          "data.mdb"
#define STORE_SEALED        "sealed"

enum store_mode {
    /* ERR_NOT_FOUND when it is not there. A reader writes itself into lock.mdb, so it needs the
     * permission for that; on a read-only file system it does without. */
    STORE_READ,
    STORE_WRITE /* made when it is not there; takes the writer's lock */
};

struct store_cfg {
    const char *path; /* the folder */
    enum store_mode mode;
    const char *kind; /* what is in it, for people and the format record: "checkpoints" */
    uint32_t version; /* of the format of keys and values; a store of another one is refused... */
    uint32_t oldest;  /* ...but from here on: it is of `version` once opened to write. 0: none */
    const char *const *tables; /* names, NULL at the end; a table is known by its index */
    int first_added;  /* from this one on, tables were added later: a reader finds them empty where
                         nobody has written since. 0: every table has always been there */
    size_t map_bytes; /* address space at first; 0: 64 MiB. It grows by itself */
};

struct store;
struct store_txn; /* lives inside a callback only */

struct store_bytes { /* a key or a value; borrowed from the store where a function returns it */
    const void *data;
    size_t size;
};

/* Errors: ERR_NOT_FOUND (mode STORE_READ), ERR_AGAIN (another process writes: named; or this one
 * has it open already), ERR_DATA (not such a store, another format, cut short, damaged), ERR_CONFIG
 * (writing on a network file system, or a sealed copy), ERR_IO (lock.mdb may not be written, too),
 * ERR_FULL. Returns owned. */
MUST_CHECK enum err store_open(const struct store_cfg *cfg, struct store **store);
void store_close(struct store **store); /* accepts NULL; no transaction may be running */
const char *store_folder(const struct store *store); /* borrowed */

/* Runs `body` in a read transaction: one unchanging snapshot. Returns what body returned. */
MUST_CHECK enum err store_view(struct store *store,
                               enum err (*body)(struct store_txn *, void *argument),
                               void *argument);

/* Runs `body` in a write transaction and commits it; when body or the commit fails nothing was
 * written. When the map is full it is grown and body runs AGAIN from the start, so body must not
 * change anything of its own that it cannot set anew. ERR_FULL: disk or address space; what was
 * there is intact. ERR_MEMORY. */
MUST_CHECK enum err store_update(struct store *store,
                                 enum err (*body)(struct store_txn *, void *argument),
                                 void *argument);

/* LMDB hands the pages that one transaction freed to the transaction after next. This is an empty
 * one between: what was deleted is room for the next update. For a disk that is full. */
MUST_CHECK enum err store_reuse_pages(struct store *store);

/* The file never gets smaller by itself. This writes it anew, without its free pages, beside the
 * old one, and puts it in its place. Takes the store (mode STORE_WRITE), succeed or fail; no
 * transaction of it may be running. ERR_AGAIN names the process that has it open for reading,
 * ERR_FULL: no room for the copy; the store is what it was. *freed_bytes: how much smaller the file
 * is. */
MUST_CHECK enum err store_compact(struct store **store, uint64_t *freed_bytes);

/* Writes the store as it is at one moment, without its free pages, to a file that is not there yet:
 * whole and synced, or not there after an error. Whoever writes the store goes on meanwhile.
 * ERR_FULL, ERR_IO, ERR_DATA. */
MUST_CHECK enum err store_copy(struct store *store, const char *file);

/* The value is borrowed: until the transaction ends or, when writing, until the next put or delete.
 * ERR_NOT_FOUND. */
MUST_CHECK enum err store_get(struct store_txn *txn, int table, struct store_bytes key,
                              struct store_bytes *value);
/* The greatest key of a table. ERR_NOT_FOUND when it is empty. */
MUST_CHECK enum err store_last(struct store_txn *txn, int table, struct store_bytes *key,
                               struct store_bytes *value);
MUST_CHECK enum err store_count(struct store_txn *txn, int table, uint64_t *count);

/* Visits, in byte order, the keys that begin with `prefix` (size 0: all), or those not below
 * `first`. An error of the visitor ends the walk and is returned. The visitor must not change the
 * table. */
MUST_CHECK enum err store_each(struct store_txn *txn, int table, struct store_bytes prefix,
                               enum err (*visit)(struct store_bytes key, struct store_bytes value,
                                                 void *argument),
                               void *argument);
MUST_CHECK enum err store_each_from(struct store_txn *txn, int table, struct store_bytes first,
                                    enum err (*visit)(struct store_bytes key,
                                                      struct store_bytes value, void *argument),
                                    void *argument);

/* Inside store_update() only. */
MUST_CHECK enum err store_put(struct store_txn *txn, int table, struct store_bytes key,
                              struct store_bytes value); /* replaces */
MUST_CHECK enum err store_delete(struct store_txn *txn, int table,
                                 struct store_bytes key); /* a missing key is fine */

/* Keys: a text without its NUL, and a number that sorts as it counts (8 bytes, big-endian). */
struct store_bytes store_text(const char *text);
struct store_bytes store_number(uint64_t number, uint8_t room[8]);
uint64_t store_to_number(struct store_bytes key); /* BUG() unless 8 bytes */

struct store_info {
    uint64_t map_bytes;  /* address space */
    uint64_t used_bytes; /* of the file, free pages included */
    uint64_t file_bytes;
    int readers;         /* transactions of all processes */
    uint64_t last_write; /* the number of the last transaction that wrote: grows with each */
};
MUST_CHECK enum err store_info(struct store *store, struct store_info *info);

#endif
