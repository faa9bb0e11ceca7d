#include "base/rng.h"
#include "base/text.h"
#include "tests/scratch.h"
#include "trainer/checkpoint/safetensors.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the four above */

/* Header and values as a file, without the syncing of file_write(): thousands are written. */
static void put_file(const char *path, const void *bytes, size_t size_bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size_bytes, file), size_bytes);
    assert_int_equal(fclose(file), 0);
}

/* file = length of header, header, values */
static void compose(struct text *file, const char *header, const void *values, size_t size_bytes)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)strlen(header) >> (8 * i));
    text_add_bytes(file, length, sizeof length);
    text_add(file, "%s", header);
    text_add_bytes(file, values, size_bytes);
}

static enum err read_composed(const char *folder, const char *header, const void *values,
                              size_t size_bytes, struct tensor **tensors, int *count)
{
    struct text file;
    char *path = file_join(folder, "weights.safetensors");
    text_init(&file);
    compose(&file, header, values, size_bytes);
    put_file(path, file.bytes, file.size);
    text_fini(&file);
    enum err err = safetensors_read(path, tensors, count);
    mem_free(path);
    return err;
}

static const unsigned char zeros[64];

static void every_type_becomes_fp32(void **state)
{
    static const struct {
        float f32[2];
        double f64[2];
        uint16_t f16[6], bf16[2];
        int64_t counter;
    } values = {{1.5f, -2.0f},
                {0.1, -1e30},
                {0x3C00, 0xC000, 0x0001, 0x7C00, 0x03FF, 0x8000}, /* 1, -2, 2^-24, inf, .., -0 */
                {0x3F80, 0xC049},
                7};
    struct tensor *t = NULL;
    int count = 0;
    enum err err = read_composed(
        *state,
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[8,24]},"
        "\"c\":{\"dtype\":\"F16\",\"shape\":[1,2,3,1],\"data_offsets\":[24,36]},"
        "\"d\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[36,40]},"
        "\"bn.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[40,48]}}   ",
        &values, 48, &t, &count);
    if (err != ERR_OK)
        fail_msg("%s", err_text());
    assert_int_equal(count, 4);
    assert_string_equal(t[2].name, "c");
    assert_int_equal(t[0].rank * 100 + t[0].shape[0] * 10 + t[0].shape[1], 221);
    assert_true(t[0].values[0] == 1.5f && t[0].values[1] == -2.0f);
    assert_true(t[1].values[0] == 0.1f && t[1].values[1] == -1e30f);
    const float *half = t[2].values;
    assert_true(half[0] == 1.0f && half[1] == -2.0f && half[2] == 0x1p-24f && isinf(half[3]));
    assert_true(half[4] == 1023 * 0x1p-24f && half[5] == 0.0f && signbit(half[5]));
    assert_true(t[3].values[0] == 1.0f && t[3].values[1] == -3.140625f);
    safetensors_free(t, count);
}

static void scalars_and_empty_tensors_are_read(void **state)
{
    struct tensor *t = NULL;
    int count = 0;
    enum err err =
        read_composed(*state,
                      "{\"empty\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]},"
                      "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",
                      zeros, 4, &t, &count);
    if (err != ERR_OK)
        fail_msg("%s", err_text());
    assert_int_equal(t[0].count * 10 + t[1].count, 1);
    safetensors_free(t, count);
    assert_int_equal(read_composed(*state, "{}", zeros, 0, &t, &count), ERR_OK);
    assert_int_equal(count, 0);
    safetensors_free(t, count);
}

#define ONE(entry)  "{\"a\":{" entry "}}"
#define F32         "\"dtype\":\"F32\","
#define OFFSETS_0_8 "\"data_offsets\":[0,8]"

