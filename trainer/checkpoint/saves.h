/* Every checkpoint of a store, newest save first, while it is decided which of them stay. Inside a
 * transaction of the store; shared by retention and prune. */
#ifndef TRAINER_CHECKPOINT_SAVES_H
#define TRAINER_CHECKPOINT_SAVES_H

#include "base/store/store.h"
#include "trainer/checkpoint/checkpoint.h"
#include <stddef.h>

struct saved { /* one manifest */
    struct hash content;
    struct position position;
    char stage_key[HASH_HEX_BYTES], parent[HASH_HEX_BYTES]; /* hex, or "" */
    int64_t saved_ms;
    uint64_t serial;
    struct hash *blobs;   /* (blob_count) */
    uint64_t *blob_bytes; /* (blob_count) */
    size_t blob_count;
    bool is_named;
    bool is_kept; /* the decision; false at first */
    /* Among the saves of its stage and settings (stage key): */
    size_t newest; /* index of the newest one */
    size_t newer;  /* how many are newer */
    size_t edits;  /* how many other settings its stage was saved with since */
};

struct saves {
    struct saved *saved;
    size_t count, room;
    bool has_damage; /* a manifest cannot be read: blobs no readable one needs may be its own */
};

/* What cannot be read is left out, and so stays. `saves` is zeroed; call saves_fini in any case. */
MUST_CHECK enum err saves_read(struct store_txn *txn, struct saves *saves);
void saves_fini(struct saves *saves);

/* Hashes of the blobs that the kept ones (the others, all) need, sorted by blob_compare(). Returns
 * owned. */
enum saves_which { SAVES_KEPT, SAVES_DROPPED, SAVES_ALL };
struct hash *saves_blobs(const struct saves *saves, enum saves_which which, size_t *count);

/* Deletes the manifests that are not kept, then every blob that no kept one needs (blobs of a save
 * that did not come to its end as well, unless there is damage). */
MUST_CHECK enum err saves_drop(struct store_txn *txn, const struct saves *saves);

#endif
