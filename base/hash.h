/* Content hashes: BLAKE2b-256 by libsodium. A hash names a blob, a dataset, a checkpoint or a
 * stage. A struct hasher belongs to one thread; everything else may be called by any. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES     32
#define HASH_HEX_BYTES (2 * HASH_BYTES + 1)

struct hash {
    uint8_t bytes[HASH_BYTES];
};

struct hasher { /* libsodium's state, kept opaque here: 384 bytes, 64-aligned */
    _Alignas(64) unsigned char state[384];
};

void hasher_init(struct hasher *hasher);
void hasher_add(struct hasher *hasher, const void *bytes, size_t size_bytes);
/* A field: its length first, so that ("ab","c") and ("a","bc") differ. */
void hasher_add_text(struct hasher *hasher, const char *text);
void hasher_add_u64(struct hasher *hasher, uint64_t value); /* little-endian */
struct hash hasher_end(struct hasher *hasher);

struct hash hash_of(const void *bytes, size_t size_bytes);
bool hash_equal(const struct hash *left, const struct hash *right);
void hash_hex(const struct hash *hash, char hex[HASH_HEX_BYTES]);
bool hash_parse(const char *hex, struct hash *hash); /* false unless 64 hexadecimal digits */

#endif
