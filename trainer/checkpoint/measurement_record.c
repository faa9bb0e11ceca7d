#include "trainer/checkpoint/measurement_record.h"
#include "base/mem.h"
#include "trainer/checkpoint/checkpoint.pb-c.h"
#include <stdbool.h>
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

static enum err damaged(const struct hash *key)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(key, hex);
    return err_set(ERR_DATA,
                   "the measurement %.12s is damaged: it is not believed, and made again when it "
                   "is needed",
                   hex);
}

static bool is_of(const struct hash *key, const char *text)
{
    struct hash hash = hash_of(text, strlen(text));
    return hash_equal(&hash, key);
}

enum err measurement_record_unpack(const struct hash *key, const void *packed, size_t size_bytes,
                                   enum err (*visit)(const struct measurement *, void *), void *own)
{
    const uint8_t *bytes = packed;
    if (size_bytes < HASH_BYTES)
        return damaged(key);
    size_t size = size_bytes - HASH_BYTES;
    struct hash sum = checksum(key->bytes, bytes + HASH_BYTES, size);
    if (memcmp(sum.bytes, bytes, HASH_BYTES) != 0)
        return damaged(key);
    Glowworm__Checkpoint__Measurement *message =
        glowworm__checkpoint__measurement__unpack(NULL, size, bytes + HASH_BYTES);
    enum err err = message && is_of(key, message->key) ? ERR_OK : damaged(key);
    if (err == ERR_OK) {
        struct measurement measurement = {
            .key = message->key, .score = message->score.data, .score_bytes = message->score.len};
        err = visit(&measurement, own);
    }
    if (message)
        glowworm__checkpoint__measurement__free_unpacked(message, NULL);
    return err;
}
