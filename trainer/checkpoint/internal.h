/* What the files of trainer/checkpoint share: the store's tables, and the handle. */
#ifndef TRAINER_CHECKPOINT_INTERNAL_H
#define TRAINER_CHECKPOINT_INTERNAL_H

#include "base/store/store.h"
#include "trainer/checkpoint/checkpoint.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blobs are stored as they lie in memory");

enum {
    TABLE_BLOBS,     /* hash of the tensor's bytes + chunk number (4 bytes, big-endian): a chunk */
    TABLE_MANIFESTS, /* content hash: Manifest */
    TABLE_NAMES      /* name: content hash */
};

struct async_writer;

struct checkpoint_store {
    struct store *store;
    struct async_writer *writer; /* NULL: opened for reading */
    int keep;
    char *path;
};

static inline struct store_bytes hash_key(const struct hash *hash)
{
    return (struct store_bytes){.data = hash->bytes, .size = HASH_BYTES};
}

#endif
