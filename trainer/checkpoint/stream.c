#include "trainer/checkpoint/stream.h"
#include "base/mem.h"
#include "trainer/checkpoint/blob.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/names.h"
#include <string.h>

struct streaming {
    const char *name;
    const struct stream *stream;
    float *piece; /* a chunk of the store is aligned to nothing */
};

static enum err stream_tensor(struct store_txn *txn, const struct streaming *streaming,
                              const struct manifest *manifest, int tensor)
{
    enum err err = ERR_OK;
    const struct stream *stream = streaming->stream;
    struct blob_walk walk;
    struct store_bytes chunk = {NULL, 0};
    blob_begin(&walk, txn, &manifest->blobs[tensor],
               tensor_bytes(&manifest->checkpoint.tensors[tensor]));
    TRY(blob_next(&walk, &chunk));
    while (chunk.size > 0) {
        memcpy(streaming->piece, chunk.data, chunk.size);
        TRY(stream->piece(stream->own, tensor, streaming->piece, chunk.size / sizeof(float)));
        TRY(blob_next(&walk, &chunk));
    }
    if (stream->end)
        TRY(stream->end(stream->own, tensor));
out:
    return err;
}

static enum err stream_inside(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct streaming *streaming = argument;
    const struct stream *stream = streaming->stream;
    struct manifest manifest = {0};
    struct hash content;
    TRY(name_resolve(txn, streaming->name, &content));
    TRY(manifest_read(txn, &content, &manifest));
    if (stream->begin)
        TRY(stream->begin(stream->own, &manifest.checkpoint));
    for (int i = 0; i < manifest.checkpoint.tensor_count; i++) {
        err = stream_tensor(txn, streaming, &manifest, i);
        if (err != ERR_OK)
            TRY(err_prefix(err, "the tensor %s of checkpoint \"%s\"",
                           manifest.checkpoint.tensors[i].name, streaming->name));
    }
out:
    manifest_fini(&manifest);
    return err;
}

enum err checkpoint_stream(struct checkpoint_store *store, const char *name,
                           const struct stream *stream)
{
    struct streaming streaming = {
        .name = name, .stream = stream, .piece = mem_alloc(BLOB_CHUNK_BYTES)};
    enum err err = store_view(store->store, stream_inside, &streaming);
    mem_free(streaming.piece);
    return err == ERR_OK ? ERR_OK : err_prefix(err, "%s", store->path);
}
