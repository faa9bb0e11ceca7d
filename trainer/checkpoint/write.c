#include "trainer/checkpoint/write.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "trainer/checkpoint/blob.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/retention.h"
#include <stdio.h>

struct cursor {
    int tensor;
    uint32_t chunk;
};

struct writing {
    const struct checkpoint *checkpoint;
    const struct hash *blobs;
    struct cursor from, to; /* of this transaction */
    uint64_t batch_bytes;
};

/* What is there with the right bytes stays; a chunk that was damaged is written again. */
static enum err put_next(struct store_txn *txn, struct writing *writing)
{
    enum err err = ERR_OK;
    struct cursor *at = &writing->to;
    const struct tensor *tensor = &writing->checkpoint->tensors[at->tensor];
    const struct hash *hash = &writing->blobs[at->tensor];
    size_t size_bytes = tensor_bytes(tensor), done = at->chunk * BLOB_CHUNK_BYTES;
    bool is_there = size_bytes == 0; /* has no chunks */
    size_t left = size_bytes - done;
    struct store_bytes chunk = {.data = (const char *)tensor->values + done,
                                .size = left < BLOB_CHUNK_BYTES ? left : BLOB_CHUNK_BYTES};
    if (!is_there)
        TRY(blob_has_chunk(txn, hash, at->chunk, chunk, &is_there));
    if (!is_there) {
        TRY(blob_put_chunk(txn, hash, at->chunk, chunk));
        writing->batch_bytes += chunk.size;
    }
    at->chunk++;
    if (done + chunk.size == size_bytes)
        *at = (struct cursor){.tensor = at->tensor + 1};
out:
    return err;
}

static enum err put_batch(struct store_txn *txn, void *argument)
{
    struct writing *writing = argument;
    writing->to = writing->from; /* this may be a second attempt */
    writing->batch_bytes = 0;
    enum err err = ERR_OK;
    while (err == ERR_OK && writing->to.tensor < writing->checkpoint->tensor_count &&
           writing->batch_bytes < CHECKPOINT_WRITE_BYTES)
        err = put_next(txn, writing);
    return err;
}

static enum err put_blobs(struct store *store, const struct manifest *manifest,
                          uint64_t *written_bytes)
{
    enum err err = ERR_OK;
    struct writing writing = {.checkpoint = &manifest->checkpoint, .blobs = manifest->blobs};
    uint64_t written = 0;
    while (writing.from.tensor < manifest->checkpoint.tensor_count) {
        TRY(store_update(store, put_batch, &writing));
        writing.from = writing.to;
        written += writing.batch_bytes;
    }
    *written_bytes = written;
out:
    return err;
}

struct finish {
    const struct manifest *manifest;
    struct text packed;
    int keep;
};

static enum err put_name(struct store_txn *txn, const char *name, const struct hash *content)
{
    enum err err = ERR_OK;
    TRY(FAULT("checkpoint.name"));
    TRY(store_put(txn, TABLE_NAMES, store_text(name), hash_key(content)));
out:
    return err;
}

static enum err put_names(struct store_txn *txn, const struct checkpoint *checkpoint)
{
    enum err err = ERR_OK;
    char name[80];
    TRY(put_name(txn, "latest", &checkpoint->content));
    snprintf(name, sizeof name, "%s/latest", checkpoint->position.stage);
    TRY(put_name(txn, name, &checkpoint->content));
    if (checkpoint->position.is_final) {
        snprintf(name, sizeof name, "%s/final", checkpoint->position.stage);
        TRY(put_name(txn, name, &checkpoint->content));
    }
out:
    return err;
}

static enum err put_manifest(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct finish *finish = argument;
    struct manifest read = {0};
    const struct checkpoint *checkpoint = &finish->manifest->checkpoint;
    struct store_bytes packed = {.data = finish->packed.bytes, .size = finish->packed.size};
    TRY(FAULT("checkpoint.manifest"));
    TRY(store_put(txn, TABLE_MANIFESTS, hash_key(&checkpoint->content), packed));
    TRY(manifest_read(txn, &checkpoint->content, &read)); /* or nobody else could either */
    TRY(put_names(txn, checkpoint));
    TRY(retention_apply(txn, finish->keep));
out:
    manifest_fini(&read);
    return err;
}

static enum err drop_surplus(struct store_txn *txn, void *argument)
{
    return retention_apply(txn, *(const int *)argument);
}

/* A full disk may hold blobs of a save that was killed, or more checkpoints than are wanted now:
 * drop those and try once more. */
static enum err put_blobs_or_make_room(const struct write_order *order,
                                       const struct manifest *manifest, uint64_t *written_bytes)
{
    enum err err = put_blobs(order->store, manifest, written_bytes);
    if (err != ERR_FULL)
        return err;
    int keep = order->keep;
    TRY(store_update(order->store, drop_surplus, &keep));
    TRY(store_reuse_pages(order->store));
    TRY(put_blobs(order->store, manifest, written_bytes));
out:
    return err;
}

enum err checkpoint_write(const struct write_order *order, struct checkpoint_saved *saved)
{
    enum err err = ERR_OK;
    double start = clock_seconds();
    struct manifest manifest = {.checkpoint = *order->checkpoint, .serial = order->serial};
    const int count = manifest.checkpoint.tensor_count;
    struct finish finish = {.manifest = &manifest, .keep = order->keep};
    text_init(&finish.packed);
    manifest.blobs = mem_array((size_t)count, sizeof *manifest.blobs);
    for (int i = 0; i < count; i++)
        manifest.blobs[i] = hash_of(manifest.checkpoint.tensors[i].values,
                                    tensor_bytes(&manifest.checkpoint.tensors[i]));
    manifest.checkpoint.content = manifest_content(&manifest.checkpoint, manifest.blobs);
    manifest_pack(&manifest, &finish.packed);
    uint64_t written_bytes = 0;
    TRY(put_blobs_or_make_room(order, &manifest, &written_bytes));
    TRY(store_update(order->store, put_manifest, &finish));
    saved->position = manifest.checkpoint.position;
    saved->content = manifest.checkpoint.content;
    saved->written_bytes = written_bytes;
    saved->seconds = clock_seconds() - start;
out:
    text_fini(&finish.packed);
    mem_free(manifest.blobs); /* the rest of it is the order's */
    return err;
}