/* Behind every header lie 8 bytes. */
static const struct {
    const char *header, *reason;
} hostile[] = {
    {"", "JSON"},
    {"[]", "JSON"},
    {"{\"a\":", "JSON"},
    {"{} trailing", "JSON"},
    {"{}", "8 bytes of values"},
    {"{\"a\":7}", "data_offsets"},
    {ONE(F32 "\"shape\":[2]"), "data_offsets"},
    {ONE(F32 "\"shape\":[2],\"data_offsets\":[0]"), "data_offsets"},
    {ONE(F32 "\"shape\":[2],\"data_offsets\":[0,8.0]"), "data_offsets"},
    {ONE(F32 "\"shape\":[2],\"data_offsets\":[-8,8]"), "data_offsets"},
    {ONE(F32 "\"shape\":[2],\"data_offsets\":[8,0]"), "outside"},
    {ONE(F32 "\"shape\":[2],\"data_offsets\":[0,12]"), "outside"},
    {ONE(F32 "\"shape\":[2],\"data_offsets\":[9223372036854775800,9223372036854775807]"),
     "outside"},
    {ONE(F32 "\"shape\":[2],\"data_offsets\":[0,9223372036854775808]"), "JSON"},
    {ONE(F32 OFFSETS_0_8), "shape"},
    {ONE(F32 "\"shape\":2," OFFSETS_0_8), "shape"},
    {ONE(F32 "\"shape\":[-2]," OFFSETS_0_8), "shape"},
    {ONE(F32 "\"shape\":[3]," OFFSETS_0_8), "shape"},
    {ONE(F32 "\"shape\":[1]," OFFSETS_0_8), "shape"},
    {ONE(F32 "\"shape\":[1,1,1,1,2]," OFFSETS_0_8), "shape"},
    {ONE(F32 "\"shape\":[4294967296,4294967296]," OFFSETS_0_8), "shape"},
    {ONE(F32 "\"shape\":[4611686018427387906]," OFFSETS_0_8), "shape"},
    {ONE("\"shape\":[2]," OFFSETS_0_8), "dtype"},
    {ONE("\"dtype\":\"I32\",\"shape\":[2]," OFFSETS_0_8), "dtype"},
    {ONE("\"dtype\":5,\"shape\":[2]," OFFSETS_0_8), "dtype"},
    {ONE("\"dtype\":\"F64\",\"shape\":[2]," OFFSETS_0_8), "shape"},
    {ONE(F32 "\"shape\":[1],\"data_offsets\":[0,4]"), "8 bytes of values"},
    {ONE(F32 "\"shape\":[1],\"data_offsets\":[4,8]"), "hole"},
    {"{\"a\":{" F32 "\"shape\":[2]," OFFSETS_0_8 "},\"b\":{" F32
     "\"shape\":[1],\"data_offsets\":[4,8]}}",
     "overlaps"},
    {"{\"a\":{" F32 "\"shape\":[2]," OFFSETS_0_8 "},\"a\":{" F32 "\"shape\":[2]," OFFSETS_0_8 "}}",
     "JSON"},
    {"{\"\":{" F32 "\"shape\":[2]," OFFSETS_0_8 "}}", "name"},
    {"{\"\\u001b[31m\":{" F32 "\"shape\":[2]," OFFSETS_0_8 "}}", "name"},
    {"{\"a\\u0000b\":{" F32 "\"shape\":[2]," OFFSETS_0_8 "}}", "JSON"},
    {"{\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
     "890123456789012345678901\":{" F32 "\"shape\":[2]," OFFSETS_0_8 "}}",
     "name"},
};

static void hostile_headers_are_refused_with_the_reason(void **state)
{
    struct tensor *tensors = NULL;
    int count = 0;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        enum err err = read_composed(*state, hostile[i].header, zeros, 8, &tensors, &count);
        if (err != ERR_DATA || !strstr(err_text(), hostile[i].reason))
            fail_msg("%s\n  expected a refusal about \"%s\", got %s: %s", hostile[i].header,
                     hostile[i].reason, err_name(err), err == ERR_OK ? "" : err_text());
        assert_null(tensors);
    }
}

static void hostile_lengths_are_refused(void **state)
{
    static const uint64_t lengths[] = {3,
                                       100,
                                       (uint64_t)100 << 20,
                                       ((uint64_t)100 << 20) + 1,
                                       UINT64_MAX >> 1,
                                       UINT64_MAX - 7,
                                       UINT64_MAX};
    char *path = file_join(*state, "weights.safetensors");
    struct tensor *tensors = NULL;
    int count = 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        put_file(path, (const unsigned char[]){0}, 0);
        assert_int_equal(safetensors_read(path, &tensors, &count), ERR_DATA);
        unsigned char bytes[10] = {0};
        for (int b = 0; b < 8; b++)
            bytes[b] = (unsigned char)(lengths[i] >> (8 * b));
        memcpy(bytes + 8, "{}", 2);
        put_file(path, bytes, sizeof bytes);
        assert_int_equal(safetensors_read(path, &tensors, &count), ERR_DATA);
        assert_non_null(strstr(err_text(), "header"));
    }
    assert_int_equal(safetensors_read(*state, &tensors, &count), ERR_IO);
    mem_free(path);
    path = file_join(*state, "missing");
    assert_int_equal(safetensors_read(path, &tensors, &count), ERR_NOT_FOUND);
    mem_free(path);
}

