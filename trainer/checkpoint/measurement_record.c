#include "trainer/checkpoint/measurement_record.h"
#include "base/fault.h"
#include "base/mem.h"
#include "trainer/checkpoint/checkpoint.pb-c.h"
#include "trainer/checkpoint/internal.h"
#include <string.h>

void measurement_record_fini(struct measurement_record *record)
{
    text_fini(&record->packed);
    memset(record, 0, sizeof *record);
}

static struct hash checksum(const void *key, const void *message, size_t size)
{
    struct hasher hasher;
    hasher_init(&hasher);
    hasher_add(&hasher, key, HASH_BYTES);
    hasher_add(&hasher, message, size);
    return hasher_end(&hasher);
}

void measurement_record_pack(const struct measurement *measurement,
                             struct measurement_record *record)
{
    Glowworm__Checkpoint__Measurement message = GLOWWORM__CHECKPOINT__MEASUREMENT__INIT;
    message.key = (char *)(uintptr_t)measurement->key; /* packed, never written */
    message.score.data = (uint8_t *)(uintptr_t)measurement->score;
    message.score.len = measurement->score_bytes;
    size_t size = glowworm__checkpoint__measurement__get_packed_size(&message);
    uint8_t *bytes = mem_alloc(size);
    glowworm__checkpoint__measurement__pack(&message, bytes);
    record->key = hash_of(measurement->key, strlen(measurement->key));
    struct hash sum = checksum(record->key.bytes, bytes, size);
    text_init(&record->packed);
    text_add_bytes(&record->packed, sum.bytes, HASH_BYTES);
    text_add_bytes(&record->packed, bytes, size);
    mem_free(bytes);
}

static enum err damaged(struct store_bytes key)
{
    struct hash name = {0};
    char hex[HASH_HEX_BYTES];
    memcpy(name.bytes, key.data, key.size < HASH_BYTES ? key.size : HASH_BYTES);
    hash_hex(&name, hex);
    return err_set(ERR_DATA,
                   "the measurement %.12s is damaged: it is not believed, and made again when it "
                   "is needed",
                   hex);
}

enum err measurement_record_unpack(struct store_bytes key, struct store_bytes packed,
                                   enum err (*visit)(const struct measurement *, void *), void *own)
{
    const uint8_t *bytes = packed.data;
    if (key.size != HASH_BYTES || packed.size < HASH_BYTES)
        return damaged(key);
    size_t size = packed.size - HASH_BYTES;
    struct hash sum = checksum(key.data, bytes + HASH_BYTES, size);
    if (memcmp(sum.bytes, bytes, HASH_BYTES) != 0)
        return damaged(key);
    Glowworm__Checkpoint__Measurement *message =
        glowworm__checkpoint__measurement__unpack(NULL, size, bytes + HASH_BYTES);
    if (!message)
        return damaged(key);
    struct measurement measurement = {
        .key = message->key, .score = message->score.data, .score_bytes = message->score.len};
    enum err err = visit(&measurement, own);
    glowworm__checkpoint__measurement__free_unpacked(message, NULL);
    return err;
}

struct writing {
    const struct measurement_record *records;
    int count;
};

static enum err put_records(struct store_txn *txn, void *argument)
{
    enum err err = ERR_OK;
    const struct writing *writing = argument;
    for (int i = 0; i < writing->count; i++) {
        const struct measurement_record *record = &writing->records[i];
        TRY(FAULT("checkpoint.measurement"));
        TRY(store_put(
            txn, TABLE_MEASUREMENTS, hash_key(&record->key),
            (struct store_bytes){.data = record->packed.bytes, .size = record->packed.size}));
    }
out:
    return err;
}

enum err measurement_records_write(struct store *store, const struct measurement_record *records,
                                   int count)
{
    struct writing writing = {.records = records, .count = count};
    return store_update(store, put_records, &writing);
}
