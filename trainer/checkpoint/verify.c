#include "base/text.h"
#include "trainer/checkpoint/blob.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/measurement_record.h"
#include "trainer/checkpoint/names.h"
#include <string.h>

struct verifying {
    struct store_txn *txn;
    const char *name; /* NULL: everything */
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

static enum err verify_one(struct verifying *verifying, const struct hash *content)
{
    struct manifest manifest = {0};
    enum err err = manifest_read(verifying->txn, content, &manifest);
    const struct checkpoint *checkpoint = &manifest.checkpoint;
    char hex[HASH_HEX_BYTES];
    hash_hex(content, hex);
    TRY(note_damage(verifying, err));
    for (int i = 0; i < checkpoint->tensor_count; i++) {
        const struct tensor *tensor = &checkpoint->tensors[i];
        err = blob_read(verifying->txn, &manifest.blobs[i], tensor_bytes(tensor), NULL);
        if (err != ERR_OK)
            err = err_prefix(err, "the tensor %s of checkpoint %.12s", tensor->name, hex);
        TRY(note_damage(verifying, err));
        verifying->read_bytes += tensor_bytes(tensor);
    }
out:
    manifest_fini(&manifest);
    return err;
}

static enum err verify_manifest(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct hash content;
    (void)value;
    if (key.size != HASH_BYTES)
        return note_damage(argument,
                           err_set(ERR_DATA, "a manifest with a key of %zu bytes", key.size));
    memcpy(content.bytes, key.data, HASH_BYTES);
    return verify_one(argument, &content);
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

static enum err look_away(const struct measurement *measurement, void *own)
{
    (void)measurement;
    (void)own;
    return ERR_OK;
}

static enum err verify_measurement(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct verifying *verifying = argument;
    verifying->read_bytes += value.size;
    return note_damage(verifying, measurement_record_unpack(key, value, look_away, NULL));
}

static enum err verify_inside(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct verifying *verifying = argument;
    struct hash content;
    verifying->txn = txn;
    if (verifying->name) {
        TRY(name_resolve(txn, verifying->name, &content));
        TRY(verify_one(verifying, &content));
    } else {
        TRY(store_each(txn, TABLE_NAMES, store_text(""), verify_name, verifying));
        TRY(store_each(txn, TABLE_MANIFESTS, store_text(""), verify_manifest, verifying));
        TRY(store_each(txn, TABLE_MEASUREMENTS, store_text(""), verify_measurement, verifying));
    }
out:
    return err;
}

enum err checkpoint_verify(struct checkpoint_store *store, const char *name, uint64_t *read_bytes)
{
    struct verifying verifying = {.name = name};
    text_init(&verifying.damage);
    enum err err = store_view(store->store, verify_inside, &verifying);
    if (err == ERR_OK && verifying.damage.size > 0)
        err = err_set(ERR_DATA, "%s", text_get(&verifying.damage));
    if (err != ERR_OK)
        err = err_prefix(err, "%s", store->path);
    else
        *read_bytes = verifying.read_bytes;
    text_fini(&verifying.damage);
    return err;
}
