#include "trainer/checkpoint/retention.h"
#include "base/fault.h"
#include "base/mem.h"
#include "trainer/checkpoint/blob.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/own.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of so many other settings of a stage the newest checkpoint is kept. */
#define KEPT_EDITS 2

struct saved { /* one manifest */
    struct hash content;
    char stage[64], stage_key[HASH_HEX_BYTES];
    uint64_t serial;
    bool is_kept;
    size_t newest; /* index of the newest one of the same stage and settings */
    struct hash *blobs;
    size_t blob_count;
};

struct saves {
    struct saved *saved;
    size_t count, room;
};

static enum err add_manifest(struct store_bytes key, struct store_bytes value, void *argument)
{
    enum err err = ERR_OK;
    struct saves *saves = argument;
    struct manifest manifest = {0};
    struct saved saved = {0};
    if (key.size != HASH_BYTES)
        TRY(err_set(ERR_DATA, "a manifest with a key of %zu bytes", key.size));
    memcpy(saved.content.bytes, key.data, HASH_BYTES);
    TRY(manifest_unpack(value.data, value.size, &saved.content, &manifest));
    memcpy(saved.stage, manifest.checkpoint.position.stage, sizeof saved.stage);
    const char *stage_key = manifest.checkpoint.meta.stage_key;
    snprintf(saved.stage_key, sizeof saved.stage_key, "%s", stage_key ? stage_key : "");
    saved.serial = manifest.serial;
    saved.blobs = manifest.blobs;
    saved.blob_count = (size_t)manifest.checkpoint.tensor_count;
    manifest.blobs = NULL;
    if (saves->count == saves->room) {
        size_t room = saves->room ? 2 * saves->room : 16;
        saves->saved = mem_grow(saves->saved, saves->count * sizeof saved, room * sizeof saved);
        saves->room = room;
    }
    saves->saved[saves->count++] = saved;
out:
    manifest_fini(&manifest);
    return err;
}

static enum err keep_named(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct saves *saves = argument;
    (void)key;
    for (size_t i = 0; i < saves->count; i++)
        if (value.size == HASH_BYTES &&
            memcmp(saves->saved[i].content.bytes, value.data, HASH_BYTES) == 0)
            saves->saved[i].is_kept = true;
    return ERR_OK;
}

static int newest_first(const void *left, const void *right)
{
    const struct saved *l = left, *r = right;
    return l->serial < r->serial ? 1 : l->serial > r->serial ? -1 : 0;
}

static bool is_of_stage(const struct saved *left, const struct saved *right)
{
    return strcmp(left->stage, right->stage) == 0;
}

static size_t find_newest(const struct saves *saves, size_t of)
{
    const struct saved *mine = &saves->saved[of];
    for (size_t i = 0; i < of; i++)
        if (is_of_stage(&saves->saved[i], mine) &&
            strcmp(saves->saved[i].stage_key, mine->stage_key) == 0)
            return i;
    return of;
}

/* `keep` of the settings a stage was saved with last, one of those before. */
static void keep_newest(struct saves *saves, int keep)
{
    if (saves->count > 0)
        qsort(saves->saved, saves->count, sizeof *saves->saved, newest_first);
    for (size_t i = 0; i < saves->count; i++) {
        struct saved *mine = &saves->saved[i];
        int newer = 0, edits = 0;
        mine->newest = find_newest(saves, i);
        for (size_t j = 0; j < i; j++) {
            const struct saved *other = &saves->saved[j];
            newer += other->newest == mine->newest;
            edits += j < mine->newest && other->newest == j && is_of_stage(other, mine);
        }
        int kept = edits == 0 ? keep : edits <= KEPT_EDITS ? 1 : 0;
        mine->is_kept |= newer < kept;
    }
}

static enum err sweep(struct store_txn *txn, const struct saves *saves)
{
    size_t count = 0;
    for (size_t i = 0; i < saves->count; i++)
        count += saves->saved[i].is_kept ? saves->saved[i].blob_count : 0;
    struct hash *kept = mem_array(count, sizeof *kept);
    count = 0;
    for (size_t i = 0; i < saves->count; i++) {
        const struct saved *saved = &saves->saved[i];
        if (!saved->is_kept)
            continue;
        memcpy(kept + count, saved->blobs, saved->blob_count * sizeof *kept);
        count += saved->blob_count;
    }
    qsort(kept, count, sizeof *kept, blob_compare);
    enum err err = blob_sweep(txn, kept, count);
    mem_free(kept);
    return err;
}

enum err retention_apply(struct store_txn *txn, int keep)
{
    enum err err = ERR_OK;
    struct saves saves = {0};
    TRY(FAULT("checkpoint.retention"));
    TRY(store_each(txn, TABLE_MANIFESTS, store_text(""), add_manifest, &saves));
    TRY(store_each(txn, TABLE_NAMES, store_text(""), keep_named, &saves));
    keep_newest(&saves, keep);
    for (size_t i = 0; i < saves.count; i++)
        if (!saves.saved[i].is_kept)
            TRY(store_delete(txn, TABLE_MANIFESTS, hash_key(&saves.saved[i].content)));
    TRY(sweep(txn, &saves));
out:
    for (size_t i = 0; i < saves.count; i++)
        mem_free(saves.saved[i].blobs);
    mem_free(saves.saved);
    return err;
}
