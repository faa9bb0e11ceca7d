#include "base/fault.h"
#include "base/store/internal.h"
#include <string.h>

/* The jail's LMDB(): the code of a call inside a transaction, which it marks when the map is full.
 */
static enum err checked(struct store_txn *txn, int code, const char *verb)
{
    if (code == MDB_MAP_FULL)
        txn->is_map_full = true;
    return store_translate(txn->store, code, verb);
}

static MDB_dbi table_of(const struct store_txn *txn, int table)
{
    if (table < 0 || table >= txn->store->table_count)
        BUG("table %d of the %d of %s", table, txn->store->table_count, txn->store->folder);
    return txn->store->tables[table];
}

static MDB_val to_val(struct store_bytes bytes)
{
    return (MDB_val){.mv_size = bytes.size, .mv_data = (void *)(uintptr_t)bytes.data};
}

static struct store_bytes from_val(MDB_val val)
{
    return (struct store_bytes){.data = val.mv_data, .size = val.mv_size};
}

/* Only readers come to a table that is not there: who writes makes it. */
static bool lacks(const struct store_txn *txn, int table)
{
    (void)table_of(txn, table); /* checks the index */
    return txn->store->lacks[table];
}

enum err store_get(struct store_txn *txn, int table, struct store_bytes key,
                   struct store_bytes *value)
{
    MDB_val wanted = to_val(key), found;
    int code =
        lacks(txn, table) ? MDB_NOTFOUND : mdb_get(txn->mdb, table_of(txn, table), &wanted, &found);
    if (code == MDB_NOTFOUND)
        return err_set(ERR_NOT_FOUND, "%s: no such key in the table %s", txn->store->folder,
                       txn->store->table_names[table]);
    if (code == MDB_SUCCESS)
        *value = from_val(found);
    return checked(txn, code, "read");
}

enum err store_last(struct store_txn *txn, int table, struct store_bytes *key,
                    struct store_bytes *value)
{
    MDB_cursor *cursor = NULL;
    MDB_val last_key, last_value;
    int code =
        lacks(txn, table) ? MDB_NOTFOUND : mdb_cursor_open(txn->mdb, table_of(txn, table), &cursor);
    if (code == MDB_SUCCESS)
        code = mdb_cursor_get(cursor, &last_key, &last_value, MDB_LAST);
    if (code == MDB_SUCCESS) {
        *key = from_val(last_key);
        *value = from_val(last_value);
    }
    if (cursor)
        mdb_cursor_close(cursor);
    if (code == MDB_NOTFOUND)
        return err_set(ERR_NOT_FOUND, "%s: the table %s is empty", txn->store->folder,
                       txn->store->table_names[table]);
    return checked(txn, code, "read");
}

enum err store_count(struct store_txn *txn, int table, uint64_t *count)
{
    MDB_stat stat = {0};
    int code = lacks(txn, table) ? MDB_SUCCESS : mdb_stat(txn->mdb, table_of(txn, table), &stat);
    if (code == MDB_SUCCESS)
        *count = stat.ms_entries;
    return checked(txn, code, "read");
}

static bool begins_with(MDB_val key, struct store_bytes prefix)
{
    return key.mv_size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.mv_data, prefix.data, prefix.size) == 0);
}

static enum err walk(struct store_txn *txn, int table, struct store_bytes first,
                     struct store_bytes prefix,
                     enum err (*visit)(struct store_bytes, struct store_bytes, void *),
                     void *argument)
{
    enum err err = ERR_OK;
    MDB_cursor *cursor = NULL;
    MDB_val key = to_val(first), value;
    if (lacks(txn, table))
        return ERR_OK;
    TRY(checked(txn, mdb_cursor_open(txn->mdb, table_of(txn, table), &cursor), "read"));
    int code = mdb_cursor_get(cursor, &key, &value, first.size > 0 ? MDB_SET_RANGE : MDB_FIRST);
    while (code == MDB_SUCCESS && begins_with(key, prefix)) {
        TRY(visit(from_val(key), from_val(value), argument));
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (code != MDB_NOTFOUND)
        TRY(checked(txn, code, "read"));
out:
    if (cursor)
        mdb_cursor_close(cursor);
    return err;
}

enum err store_each(struct store_txn *txn, int table, struct store_bytes prefix,
                    enum err (*visit)(struct store_bytes, struct store_bytes, void *),
                    void *argument)
{
    return walk(txn, table, prefix, prefix, visit, argument);
}

enum err store_each_from(struct store_txn *txn, int table, struct store_bytes first,
                         enum err (*visit)(struct store_bytes, struct store_bytes, void *),
                         void *argument)
{
    return walk(txn, table, first, (struct store_bytes){NULL, 0}, visit, argument);
}

static void check_writing(const struct store_txn *txn)
{
    if (!txn->is_writing)
        BUG("a change inside store_view() of %s", txn->store->folder);
}

enum err store_put(struct store_txn *txn, int table, struct store_bytes key,
                   struct store_bytes value)
{
    enum err err = ERR_OK;
    check_writing(txn);
    if (key.size == 0 || key.size > STORE_MAX_KEY_BYTES)
        BUG("a key of %zu bytes in %s", key.size, txn->store->folder);
    TRY(FAULT("store.put"));
    MDB_val at = to_val(key), put = to_val(value);
    TRY(checked(txn, mdb_put(txn->mdb, table_of(txn, table), &at, &put, 0), "write"));
out:
    return err;
}

enum err store_delete(struct store_txn *txn, int table, struct store_bytes key)
{
    check_writing(txn);
    MDB_val at = to_val(key);
    int code = mdb_del(txn->mdb, table_of(txn, table), &at, NULL);
    return code == MDB_NOTFOUND ? ERR_OK : checked(txn, code, "delete from");
}

struct store_bytes store_text(const char *text)
{
    return (struct store_bytes){.data = text, .size = strlen(text)};
}

struct store_bytes store_number(uint64_t number, uint8_t room[8])
{
    for (int i = 0; i < 8; i++)
        room[i] = (uint8_t)(number >> (56 - 8 * i));
    return (struct store_bytes){.data = room, .size = 8};
}

uint64_t store_to_number(struct store_bytes key)
{
    if (key.size != 8)
        BUG("a key of %zu bytes is no number", key.size);
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | ((const uint8_t *)key.data)[i];
    return number;
}
