#include "base/log.h"
#include "base/mem.h"
#include "trainer/checkpoint/async_writer.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/names.h"
#include <string.h>

#define FORMAT_VERSION 1

/* A manifest that cannot be read is passed over: it may be any stage's, and the others go on. */
static enum err see_serial(struct store_bytes key, struct store_bytes value, void *argument)
{
    uint64_t *next = argument;
    struct manifest manifest = {0};
    struct hash content;
    if (manifest_unpack_row(key, value, &content, &manifest) != ERR_OK)
        log_warn("a checkpoint is damaged: %s; \"glowworm checkpoint verify\" lists all damage",
                 err_text());
    else if (manifest.serial >= *next)
        *next = manifest.serial + 1;
    manifest_fini(&manifest);
    return ERR_OK;
}

static enum err find_next_serial(struct store_txn *txn, void *argument)
{
    return store_each(txn, TABLE_MANIFESTS, store_text(""), see_serial, argument);
}

static enum err start_saver(struct checkpoint_store *store)
{
    enum err err = ERR_OK;
    uint64_t next_serial = 1;
    TRY(store_view(store->store, find_next_serial, &next_serial));
    TRY(async_writer_create(store->store, next_serial, store->keep, &store->writer));
out:
    return err;
}

enum err checkpoint_store_open(const struct checkpoint_store_cfg *cfg,
                               struct checkpoint_store **opened)
{
    enum err err = ERR_OK;
    static const char *const tables[] = {
        [TABLE_BLOBS] = "blobs", [TABLE_MANIFESTS] = "manifests", [TABLE_NAMES] = "names", NULL};
    struct checkpoint_store *store = mem_alloc(sizeof *store);
    store->path = mem_string(cfg->path);
    store->keep = cfg->keep > 0 ? cfg->keep : 1;
    struct store_cfg store_cfg = {.path = cfg->path,
                                  .mode = cfg->is_writer ? STORE_WRITE : STORE_READ,
                                  .kind = "checkpoints",
                                  .version = FORMAT_VERSION,
                                  .tables = tables};
    TRY(store_open(&store_cfg, &store->store));
    if (cfg->is_writer)
        TRY(start_saver(store));
    *opened = store;
    store = NULL;
out:
    checkpoint_store_close(&store);
    return err;
}

void checkpoint_store_close(struct checkpoint_store **closed)
{
    struct checkpoint_store *store = closed ? *closed : NULL;
    if (!store)
        return;
    async_writer_destroy(&store->writer);
    store_close(&store->store);
    mem_free(store->path);
    mem_free(store);
    *closed = NULL;
}

enum err checkpoint_store_last_write(struct checkpoint_store *store, uint64_t *last_write)
{
    struct store_info info;
    enum err err = store_info(store->store, &info);
    if (err == ERR_OK)
        *last_write = info.last_write;
    return err;
}

enum err checkpoint_store_copy(struct checkpoint_store *store, const char *file,
                               uint64_t *last_write)
{
    enum err err = ERR_OK;
    TRY(checkpoint_store_last_write(store, last_write));
    TRY(store_copy(store->store, file));
out:
    return err;
}

static void check_writer(const struct checkpoint_store *store)
{
    if (!store->writer)
        BUG("%s is open for reading only", store->path);
}

enum err checkpoint_save_arranged(struct checkpoint_store *store,
                                  const struct checkpoint *checkpoint,
                                  const struct checkpoint_arrange *arrange)
{
    enum err err = ERR_OK;
    check_writer(store);
    TRY(name_check(checkpoint->position.stage));
    TRY(manifest_check(checkpoint));
    TRY(async_writer_ask(store->writer, checkpoint, arrange));
out:
    return err;
}

enum err checkpoint_save(struct checkpoint_store *store, const struct checkpoint *checkpoint)
{
    return checkpoint_save_arranged(store, checkpoint, NULL);
}

bool checkpoint_is_busy(struct checkpoint_store *store)
{
    check_writer(store);
    return async_writer_is_busy(store->writer);
}

void checkpoint_finish(struct checkpoint_store *store)
{
    check_writer(store);
    async_writer_finish(store->writer);
}

enum err checkpoint_wait(struct checkpoint_store *store)
{
    check_writer(store);
    return async_writer_wait(store->writer);
}

bool checkpoint_saved(struct checkpoint_store *store, struct checkpoint_saved *saved)
{
    check_writer(store);
    return async_writer_look(store->writer, saved);
}

struct naming {
    const char *name;
    const struct hash *content;
};

static enum err point_name(struct store_txn *txn, void *argument)
{
    const struct naming *naming = argument;
    char hex[HASH_HEX_BYTES];
    struct store_bytes manifest;
    hash_hex(naming->content, hex);
    enum err err = store_get(txn, TABLE_MANIFESTS, hash_key(naming->content), &manifest);
    if (err == ERR_NOT_FOUND)
        return err_set(err, "there is no checkpoint %s to call %s", hex, naming->name);
    if (err != ERR_OK)
        return err;
    return store_put(txn, TABLE_NAMES, store_text(naming->name), hash_key(naming->content));
}

enum err checkpoint_name(struct checkpoint_store *store, const char *name,
                         const struct hash *content)
{
    enum err err = ERR_OK;
    struct naming naming = {.name = name, .content = content};
    check_writer(store);
    TRY(name_check(name));
    TRY(store_update(store->store, point_name, &naming));
out:
    return err;
}
