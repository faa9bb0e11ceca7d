/* Blobs: the bytes of a tensor under their hash, in chunks. Inside a transaction of the store. */
#ifndef TRAINER_CHECKPOINT_BLOB_H
#define TRAINER_CHECKPOINT_BLOB_H

#include "base/hash.h"
#include "base/store/store.h"
#include <stdbool.h>

/* With LMDB's 16 bytes in front a chunk fills 256 pages exactly, and so fits where one was. */
#define BLOB_CHUNK_BYTES (((size_t)1 << 20) - 16)

/* Whether a chunk is there and has exactly these bytes: one that was damaged has not. */
MUST_CHECK enum err blob_has_chunk(struct store_txn *txn, const struct hash *hash, uint32_t chunk,
                                   struct store_bytes bytes, bool *is_there);
MUST_CHECK enum err blob_put_chunk(struct store_txn *txn, const struct hash *hash, uint32_t chunk,
                                   struct store_bytes bytes);
/* A blob read chunk by chunk. */
struct blob_walk {
    struct store_txn *txn;
    struct hash hash;
    size_t size_bytes, done_bytes;
    uint32_t next; /* chunk */
    struct hasher hasher;
};
void blob_begin(struct blob_walk *walk, struct store_txn *txn, const struct hash *hash,
                size_t size_bytes);
/* The next chunk, borrowed from the store and aligned to nothing; size 0: there is no more, and the
 * hash is right. Blobs of one size have the same chunks. ERR_DATA: a chunk is missing or too long,
 * or the hash is another. */
MUST_CHECK enum err blob_next(struct blob_walk *walk, struct store_bytes *chunk);
/* Reads the blob, into `bytes` unless that is NULL, and hashes it. Errors as blob_next(). */
MUST_CHECK enum err blob_read(struct store_txn *txn, const struct hash *hash, size_t size_bytes,
                              void *bytes);

/* Deletes every chunk whose hash is among `dropped` (NULL: any) and not among `kept`, both sorted
 * by blob_compare(). */
MUST_CHECK enum err blob_sweep(struct store_txn *txn, const struct hash *kept, size_t kept_count,
                               const struct hash *dropped, size_t dropped_count);
int blob_compare(const void *left, const void *right); /* of two struct hash, for qsort() */

#endif
