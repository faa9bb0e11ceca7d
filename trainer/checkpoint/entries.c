#include "base/mem.h"
#include "base/text.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include <stdlib.h>
#include <string.h>

struct numbered { /* an entry and where it stands in the order of saves */
    struct checkpoint_entry entry;
    uint64_t serial;
};

struct entries {
    struct numbered *items;
    int count, room;
};

static void describe(const struct manifest *manifest, struct numbered *item)
{
    const struct checkpoint *checkpoint = &manifest->checkpoint;
    *item = (struct numbered){.serial = manifest->serial,
                              .entry = {.content = checkpoint->content,
                                        .position = checkpoint->position,
                                        .saved_ms = checkpoint->meta.saved_ms,
                                        .tensor_count = checkpoint->tensor_count,
                                        .names = mem_string("")}};
    for (int i = 0; i < checkpoint->tensor_count; i++)
        item->entry.size_bytes += tensor_bytes(&checkpoint->tensors[i]);
}

static void make_room(struct entries *entries)
{
    int room = entries->room ? 2 * entries->room : 16;
    if (entries->count < entries->room)
        return;
    entries->items = mem_grow(entries->items, (size_t)entries->count * sizeof *entries->items,
                              (size_t)room * sizeof *entries->items);
    entries->room = room;
}

/* One that cannot be read is listed with what is known of it: its content hash. */
static enum err add_entry(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct entries *entries = argument;
    struct manifest manifest = {0};
    struct hash content = {{0}};
    make_room(entries);
    struct numbered *item = &entries->items[entries->count];
    if (manifest_unpack_row(key, value, &content, &manifest) == ERR_OK)
        describe(&manifest, item);
    else
        *item = (struct numbered){
            .entry = {.content = content, .is_damaged = true, .names = mem_string("")}};
    entries->count++;
    manifest_fini(&manifest);
    return ERR_OK;
}

static enum err add_name(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct entries *entries = argument;
    for (int i = 0; i < entries->count; i++) {
        struct checkpoint_entry *entry = &entries->items[i].entry;
        if (value.size != HASH_BYTES || memcmp(entry->content.bytes, value.data, HASH_BYTES) != 0)
            continue;
        struct text names;
        text_init(&names);
        text_add(&names, "%s%s%.*s", entry->names, entry->names[0] ? " " : "", (int)key.size,
                 (const char *)key.data);
        mem_free(entry->names);
        entry->names = mem_string(text_get(&names));
        text_fini(&names);
    }
    return ERR_OK;
}

static enum err list_inside(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    TRY(store_each(txn, TABLE_MANIFESTS, store_text(""), add_entry, argument));
    TRY(store_each(txn, TABLE_NAMES, store_text(""), add_name, argument));
out:
    return err;
}

static int oldest_first(const void *left, const void *right)
{
    const struct numbered *l = left, *r = right;
    return l->serial < r->serial ? -1 : l->serial > r->serial ? 1 : 0;
}

enum err checkpoint_list(struct checkpoint_store *store, struct checkpoint_entry **listed,
                         int *count)
{
    struct entries entries = {0};
    enum err err = store_view(store->store, list_inside, &entries);
    struct checkpoint_entry *items = mem_array((size_t)entries.count, sizeof *items);
    if (entries.count > 0)
        qsort(entries.items, (size_t)entries.count, sizeof *entries.items, oldest_first);
    for (int i = 0; i < entries.count; i++)
        items[i] = entries.items[i].entry;
    mem_free(entries.items);
    if (err != ERR_OK) {
        checkpoint_entries_free(items, entries.count);
        return err_prefix(err, "%s", store->path);
    }
    *listed = items;
    *count = entries.count;
    return ERR_OK;
}

void checkpoint_entries_free(struct checkpoint_entry *entries, int count)
{
    for (int i = 0; entries && i < count; i++)
        mem_free(entries[i].names);
    mem_free(entries);
}
