#include "trainer/checkpoint/saves.h"
#include "base/mem.h"
#include "trainer/checkpoint/blob.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void describe(struct manifest *manifest, struct saved *saved)
{
    const struct checkpoint *checkpoint = &manifest->checkpoint;
    const struct checkpoint_meta *meta = &checkpoint->meta;
    *saved = (struct saved){.content = checkpoint->content,
                            .position = checkpoint->position,
                            .saved_ms = meta->saved_ms,
                            .serial = manifest->serial,
                            .blobs = manifest->blobs,
                            .blob_count = (size_t)checkpoint->tensor_count};
    manifest->blobs = NULL;
    snprintf(saved->stage_key, sizeof saved->stage_key, "%s", meta->stage_key);
    snprintf(saved->parent, sizeof saved->parent, "%s", meta->parent);
    saved->blob_bytes = mem_array(saved->blob_count, sizeof *saved->blob_bytes);
    for (size_t i = 0; i < saved->blob_count; i++)
        saved->blob_bytes[i] = tensor_bytes(&checkpoint->tensors[i]);
}

static enum err add_manifest(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct saves *saves = argument;
    struct manifest manifest = {0};
    struct hash content;
    if (manifest_unpack_row(key, value, &content, &manifest) != ERR_OK) {
        saves->has_damage = true;
        return ERR_OK;
    }
    if (saves->count == saves->room) {
        size_t room = saves->room ? 2 * saves->room : 16, one = sizeof *saves->saved;
        saves->saved = mem_grow(saves->saved, saves->count * one, room * one);
        saves->room = room;
    }
    describe(&manifest, &saves->saved[saves->count++]);
    manifest_fini(&manifest);
    return ERR_OK;
}

static enum err mark_named(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct saves *saves = argument;
    (void)key;
    for (size_t i = 0; i < saves->count; i++)
        if (value.size == HASH_BYTES &&
            memcmp(saves->saved[i].content.bytes, value.data, HASH_BYTES) == 0)
            saves->saved[i].is_named = true;
    return ERR_OK;
}

static int newest_first(const void *left, const void *right)
{
    const struct saved *l = left, *r = right;
    return l->serial < r->serial ? 1 : l->serial > r->serial ? -1 : 0;
}

static bool is_of_stage(const struct saved *left, const struct saved *right)
{
    return strcmp(left->position.stage, right->position.stage) == 0;
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

static void count_newer(struct saves *saves)
{
    for (size_t i = 0; i < saves->count; i++) {
        struct saved *mine = &saves->saved[i];
        mine->newest = find_newest(saves, i);
        for (size_t j = 0; j < i; j++) {
            const struct saved *other = &saves->saved[j];
            mine->newer += other->newest == mine->newest;
            mine->edits += j < mine->newest && other->newest == j && is_of_stage(other, mine);
        }
    }
}

enum err saves_read(struct store_txn *txn, struct saves *saves)
{
    enum err err = ERR_OK;
    TRY(store_each(txn, TABLE_MANIFESTS, store_text(""), add_manifest, saves));
    TRY(store_each(txn, TABLE_NAMES, store_text(""), mark_named, saves));
    if (saves->count > 0)
        qsort(saves->saved, saves->count, sizeof *saves->saved, newest_first);
    count_newer(saves);
out:
    return err;
}

void saves_fini(struct saves *saves)
{
    for (size_t i = 0; i < saves->count; i++) {
        mem_free(saves->saved[i].blobs);
        mem_free(saves->saved[i].blob_bytes);
    }
    mem_free(saves->saved);
    *saves = (struct saves){0};
}

struct hash *saves_blobs(const struct saves *saves, enum saves_which which, size_t *count)
{
    size_t room = 0;
    for (size_t i = 0; i < saves->count; i++)
        room += saves->saved[i].blob_count;
    struct hash *blobs = mem_array(room, sizeof *blobs);
    *count = 0;
    for (size_t i = 0; i < saves->count; i++) {
        const struct saved *saved = &saves->saved[i];
        if (saved->blob_count == 0 ||
            (which != SAVES_ALL && saved->is_kept != (which == SAVES_KEPT)))
            continue;
        memcpy(blobs + *count, saved->blobs, saved->blob_count * sizeof *blobs);
        *count += saved->blob_count;
    }
    qsort(blobs, *count, sizeof *blobs, blob_compare);
    return blobs;
}

enum err saves_drop(struct store_txn *txn, const struct saves *saves)
{
    enum err err = ERR_OK;
    size_t kept_count = 0, dropped_count = 0;
    struct hash *kept = saves_blobs(saves, SAVES_KEPT, &kept_count);
    struct hash *dropped = saves_blobs(saves, SAVES_DROPPED, &dropped_count);
    for (size_t i = 0; i < saves->count; i++)
        if (!saves->saved[i].is_kept)
            TRY(store_delete(txn, TABLE_MANIFESTS, hash_key(&saves->saved[i].content)));
    TRY(blob_sweep(txn, kept, kept_count, saves->has_damage ? dropped : NULL, dropped_count));
out:
    mem_free(kept);
    mem_free(dropped);
    return err;
}
