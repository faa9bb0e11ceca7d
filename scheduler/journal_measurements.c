/* What was measured, by key: written in batches, asked for one by one. */
#include "scheduler/journal_internal.h"

static enum err take_detail(const struct measurement_bytes *found, void *own)
{
    int *detail = own;
    *detail = found->detail;
    return ERR_OK;
}

/* Of the record that is there; -1: none, or a damaged one, which is replaced. */
static enum err find_detail(struct store_txn *txn, const struct hash *key, int *detail)
{
    struct store_bytes value;
    enum err err = store_get(txn, TABLE_MEASUREMENTS, journal_key(key), &value);
    *detail = -1;
    if (err == ERR_OK)
        err = codec_read_measurement(journal_key(key), value, take_detail, detail);
    return err == ERR_NOT_FOUND || err == ERR_DATA ? ERR_OK : err;
}

enum err measurement_write(struct store_txn *txn, const struct measurement_bytes *measurement)
{
    enum err err = ERR_OK;
    int detail;
    TRY(find_detail(txn, measurement->key, &detail));
    if (detail <= measurement->detail) /* the same bytes, unless those that are there are damaged */
        TRY(codec_put_measurement(txn, measurement));
out:
    return err;
}

struct measurement_query {
    const struct hash *key;
    int detail;
    struct text *record;
};

static enum err take_record(const struct measurement_bytes *found, void *own)
{
    struct measurement_query *query = own;
    if (found->detail < query->detail)
        return err_set(ERR_NOT_FOUND, "it was measured in less detail");
    text_add_bytes(query->record, found->record, found->size_bytes);
    return ERR_OK;
}

static enum err read_measurement(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    struct measurement_query *query = argument;
    struct store_bytes value;
    TRY(store_get(txn, TABLE_MEASUREMENTS, journal_key(query->key), &value));
    TRY(codec_read_measurement(journal_key(query->key), value, take_record, query));
out:
    return err;
}

enum err journal_measurement(struct journal *journal, const struct hash *key, int detail,
                             struct text *record)
{
    struct measurement_query query = {key, detail, record};
    return store_view(journal->store, read_measurement, &query);
}

struct measurement_walk {
    enum err (*visit)(const struct measurement_bytes *, void *);
    void *own;
};

static enum err visit_measurement(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct measurement_walk *walk = argument;
    return codec_read_measurement(key, value, walk->visit, walk->own);
}

static enum err walk_measurements(struct store_txn *txn, void *walk)
{
    return store_each(txn, TABLE_MEASUREMENTS, (struct store_bytes){NULL, 0}, visit_measurement,
                      walk);
}

enum err journal_measurements(struct journal *journal,
                              enum err (*visit)(const struct measurement_bytes *, void *),
                              void *own)
{
    struct measurement_walk walk = {visit, own};
    return store_view(journal->store, walk_measurements, &walk);
}
