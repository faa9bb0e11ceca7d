/* A checkpoint's manifest as it lies in the store, and the content hash. */
#ifndef TRAINER_CHECKPOINT_MANIFEST_H
#define TRAINER_CHECKPOINT_MANIFEST_H

#include "base/store/store.h"
#include "base/text.h"
#include "trainer/checkpoint/checkpoint.h"

struct manifest {
    struct checkpoint checkpoint; /* tensors without values; content is set */
    struct hash *blobs;           /* (tensor_count) */
    uint64_t serial;
};
void manifest_fini(struct manifest *manifest); /* accepts a zeroed one */

/* BLAKE2b over position and, in the order of their names, every tensor's name, type, shape and blob
 * hash. Nothing of meta. */
struct hash manifest_content(const struct checkpoint *checkpoint, const struct hash *blobs);

/* Adds the packed Manifest to `packed`. */
void manifest_pack(const struct manifest *manifest, struct text *packed);
/* ERR_DATA unless it unpacks, is plausible, has the content hash `content`, and nothing of the rest
 * has changed since it was packed either. */
MUST_CHECK enum err manifest_unpack(const void *bytes, size_t size_bytes,
                                    const struct hash *content, struct manifest *manifest);

/* The same of a row of the table of manifests, whose key goes to *content. */
MUST_CHECK enum err manifest_unpack_row(struct store_bytes key, struct store_bytes value,
                                        struct hash *content, struct manifest *manifest);

/* The manifest of a content hash. ERR_DATA: missing or damaged; the text says which. */
MUST_CHECK enum err manifest_read(struct store_txn *txn, const struct hash *content,
                                  struct manifest *manifest);

/* ERR_DATA when a tensor has no name, one that another has, or a count that its shape does not. */
MUST_CHECK enum err manifest_check(const struct checkpoint *checkpoint);

/* Bytes of a tensor's values. */
size_t tensor_bytes(const struct tensor *tensor);

#endif
