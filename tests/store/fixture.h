/* A store of two tables in a scratch folder, and the small bodies the tests run in it. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "base/store/store.h"
#include "tests/scratch.h"
#include <stdio.h>
#include <string.h>

enum { TABLE_A, TABLE_B };
static const char *const tables[] = {"a", "b", NULL};

static inline struct store_cfg cfg_of(const char *path, enum store_mode mode)
{
    return (struct store_cfg){
        .path = path, .mode = mode, .kind = "tests", .version = 1, .tables = tables};
}

struct pair { /* what to put, or what was got */
    const char *key;
    char value[64];
};

static inline enum err put_pair(struct store_txn *txn, void *argument)
{
    struct pair *pair = argument;
    return store_put(txn, TABLE_A, store_text(pair->key), store_text(pair->value));
}

static inline enum err get_pair(struct store_txn *txn, void *argument)
{
    struct pair *pair = argument;
    struct store_bytes value;
    enum err err = store_get(txn, TABLE_A, store_text(pair->key), &value);
    if (err == ERR_OK)
        snprintf(pair->value, sizeof pair->value, "%.*s", (int)value.size,
                 (const char *)value.data);
    return err;
}

static inline enum err put_text(struct store *store, const char *key, const char *value)
{
    struct pair pair = {.key = key};
    snprintf(pair.value, sizeof pair.value, "%s", value);
    return store_update(store, put_pair, &pair);
}

struct blocks { /* `count` values of `size` bytes that begin with a round number */
    int first, count;
    size_t size;
    int round;
    int runs; /* of the body */
};

static inline enum err put_blocks(struct store_txn *txn, void *argument)
{
    struct blocks *blocks = argument;
    enum err err = ERR_OK;
    unsigned char *value = mem_alloc(blocks->size);
    blocks->runs++;
    for (int i = blocks->first; i < blocks->first + blocks->count; i++) {
        uint8_t room[8];
        memset(value, blocks->round, blocks->size);
        TRY(store_put(txn, TABLE_B, store_number((uint64_t)i, room),
                      (struct store_bytes){value, blocks->size}));
    }
out:
    mem_free(value);
    return err;
}

static inline enum err check_block(struct store_bytes key, struct store_bytes value, void *argument)
{
    struct blocks *seen = argument;
    const unsigned char *bytes = value.data;
    if (store_to_number(key) != (uint64_t)seen->count)
        return err_set(ERR_DATA, "block %d is missing", seen->count);
    for (size_t i = 0; i < value.size; i++)
        if (bytes[i] != (unsigned char)seen->round)
            return err_set(ERR_DATA, "block %d holds %d, not %d", seen->count, bytes[i],
                           seen->round);
    seen->count++;
    seen->size = value.size;
    return ERR_OK;
}

static inline enum err see_blocks(struct store_txn *txn, void *argument)
{
    struct blocks *seen = argument;
    struct store_bytes value;
    uint8_t room[8];
    enum err err = store_get(txn, TABLE_B, store_number(0, room), &value);
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    if (err != ERR_OK)
        return err;
    seen->round = *(const unsigned char *)value.data;
    return store_each(txn, TABLE_B, store_text(""), check_block, seen);
}

#endif
