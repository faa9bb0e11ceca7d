#include "base/text.h"
#include "trainer/checkpoint/blob.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/names.h"
#include <string.h>

struct verifying {
    struct checkpoint_store *store;
    const char *name; /* NULL: everything */
    struct store_txn *txn;
    struct hash content;  /* of the checkpoint in hand */
    int tensor;           /* the next of it */
    bool is_through;      /* with it */
    struct text contents; /* hashes of all checkpoints */
    uint64_t read_bytes;
    struct text damage; /* one line per trouble */
};

/* ERR_OK, having written the trouble down, when the error is one of the data. */
static enum err note_damage(struct verifying *verifying, enum err err)
{
    if (err != ERR_DATA)
        return err;
    text_add(&verifying->damage, "%s%s", verifying->damage.size ? "\n" : "", err_text());
    return ERR_OK;
}

/* Up to the first tensor that is damaged. */
static enum err verify_tensors(struct verifying *verifying, const struct manifest *manifest)
{
    const struct checkpoint *checkpoint = &manifest->checkpoint;
    char hex[HASH_HEX_BYTES];
    hash_hex(&verifying->content, hex);
    while (verifying->tensor < checkpoint->tensor_count) {
        const struct tensor *tensor = &checkpoint->tensors[verifying->tensor];
        const struct hash *blob = &manifest->blobs[verifying->tensor++];
        verifying->read_bytes += tensor_bytes(tensor);
        enum err err = blob_read(verifying->txn, blob, tensor_bytes(tensor), NULL);
        if (err != ERR_OK)
            return err_prefix(err, "the tensor %s of checkpoint %.12s", tensor->name, hex);
    }
    verifying->is_through = true;
    return ERR_OK;
}

/* A writer may have dropped it since it was found. */
static bool is_gone(const struct verifying *verifying)
{
    struct store_bytes manifest;
    bool is_first = verifying->name && verifying->tensor == 0;
    return !is_first && store_get(verifying->txn, TABLE_MANIFESTS, hash_key(&verifying->content),
                                  &manifest) == ERR_NOT_FOUND;
}

static enum err verify_on(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct verifying *verifying = argument;
    struct manifest manifest = {0};
    verifying->txn = txn;
    if (verifying->name && verifying->tensor == 0)
        TRY(name_resolve(txn, verifying->name, &verifying->content));
    verifying->is_through = is_gone(verifying);
    if (verifying->is_through)
        goto out;
    err = manifest_read(txn, &verifying->content, &manifest);
    verifying->is_through = err != ERR_OK;
    if (err == ERR_OK)
        err = verify_tensors(verifying, &manifest);
    err = note_damage(verifying, err);
out:
    manifest_fini(&manifest);
    return err;
}

/* LMDB ends a transaction that comes upon a damaged page of its own: behind damage a new one goes
 * on. */
static enum err verify_one(struct verifying *verifying)
{
    enum err err = ERR_OK;
    verifying->tensor = 0;
    do {
        TRY(store_view(verifying->store->store, verify_on, verifying));
    } while (!verifying->is_through);
out:
    return err;
}

static enum err add_content(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct verifying *verifying = argument;
    (void)value;
    if (key.size != HASH_BYTES)
        return note_damage(verifying,
                           err_set(ERR_DATA, "a manifest with a key of %zu bytes", key.size));
    text_add_bytes(&verifying->contents, key.data, key.size);
    return ERR_OK;
}

static enum err verify_name(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct verifying *verifying = argument;
    struct hash content;
    struct store_bytes manifest;
    enum err err = ERR_NOT_FOUND;
    if (value.size == HASH_BYTES) {
        memcpy(content.bytes, value.data, HASH_BYTES);
        err = store_get(verifying->txn, TABLE_MANIFESTS, hash_key(&content), &manifest);
    }
    if (err == ERR_NOT_FOUND)
        err = err_set(ERR_DATA, "the name %.*s stands for nothing", (int)key.size,
                      (const char *)key.data);
    return note_damage(verifying, err);
}

static enum err verify_names(struct store_txn *txn, void *argument)
{
    struct verifying *verifying = argument;
    verifying->txn = txn;
    return note_damage(verifying,
                       store_each(txn, TABLE_NAMES, store_text(""), verify_name, verifying));
}

static enum err list_contents(struct store_txn *txn, void *argument)
{
    return note_damage(argument,
                       store_each(txn, TABLE_MANIFESTS, store_text(""), add_content, argument));
}

static enum err verify_all(struct verifying *verifying)
{
    enum err err = ERR_OK;
    struct store *store = verifying->store->store;
    TRY(store_view(store, verify_names, verifying));
    TRY(store_view(store, list_contents, verifying));
    for (size_t at = 0; at < verifying->contents.size; at += HASH_BYTES) {
        memcpy(verifying->content.bytes, verifying->contents.bytes + at, HASH_BYTES);
        TRY(verify_one(verifying));
    }
out:
    return err;
}

enum err checkpoint_verify(struct checkpoint_store *store, const char *name, uint64_t *read_bytes)
{
    struct verifying verifying = {.store = store, .name = name};
    text_init(&verifying.damage);
    text_init(&verifying.contents);
    enum err err = name ? verify_one(&verifying) : verify_all(&verifying);
    if (err == ERR_OK && verifying.damage.size > 0)
        err = err_set(ERR_DATA, "%s", text_get(&verifying.damage));
    if (err != ERR_OK)
        err = err_prefix(err, "%s", store->path);
    else
        *read_bytes = verifying.read_bytes;
    text_fini(&verifying.contents);
    text_fini(&verifying.damage);
    return err;
}
