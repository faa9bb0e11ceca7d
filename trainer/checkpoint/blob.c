#include "trainer/checkpoint/blob.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "trainer/checkpoint/internal.h"
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES (HASH_BYTES + 4)

static struct store_bytes chunk_key(const struct hash *hash, uint32_t chunk,
                                    uint8_t room[KEY_BYTES])
{
    memcpy(room, hash->bytes, HASH_BYTES);
    for (int i = 0; i < 4; i++)
        room[HASH_BYTES + i] = (uint8_t)(chunk >> (24 - 8 * i));
    return (struct store_bytes){.data = room, .size = KEY_BYTES};
}

enum err blob_has_chunk(struct store_txn *txn, const struct hash *hash, uint32_t chunk,
                        struct store_bytes bytes, bool *is_there)
{
    uint8_t room[KEY_BYTES];
    struct store_bytes found;
    enum err err = store_get(txn, TABLE_BLOBS, chunk_key(hash, chunk, room), &found);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    *is_there = err == ERR_OK && found.size == bytes.size &&
                memcmp(found.data, bytes.data, bytes.size) == 0;
    return ERR_OK;
}

enum err blob_put_chunk(struct store_txn *txn, const struct hash *hash, uint32_t chunk,
                        struct store_bytes bytes)
{
    enum err err = ERR_OK;
    uint8_t room[KEY_BYTES];
    TRY(FAULT("checkpoint.blob"));
    TRY(store_put(txn, TABLE_BLOBS, chunk_key(hash, chunk, room), bytes));
out:
    return err;
}

void blob_begin(struct blob_walk *walk, struct store_txn *txn, const struct hash *hash,
                size_t size_bytes)
{
    *walk = (struct blob_walk){.txn = txn, .hash = *hash, .size_bytes = size_bytes};
    hasher_init(&walk->hasher);
}

enum err blob_next(struct blob_walk *walk, struct store_bytes *next)
{
    enum err err = ERR_OK;
    uint8_t room[KEY_BYTES];
    struct store_bytes chunk = {NULL, 0};
    size_t left = walk->size_bytes - walk->done_bytes;
    if (left > 0) {
        struct store_bytes key = chunk_key(&walk->hash, walk->next, room);
        err = store_get(walk->txn, TABLE_BLOBS, key, &chunk);
        if (err == ERR_NOT_FOUND)
            err = err_set(ERR_DATA, "chunk %u is missing", walk->next);
        TRY(err);
        if (chunk.size != (left < BLOB_CHUNK_BYTES ? left : BLOB_CHUNK_BYTES))
            TRY(err_set(ERR_DATA, "chunk %u has %zu bytes", walk->next, chunk.size));
        hasher_add(&walk->hasher, chunk.data, chunk.size);
        walk->done_bytes += chunk.size;
        walk->next++;
    } else {
        struct hash found = hasher_end(&walk->hasher);
        if (!hash_equal(&found, &walk->hash))
            TRY(err_set(ERR_DATA, "its bytes have changed since they were written"));
    }
    *next = chunk;
out:
    return err;
}

enum err blob_read(struct store_txn *txn, const struct hash *hash, size_t size_bytes, void *bytes)
{
    enum err err = ERR_OK;
    struct blob_walk walk;
    struct store_bytes chunk = {NULL, 0};
    blob_begin(&walk, txn, hash, size_bytes);
    do {
        char *to = bytes ? (char *)bytes + walk.done_bytes : NULL;
        TRY(blob_next(&walk, &chunk));
        if (to && chunk.size > 0)
            memcpy(to, chunk.data, chunk.size);
    } while (chunk.size > 0);
out:
    return err;
}

int blob_compare(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct hash));
}

struct sweep {
    const struct hash *kept;
    size_t kept_count;
    const struct hash *dropped; /* NULL: whatever is not kept */
    size_t dropped_count;
    struct text keys; /* of chunks to delete, KEY_BYTES each: the walk must not change the table */
};

static bool is_among(const void *key, const struct hash *hashes, size_t count)
{
    return count > 0 && bsearch(key, hashes, count, sizeof *hashes, blob_compare);
}

static enum err judge_chunk(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct sweep *sweep = argument;
    (void)value;
    if (key.size != KEY_BYTES)
        return err_set(ERR_DATA, "a blob with a key of %zu bytes", key.size);
    bool is_dropped = !sweep->dropped || is_among(key.data, sweep->dropped, sweep->dropped_count);
    if (is_dropped && !is_among(key.data, sweep->kept, sweep->kept_count))
        text_add_bytes(&sweep->keys, key.data, key.size);
    return ERR_OK;
}

enum err blob_sweep(struct store_txn *txn, const struct hash *kept, size_t kept_count,
                    const struct hash *dropped, size_t dropped_count)
{
    enum err err = ERR_OK;
    struct sweep sweep = {
        .kept = kept, .kept_count = kept_count, .dropped = dropped, .dropped_count = dropped_count};
    text_init(&sweep.keys);
    TRY(store_each(txn, TABLE_BLOBS, store_text(""), judge_chunk, &sweep));
    for (size_t at = 0; at < sweep.keys.size; at += KEY_BYTES)
        TRY(store_delete(txn, TABLE_BLOBS,
                         (struct store_bytes){.data = sweep.keys.bytes + at, .size = KEY_BYTES}));
out:
    text_fini(&sweep.keys);
    return err;
}
