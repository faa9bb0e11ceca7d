#include "trainer/data/record.h"
#include <string.h>

/* digest 16 | label 4 | height 2 | width 2 | channels 1 | format 1 | name bytes 2 | picture bytes 4
 * | picture | name */
enum offset {
    AT_LABEL = RECORD_DIGEST_BYTES,
    AT_HEIGHT = AT_LABEL + 4,
    AT_WIDTH = AT_HEIGHT + 2,
    AT_CHANNELS = AT_WIDTH + 2,
    AT_FORMAT = AT_CHANNELS + 1,
    AT_NAME_BYTES = AT_FORMAT + 1,
    AT_PICTURE_BYTES = AT_NAME_BYTES + 2
};
_Static_assert(AT_PICTURE_BYTES + 4 == RECORD_HEADER_BYTES, "the header's fields fill it");

static void put(uint8_t *bytes, uint32_t value, int count)
{
    for (int i = 0; i < count; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++)
        value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

size_t record_bytes(const struct record *record)
{
    return RECORD_HEADER_BYTES + (size_t)record->picture_bytes + record->name_bytes;
}

struct hash record_write(const struct record *record, uint8_t *bytes)
{
    put(bytes + AT_LABEL, (uint32_t)record->label, 4);
    put(bytes + AT_HEIGHT, (uint32_t)record->H, 2);
    put(bytes + AT_WIDTH, (uint32_t)record->W, 2);
    put(bytes + AT_CHANNELS, (uint32_t)record->C, 1);
    put(bytes + AT_FORMAT, (uint32_t)record->format, 1);
    put(bytes + AT_NAME_BYTES, record->name_bytes, 2);
    put(bytes + AT_PICTURE_BYTES, record->picture_bytes, 4);
    memcpy(bytes + RECORD_HEADER_BYTES, record->picture, record->picture_bytes);
    if (record->name_bytes > 0)
        memcpy(bytes + RECORD_HEADER_BYTES + record->picture_bytes, record->name,
               record->name_bytes);
    struct hash hash = record_hash(bytes, record_bytes(record));
    memcpy(bytes, hash.bytes, RECORD_DIGEST_BYTES);
    return hash;
}

enum err record_parse(const uint8_t *bytes, size_t size_bytes, struct record *record)
{
    if (size_bytes < RECORD_HEADER_BYTES)
        return err_set(ERR_DATA, "a record of %zu bytes is too short", size_bytes);
    uint32_t format = get(bytes + AT_FORMAT, 1);
    struct record parsed = {.label = (int32_t)get(bytes + AT_LABEL, 4),
                            .H = (int)get(bytes + AT_HEIGHT, 2),
                            .W = (int)get(bytes + AT_WIDTH, 2),
                            .C = (int)get(bytes + AT_CHANNELS, 1),
                            .format = (enum image_format)format,
                            .picture = bytes + RECORD_HEADER_BYTES,
                            .picture_bytes = get(bytes + AT_PICTURE_BYTES, 4),
                            .name_bytes = get(bytes + AT_NAME_BYTES, 2)};
    if (record_bytes(&parsed) != size_bytes)
        return err_set(ERR_DATA, "a record of %zu bytes says that it has %zu", size_bytes,
                       record_bytes(&parsed));
    if (parsed.H == 0 || parsed.W == 0 || (parsed.C != 1 && parsed.C != 3) ||
        (format != IMAGE_RAW && format != IMAGE_JPEG) || parsed.label < 0)
        return err_set(ERR_DATA, "a record of %d x %d x %d, format %u, label %d", parsed.H,
                       parsed.W, parsed.C, format, parsed.label);
    if (parsed.format == IMAGE_RAW &&
        (uint64_t)parsed.H * (uint64_t)parsed.W * (uint64_t)parsed.C != parsed.picture_bytes)
        return err_set(ERR_DATA, "a raw image of %d x %d x %d in %u bytes", parsed.H, parsed.W,
                       parsed.C, parsed.picture_bytes);
    parsed.name = (const char *)parsed.picture + parsed.picture_bytes;
    *record = parsed;
    return ERR_OK;
}

struct hash record_hash(const uint8_t *bytes, size_t size_bytes)
{
    return hash_of(bytes + RECORD_DIGEST_BYTES, size_bytes - RECORD_DIGEST_BYTES);
}

bool record_is_intact(const uint8_t *bytes, const struct hash *hash)
{
    return memcmp(bytes, hash->bytes, RECORD_DIGEST_BYTES) == 0;
}

void pack_write_header(uint8_t *pack, uint32_t count, const uint32_t *record_sizes)
{
    uint32_t at = (uint32_t)PACK_HEADER_BYTES(count);
    put(pack, count, 4);
    for (uint32_t i = 0; i <= count; i++) {
        put(pack + 4 * (i + 1), at, 4);
        at += i < count ? record_sizes[i] : 0;
    }
}

enum err pack_find(const uint8_t *pack, size_t pack_bytes, uint32_t slot, const uint8_t **bytes,
                   size_t *size_bytes)
{
    uint32_t count = pack_bytes >= 4 ? get(pack, 4) : 0;
    if (slot >= count || count > PACK_RECORDS || PACK_HEADER_BYTES(count) > pack_bytes)
        return err_set(ERR_DATA, "a pack of %u records in %zu bytes has no record %u", count,
                       pack_bytes, slot);
    uint32_t start = get(pack + 4 * (slot + 1), 4), end = get(pack + 4 * (slot + 2), 4);
    if (start < PACK_HEADER_BYTES(count) || end < start || end > pack_bytes)
        return err_set(ERR_DATA, "a pack of %zu bytes has record %u from %u to %u", pack_bytes,
                       slot, start, end);
    *bytes = pack + start;
    *size_bytes = end - start;
    return ERR_OK;
}

static void add_double(struct hasher *hasher, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    hasher_add_u64(hasher, bits);
}

void record_begin_content(struct hasher *hasher, const struct dataset_info *info)
{
    hasher_init(hasher);
    hasher_add_text(hasher, "glowworm dataset 1");
    hasher_add_u64(hasher, (uint64_t)info->format);
    hasher_add_u64(hasher, (uint64_t)info->channels);
    hasher_add_u64(hasher, (uint64_t)info->max_height);
    hasher_add_u64(hasher, (uint64_t)info->max_width);
    hasher_add_u64(hasher, info->train_count);
    hasher_add_u64(hasher, info->test_count);
    for (int c = 0; c < info->channels; c++) {
        add_double(hasher, info->mean[c]);
        add_double(hasher, info->deviation[c]);
    }
    hasher_add_u64(hasher, (uint64_t)info->classes);
    for (int i = 0; i < info->classes; i++)
        hasher_add_text(hasher, info->class_names[i]);
}
