#include "base/hash.h"
#include "base/err.h"
#include <pthread.h>
#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(struct hasher),
               "libsodium's state fits into struct hasher");
_Static_assert(_Alignof(crypto_generichash_state) <= _Alignof(struct hasher),
               "libsodium's state is aligned inside struct hasher");

static void sodium_start(void)
{
    if (sodium_init() < 0)
        BUG("libsodium does not start");
}

/* Chooses the AVX2 version of BLAKE2b where there is one; without it the plain one would run. */
static void sodium_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, sodium_start);
}

static crypto_generichash_state *state_of(struct hasher *hasher)
{
    return (crypto_generichash_state *)(void *)hasher->state;
}

void hasher_init(struct hasher *hasher)
{
    sodium_ready();
    crypto_generichash_init(state_of(hasher), NULL, 0, HASH_BYTES);
}

void hasher_add(struct hasher *hasher, const void *bytes, size_t size_bytes)
{
    crypto_generichash_update(state_of(hasher), bytes, size_bytes);
}

void hasher_add_text(struct hasher *hasher, const char *text)
{
    size_t size = strlen(text);
    hasher_add_u64(hasher, size);
    hasher_add(hasher, text, size);
}

void hasher_add_u64(struct hasher *hasher, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    hasher_add(hasher, bytes, sizeof bytes);
}

struct hash hasher_end(struct hasher *hasher)
{
    struct hash hash;
    crypto_generichash_final(state_of(hasher), hash.bytes, HASH_BYTES);
    return hash;
}

struct hash hash_of(const void *bytes, size_t size_bytes)
{
    struct hash hash;
    sodium_ready();
    crypto_generichash(hash.bytes, HASH_BYTES, bytes, size_bytes, NULL, 0);
    return hash;
}

bool hash_equal(const struct hash *left, const struct hash *right)
{
    return memcmp(left->bytes, right->bytes, HASH_BYTES) == 0;
}

void hash_hex(const struct hash *hash, char hex[HASH_HEX_BYTES])
{
    sodium_bin2hex(hex, HASH_HEX_BYTES, hash->bytes, HASH_BYTES);
}

bool hash_parse(const char *hex, struct hash *hash)
{
    struct hash parsed;
    size_t size = 0;
    if (strlen(hex) != HASH_HEX_BYTES - 1 ||
        sodium_hex2bin(parsed.bytes, HASH_BYTES, hex, HASH_HEX_BYTES - 1, NULL, &size, NULL) != 0 ||
        size != HASH_BYTES)
        return false;
    *hash = parsed;
    return true;
}
