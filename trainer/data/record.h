/* One image as the store keeps it: a digest, a fixed header, the picture, the source's name. All
 * numbers little-endian. The digest covers everything behind it, so a flipped byte is pinned to its
 * record; a dataset's content hash is over the manifest's facts and every record's hash, in order.
 * Pure; any thread may call. */
#ifndef TRAINER_DATA_RECORD_H
#define TRAINER_DATA_RECORD_H

#include "base/err.h"
#include "base/hash.h"
#include "trainer/data/dataset_info.h"
#include <stdbool.h>
#include <stddef.h>

#define RECORD_DIGEST_BYTES 16                 /* of the record's BLAKE2b-256 */
#define RECORD_HEADER_BYTES 32                 /* digest included */
#define RECORD_MAX_BYTES    ((size_t)32 << 20) /* so that a pack's offsets fit in 32 bits */
#define RECORD_NAME_MAX     65535

struct record {
    int32_t label;
    int H, W, C;
    enum image_format format;
    const uint8_t *picture; /* borrowed: (H,W,C) u8, or a JPEG file */
    uint32_t picture_bytes;
    const char *name; /* borrowed, not terminated; "" for images without a file of their own */
    uint32_t name_bytes;
    const uint8_t *stored; /* the whole record, where it was read from a dataset */
    size_t stored_bytes;
};

size_t record_bytes(const struct record *record);
/* Lays the record out in `bytes` (record_bytes() of room) and returns its hash. */
struct hash record_write(const struct record *record, uint8_t *bytes);

/* Borrows from bytes. ERR_DATA: sizes that do not add up, a shape that is none. The digest is not
 * compared. */
MUST_CHECK enum err record_parse(const uint8_t *bytes, size_t size_bytes, struct record *record);

/* The hash of stored bytes, and whether the digest in front of them agrees. */
struct hash record_hash(const uint8_t *bytes, size_t size_bytes);
bool record_is_intact(const uint8_t *bytes, const struct hash *hash);

/* The store keeps packs of PACK_RECORDS records: record n is number n % PACK_RECORDS of pack
 * n / PACK_RECORDS. Small images then fill pages, and a pack lies in one piece on the disk. A pack
 * is the number of its records, the offset of each and of the end, 4 bytes each, and the records.
 */
#define PACK_RECORDS             64
#define PACK_HEADER_BYTES(count) ((size_t)4 * ((count) + 2))
/* Writes the header of a pack in front of `count` records of the given sizes. */
void pack_write_header(uint8_t *pack, uint32_t count, const uint32_t *record_sizes);
/* One record's bytes, borrowed. ERR_DATA: there is none, or the offsets are damaged. */
MUST_CHECK enum err pack_find(const uint8_t *pack, size_t pack_bytes, uint32_t slot,
                              const uint8_t **bytes, size_t *size_bytes);

/* What the content hash covers besides the records; the caller adds each record's hash, in order,
 * and ends it. */
void record_begin_content(struct hasher *hasher, const struct dataset_info *info);

#endif
