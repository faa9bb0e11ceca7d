#include "trainer/checkpoint/async_writer.h"
#include "trainer/checkpoint/internal.h"
#include "trainer/checkpoint/measurement_record.h"
#include <string.h>

struct finding {
    const char *key;
    struct hash hash; /* of the key */
    struct text *score;
};

static enum err take_score(const struct measurement *measurement, void *own)
{
    struct finding *finding = own;
    if (strcmp(measurement->key, finding->key) != 0)
        return err_set(ERR_DATA, "a measurement lies under the key of another");
    text_add_bytes(finding->score, measurement->score, measurement->score_bytes);
    return ERR_OK;
}

static enum err find_inside(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct finding *finding = argument;
    struct store_bytes packed, key = hash_key(&finding->hash);
    TRY(store_get(txn, TABLE_MEASUREMENTS, key, &packed));
    TRY(measurement_record_unpack(key, packed, take_score, finding));
out:
    return err;
}

enum err measurement_find(struct checkpoint_store *store, const char *key, struct text *score)
{
    enum err err = ERR_OK;
    struct finding finding = {.key = key, .hash = hash_of(key, strlen(key)), .score = score};
    struct text kept;
    text_init(&kept);
    if (store->writer && async_writer_find_kept(store->writer, &finding.hash, &kept))
        TRY(measurement_record_unpack(hash_key(&finding.hash),
                                      (struct store_bytes){kept.bytes, kept.size}, take_score,
                                      &finding));
    else
        TRY(store_view(store->store, find_inside, &finding));
out:
    text_fini(&kept);
    return err;
}

struct copying {
    const struct hash *key;
    struct text *packed;
};

static enum err copy_inside(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct copying *copying = argument;
    struct store_bytes packed;
    TRY(store_get(txn, TABLE_MEASUREMENTS, hash_key(copying->key), &packed));
    text_add_bytes(copying->packed, packed.data, packed.size);
out:
    return err;
}

enum err measurement_find_packed(struct checkpoint_store *store, const struct hash *key,
                                 struct text *packed)
{
    struct copying copying = {key, packed};
    if (store->writer && async_writer_find_kept(store->writer, key, packed))
        return ERR_OK;
    return store_view(store->store, copy_inside, &copying);
}

void measurement_keep(struct checkpoint_store *store, const struct measurement *measurement)
{
    if (!store->writer)
        BUG("%s is open for reading only", store->path);
    async_writer_keep(store->writer, measurement);
}

struct visiting {
    enum err (*visit)(const struct measurement *, void *);
    void *own;
    uint64_t damaged;
    enum err visited; /* what the visitor said last */
};

static enum err visit_whole(const struct measurement *measurement, void *own)
{
    struct visiting *visiting = own;
    return visiting->visited = visiting->visit(measurement, visiting->own);
}

static enum err visit_record(struct store_bytes key, struct store_bytes packed, void *argument)
{
    struct visiting *visiting = argument;
    enum err err = measurement_record_unpack(key, packed, visit_whole, visiting);
    if (err != ERR_DATA || visiting->visited != ERR_OK)
        return err;
    visiting->damaged++;
    return ERR_OK;
}

static enum err visit_inside(struct store_txn *txn, void *argument)
{
    return store_each(txn, TABLE_MEASUREMENTS, store_text(""), visit_record, argument);
}

enum err measurement_each(struct checkpoint_store *store,
                          enum err (*visit)(const struct measurement *, void *), void *own)
{
    struct visiting visiting = {.visit = visit, .own = own};
    enum err err = store_view(store->store, visit_inside, &visiting);
    if (err == ERR_OK && visiting.damaged > 0)
        err = err_set(ERR_DATA,
                      "%s: %llu measurements are damaged; they are made again when they "
                      "are needed",
                      store->path, (unsigned long long)visiting.damaged);
    return err;
}
