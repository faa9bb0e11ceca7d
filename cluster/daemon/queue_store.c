#include "cluster/daemon/queue_store.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/store/store.h"
#include <string.h>

#define VERSION 1
#define LAST_ID "last_id" /* that was given */

enum { TABLE_CAMPAIGNS, TABLE_META };
static const char *const tables[] = {"campaigns", "meta", NULL};

struct queue_store {
    struct store *store;
};

enum err queue_store_open(const char *folder, struct queue_store **store)
{
    enum err err = ERR_OK;
    struct queue_store *made = mem_alloc(sizeof *made);
    char *path = file_join(folder, "store");
    struct store_cfg cfg = {.path = path,
                            .mode = STORE_WRITE,
                            .kind = "scheduler's queue",
                            .version = VERSION,
                            .tables = tables};
    TRY(store_open(&cfg, &made->store));
    *store = made;
    made = NULL;
out:
    mem_free(path);
    mem_free(made);
    return err;
}

void queue_store_close(struct queue_store **store)
{
    if (!*store)
        return;
    store_close(&(*store)->store);
    mem_free(*store);
    *store = NULL;
}

static enum err put_row(struct store_txn *txn, void *argument)
{
    const struct submitted *submitted = argument;
    uint8_t room[8];
    Gwd__Submitted message;
    submitted_write(submitted, &message);
    size_t size = gwd__submitted__get_packed_size(&message);
    uint8_t *bytes = mem_alloc(size + 1);
    gwd__submitted__pack(&message, bytes);
    enum err err = store_put(txn, TABLE_CAMPAIGNS, store_number(submitted->id, room),
                             (struct store_bytes){bytes, size});
    mem_free(bytes);
    return err;
}

static enum err add_row(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct submitted *submitted = argument;
    struct store_bytes last;
    uint8_t room[8];
    err = store_get(txn, TABLE_META, store_text(LAST_ID), &last);
    if (err == ERR_OK && last.size != 8)
        err = err_set(ERR_DATA, "the last id of the scheduler's queue is damaged");
    submitted->id = err == ERR_OK ? store_to_number(last) + 1 : 1;
    TRY(err == ERR_NOT_FOUND ? ERR_OK : err);
    TRY(store_put(txn, TABLE_META, store_text(LAST_ID), store_number(submitted->id, room)));
    TRY(put_row(txn, submitted));
out:
    return err;
}

enum err queue_store_add(struct queue_store *store, struct submitted *submitted)
{
    enum err err = FAULT("queue_store.add");
    return err == ERR_OK ? store_update(store->store, add_row, submitted) : err;
}

enum err queue_store_put(struct queue_store *store, const struct submitted *submitted)
{
    enum err err = FAULT("queue_store.put");
    return err == ERR_OK ? store_update(store->store, put_row, (void *)submitted) : err;
}

static enum err forget_row(struct store_txn *txn, void *argument)
{
    uint8_t room[8];
    const uint64_t *id = argument;
    return store_delete(txn, TABLE_CAMPAIGNS, store_number(*id, room));
}

enum err queue_store_forget(struct queue_store *store, uint64_t id)
{
    return store_update(store->store, forget_row, &id);
}

struct row_walk {
    enum err (*visit)(const struct submitted *submitted, void *own);
    void *own;
};

static enum err visit_row(struct store_bytes key, struct store_bytes value, void *argument)
{
    enum err err = ERR_OK;
    struct row_walk *walk = argument;
    struct submitted *submitted = mem_alloc(sizeof *submitted);
    Gwd__Submitted *message =
        key.size == 8 ? gwd__submitted__unpack(NULL, value.size, value.data) : NULL;
    if (!message || message->id != store_to_number(key))
        TRY(err_set(ERR_DATA, "the scheduler's queue has a damaged row; move its store away and "
                              "submit again: the runs go on from their own folders"));
    TRY(submitted_read(message, submitted));
    TRY(walk->visit(submitted, walk->own));
out:
    if (message)
        gwd__submitted__free_unpacked(message, NULL);
    mem_free(submitted);
    return err;
}

static enum err walk_rows(struct store_txn *txn, void *walk)
{
    return store_each(txn, TABLE_CAMPAIGNS, (struct store_bytes){NULL, 0}, visit_row, walk);
}

enum err queue_store_each(struct queue_store *store,
                          enum err (*visit)(const struct submitted *submitted, void *own),
                          void *own)
{
    struct row_walk walk = {visit, own};
    return store_view(store->store, walk_rows, &walk);
}
