#include "base/mem.h"
#include "trainer/checkpoint/blob.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/names.h"
#include <stdlib.h>

struct loading {
    const char *name;
    enum { LOAD_ALL, LOAD_DESCRIPTION } what;
    struct manifest manifest;
};

/* Freed by checkpoint_fini(). At least one byte, so that only a failure is NULL. */
static enum err make_values(struct tensor *tensor)
{
    size_t size = tensor_bytes(tensor) / 64 * 64 + 64;
    tensor->values = aligned_alloc(64, size);
    if (!tensor->values)
        return err_set(ERR_MEMORY, "no memory for the tensor %s: %zu MiB", tensor->name,
                       size >> 20);
    return ERR_OK;
}

static enum err load_inside(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct loading *loading = argument;
    struct checkpoint *checkpoint = &loading->manifest.checkpoint;
    struct hash content;
    TRY(name_resolve(txn, loading->name, &content));
    TRY(manifest_read(txn, &content, &loading->manifest));
    for (int i = 0; loading->what == LOAD_ALL && i < checkpoint->tensor_count; i++) {
        struct tensor *tensor = &checkpoint->tensors[i];
        TRY(make_values(tensor));
        err = blob_read(txn, &loading->manifest.blobs[i], tensor_bytes(tensor), tensor->values);
        if (err != ERR_OK)
            TRY(err_prefix(err, "the tensor %s of checkpoint \"%s\"", tensor->name, loading->name));
    }
out:
    return err;
}

static enum err load(struct checkpoint_store *store, struct loading *loading,
                     struct checkpoint *checkpoint)
{
    enum err err = store_view(store->store, load_inside, loading);
    if (err == ERR_OK) {
        *checkpoint = loading->manifest.checkpoint;
        loading->manifest.checkpoint = (struct checkpoint){0};
    } else {
        err = err_prefix(err, "%s", store->path);
    }
    manifest_fini(&loading->manifest);
    return err;
}

enum err checkpoint_load(struct checkpoint_store *store, const char *name,
                         struct checkpoint *checkpoint)
{
    struct loading loading = {.name = name, .what = LOAD_ALL};
    return load(store, &loading, checkpoint);
}

enum err checkpoint_peek(struct checkpoint_store *store, const char *name,
                         struct checkpoint *checkpoint)
{
    struct loading loading = {.name = name, .what = LOAD_DESCRIPTION};
    return load(store, &loading, checkpoint);
}
