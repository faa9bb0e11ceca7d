#include "tests/checkpoint/damage.h"
#include "base/mem.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/names.h"
#include <string.h>

struct order {
    const char *name;
    enum damage damage;
    struct hash content;
    struct manifest manifest;
};

/* A copy of a value with one byte changed in its middle; returns owned. */
static char *copy_changed(struct store_bytes value, size_t at)
{
    char *copy = mem_alloc(value.size + 1);
    memcpy(copy, value.data, value.size);
    copy[at] = (char)(copy[at] ^ 1);
    return copy;
}

static enum err hurt_blob(struct store_txn *txn, const struct order *order)
{
    enum err err = ERR_OK;
    int largest = 0;
    uint8_t key[HASH_BYTES + 4] = {0}; /* of its first chunk */
    struct store_bytes chunk, place = {key, sizeof key};
    char *changed = NULL;
    const struct checkpoint *checkpoint = &order->manifest.checkpoint;
    for (int i = 1; i < checkpoint->tensor_count; i++)
        if (checkpoint->tensors[i].count > checkpoint->tensors[largest].count)
            largest = i;
    memcpy(key, order->manifest.blobs[largest].bytes, HASH_BYTES);
    err = store_get(txn, TABLE_BLOBS, place, &chunk);
    if (err == ERR_NOT_FOUND) /* another checkpoint had it too, and was damaged before */
        return ERR_OK;
    TRY(err);
    changed = copy_changed(chunk, chunk.size / 2);
    if (order->damage == DAMAGE_NO_BLOB)
        TRY(store_delete(txn, TABLE_BLOBS, place));
    else
        TRY(store_put(txn, TABLE_BLOBS, place, (struct store_bytes){changed, chunk.size}));
out:
    mem_free(changed);
    return err;
}

static enum err hurt_manifest(struct store_txn *txn, const struct order *order)
{
    enum err err = ERR_OK;
    struct store_bytes value, place = hash_key(&order->content);
    const char *stage_key = order->manifest.checkpoint.meta.stage_key;
    char *changed = NULL;
    TRY(store_get(txn, TABLE_MANIFESTS, place, &value));
    char *found = memmem(value.data, value.size, stage_key, strlen(stage_key));
    size_t at = order->damage == DAMAGE_META ? (size_t)(found - (const char *)value.data) : 0;
    changed = copy_changed(value, at);
    if (order->damage == DAMAGE_NO_MANIFEST)
        TRY(store_delete(txn, TABLE_MANIFESTS, place));
    else
        TRY(store_put(txn, TABLE_MANIFESTS, place,
                      (struct store_bytes){
                          changed, order->damage == DAMAGE_META ? value.size : value.size / 2}));
out:
    mem_free(changed);
    return err;
}

static enum err hurt(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct order *order = argument;
    manifest_fini(&order->manifest);
    TRY(name_resolve(txn, order->name, &order->content));
    TRY(manifest_read(txn, &order->content, &order->manifest));
    if (order->damage <= DAMAGE_NO_BLOB)
        TRY(hurt_blob(txn, order));
    else
        TRY(hurt_manifest(txn, order));
out:
    return err;
}

void damage_checkpoint(const char *folder, const char *name, enum damage damage)
{
    static const char *const tables[] = {"blobs", "manifests", "names", NULL};
    struct store_cfg cfg = {
        .path = folder, .mode = STORE_WRITE, .kind = "checkpoints", .version = 1, .tables = tables};
    struct store *store = NULL;
    struct order order = {.name = name, .damage = damage};
    if (store_open(&cfg, &store) != ERR_OK || store_update(store, hurt, &order) != ERR_OK)
        BUG("%s", err_text());
    manifest_fini(&order.manifest);
    store_close(&store);
}
