#include "base/hash.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the four above */

static void assert_hash(struct hash hash, const char *expected)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(&hash, hex);
    assert_string_equal(hex, expected);
}

/* BLAKE2b of 32 bytes without a key, computed by another implementation. */
static void known_vectors_are_reproduced(void **state)
{
    (void)state;
    assert_hash(hash_of("", 0), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    assert_hash(hash_of("abc", 3),
                "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    uint8_t *many = mem_alloc(100000);
    for (int i = 0; i < 100000; i++)
        many[i] = (uint8_t)(i * 7 % 251);
    assert_hash(hash_of(many, 100000),
                "4e4726e4e63ae22b5e82dc60f1ed4fce7b996b30ab80d687e392cf3ee22be8bc");
    mem_free(many);
}

static void fields_are_written_with_their_length_in_little_endian(void **state)
{
    (void)state;
    struct hasher hasher;
    hasher_init(&hasher);
    hasher_add_text(&hasher, "ab");
    hasher_add_u64(&hasher, 258);
    assert_hash(hasher_end(&hasher),
                "09275e268eca2cac9786d396ed3f2b8cf950973298a28cff3fd9443e0900a32f");
}

static void pieces_hash_like_the_whole(void **state)
{
    (void)state;
    uint8_t bytes[1000];
    for (int i = 0; i < 1000; i++)
        bytes[i] = (uint8_t)i;
    struct hash whole = hash_of(bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 37) {
        struct hasher hasher;
        hasher_init(&hasher);
        hasher_add(&hasher, bytes, cut);
        hasher_add(&hasher, bytes + cut, sizeof bytes - cut);
        struct hash pieces = hasher_end(&hasher);
        assert_true(hash_equal(&whole, &pieces));
    }
}

static void hexadecimal_goes_there_and_back(void **state)
{
    (void)state;
    struct hash hash = hash_of("x", 1), back = {{0}};
    char hex[HASH_HEX_BYTES];
    hash_hex(&hash, hex);
    assert_true(hash_parse(hex, &back));
    assert_true(hash_equal(&hash, &back));
}

static void what_is_not_64_digits_is_refused(void **state)
{
    (void)state;
    struct hash hash = hash_of("x", 1), untouched = hash;
    char hex[HASH_HEX_BYTES + 2];
    assert_false(hash_parse("", &hash));
    assert_false(hash_parse("latest", &hash));
    memset(hex, '0', sizeof hex);
    hex[63] = '\0';
    assert_false(hash_parse(hex, &hash));
    hex[63] = '0', hex[65] = '\0';
    assert_false(hash_parse(hex, &hash));
    hex[64] = '\0', hex[10] = 'g';
    assert_false(hash_parse(hex, &hash));
    assert_true(hash_equal(&hash, &untouched));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors_are_reproduced),
        cmocka_unit_test(fields_are_written_with_their_length_in_little_endian),
        cmocka_unit_test(pieces_hash_like_the_whole),
        cmocka_unit_test(hexadecimal_goes_there_and_back),
        cmocka_unit_test(what_is_not_64_digits_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