static void compose_valid(struct text *file)
{
    float values[60];
    for (int i = 0; i < 60; i++)
        values[i] = (float)i;
    compose(file,
            "{\"conv.weight\":{\"dtype\":\"F32\",\"shape\":[4,3,1,2],\"data_offsets\":[0,96]},"
            "\"bn.weight\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[96,112]},"
            "\"bn.running_mean\":{\"dtype\":\"F64\",\"shape\":[15],\"data_offsets\":[112,232]},"
            "\"bn.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],"
            "\"data_offsets\":[232,240]}}",
            values, sizeof values);
}

static uint32_t draw(uint64_t round, uint64_t index, uint32_t bound)
{
    return rng_below(rng(20, RNG_TEST, 0, round, index), bound);
}

/* One to four changes: a byte, a run of bytes copied elsewhere, a digit, the end cut off or grown.
 */
static void mutate(struct text *file, uint64_t round)
{
    static const char pieces[][12] = {"\"", "{", "}",  "[",           "]",    ",",
                                      ":",  "-", "e9", "99999999999", "null", "\\u0000"};
    uint32_t changes = 1 + draw(round, 0, 4);
    for (uint32_t i = 1; i <= changes && file->size > 16; i++) {
        uint32_t size = (uint32_t)file->size, at = draw(round, 10 * i, size);
        uint32_t in_header = 8 + draw(round, 10 * i + 1, size > 300 ? 300 : size - 8);
        const char *piece = pieces[draw(round, 10 * i + 2, 12)];
        switch (draw(round, 10 * i + 3, 6)) {
        case 0:
            file->bytes[at] ^= (char)(1 << draw(round, 10 * i + 4, 8));
            break;
        case 1:
            file->bytes[in_header] = (char)('0' + draw(round, 10 * i + 4, 10));
            break;
        case 2:
            file->bytes[draw(round, 10 * i + 4, 8)] = (char)draw(round, 10 * i + 5, 256);
            break;
        case 3:
            if (in_header + strlen(piece) < size)
                memcpy(file->bytes + in_header, piece, strlen(piece));
            break;
        case 4:
            memmove(file->bytes + at, file->bytes + size / 2,
                    size - (at > size / 2 ? at : size / 2));
            break;
        default:
            file->size = at > size / 2 ? at : size;
        }
    }
}

/* Any tensor that is handed out is what the header said, and inside the file. */
static void check_accepted(const struct tensor *tensors, int count, size_t file_bytes)
{
    uint64_t total = 0;
    double sum = 0;
    for (int i = 0; i < count; i++) {
        uint64_t product = 1;
        for (int d = 0; d < tensors[i].rank; d++)
            product *= (uint64_t)tensors[i].shape[d];
        assert_int_equal(product, tensors[i].count);
        for (uint64_t e = 0; e < product; e++)
            sum += tensors[i].values[e] > 0; /* a sanitizer sees a read too far */
        total += product;
    }
    assert_true(total * 2 <= file_bytes && sum >= 0);
}

static void mutated_files_are_refused_or_read_safely(void **state)
{
    char *path = file_join(*state, "weights.safetensors");
    int accepted = 0, refused = 0;
    for (uint64_t round = 0; round < 6000; round++) {
        struct text file;
        struct tensor *tensors = NULL;
        int count = 0;
        text_init(&file);
        compose_valid(&file);
        mutate(&file, round);
        put_file(path, file.bytes, file.size);
        enum err err = safetensors_read(path, &tensors, &count);
        if (err == ERR_OK)
            check_accepted(tensors, count, file.size);
        else if (err != ERR_DATA)
            fail_msg("round %d: %s: %s", (int)round, err_name(err), err_text());
        accepted += err == ERR_OK;
        refused += err != ERR_OK;
        safetensors_free(tensors, count);
        text_fini(&file);
    }
    /* both happen, or the mutations test nothing */
    if (accepted < 100 || refused < 1000)
        fail_msg("%d accepted, %d refused", accepted, refused);
    mem_free(path);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_type_becomes_fp32),
        T(scalars_and_empty_tensors_are_read),
        T(hostile_headers_are_refused_with_the_reason),
        T(hostile_lengths_are_refused),
        T(mutated_files_are_refused_or_read_safely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
