/* .npy files as NumPy writes them are read; anything else is refused with a reason, whatever bytes
 * come. */
#include "base/rng.h"
#include "cluster/npy.h"
#include "tests/scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct file {
    char bytes[4096];
    size_t size;
};

/* Version 1 with that header and `values` floats 0, 1, 2, .. behind it. */
static struct file make_file(const char *header, size_t values)
{
    struct file file = {.size = 10 + strlen(header)};
    memcpy(file.bytes, "\x93NUMPY\x01\x00", 8);
    file.bytes[8] = (char)(strlen(header) & 255);
    file.bytes[9] = (char)(strlen(header) >> 8);
    memcpy(file.bytes + 10, header, strlen(header));
    for (size_t i = 0; i < values; i++) {
        float value = (float)i;
        memcpy(file.bytes + file.size, &value, sizeof value);
        file.size += sizeof value;
    }
    return file;
}

static void check_refused(const struct file *file, const char *reason)
{
    struct npy npy = {0};
    enum err err = npy_parse("x.npy", file->bytes, file->size, &npy);
    if (err != ERR_DATA || !strstr(err_text(), reason))
        fail_msg("%s (%s) where \"%s\" was expected", err_name(err), err_text(), reason);
    assert_null(npy.values);
}

static void what_numpy_writes_is_read(void **state)
{
    (void)state;
    const char *const headers[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }              \n",
        "{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3,)}\n"};
    for (int h = 0; h < 3; h++) {
        struct file file = make_file(headers[h], 6);
        struct npy npy = {0};
        assert_int_equal(npy_parse("x.npy", file.bytes, file.size, &npy), ERR_OK);
        assert_int_equal(npy.rank, 2);
        assert_int_equal(npy.shape[0], 2);
        assert_int_equal(npy.shape[1], 3);
        assert_true(npy.values[5] == 5.0f);
        npy_fini(&npy);
    }
    struct file scalar = make_file("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 1);
    struct npy npy = {0};
    assert_int_equal(npy_parse("x.npy", scalar.bytes, scalar.size, &npy), ERR_OK);
    assert_int_equal(npy.rank, 0);
    npy_fini(&npy);
}

static void what_is_written_is_read_again(void **state)
{
    float values[6] = {1, -2, 3.5f, 0, 1e30f, -1e-30f};
    char *path = file_join(*state, "out.npy");
    struct npy npy = {0};
    assert_int_equal(npy_write(path, values, 3, 2), ERR_OK);
    assert_int_equal(npy_read(path, 1 << 20, &npy), ERR_OK);
    assert_int_equal(npy.rank, 2);
    assert_int_equal(npy.shape[0], 3);
    assert_int_equal(npy.shape[1], 2);
    assert_memory_equal(npy.values, values, sizeof values);
    npy_fini(&npy);
    assert_int_equal(npy_read(path, 100, &npy), ERR_DATA); /* larger than allowed */
    mem_free(path);
}

static void the_reason_of_a_refusal_is_told(void **state)
{
    (void)state;
#define START "{'descr': '<f4', 'fortran_order': False, 'shape': "
    const struct {
        const char *header, *reason;
    } cases[] = {
        {START "(2, 4)}", "promises 8 values"},
        {START "(18446744073709551615, 2)}", "overflows"},
        {START "(99999999999999999999999,)}", "overflows"},
        {START "(4611686018427387904, 4)}", "overflows"},
        {START "(-1, 6)}", "not a list of sizes"},
        {START "(1,1,1,1,1,1,1,1,6)}", "too many axes"},
        {START "6}", "not a tuple"},
        {START "(6}", "not a tuple"},
        {START "(6,)", "not a dictionary"},
        {START "(6,)} x", "behind it"},
        {START "(6,), 'shape': (6,)}", "other entries"},
        {START "(6,), 'more': 1}", "other entries"},
        {"{'descr': '<f4', 'shape': (6,)}", "incomplete"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}", "astype"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (6,)}", "astype"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (6,)}", "C order"},
        {"{'descr': 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'}",
         "too long"},
        {"{'descr': '<f4", "ends inside"},
        {"['descr']", "not a dictionary"},
    };
#undef START
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct file file = make_file(cases[i].header, 6);
        check_refused(&file, cases[i].reason);
    }
    struct file file = make_file("{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", 6);
    file.bytes[1] = 'M';
    check_refused(&file, "does not begin");
    file = make_file("{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", 6);
    file.bytes[6] = 9;
    check_refused(&file, "version");
    file.bytes[6] = 1;
    file.bytes[9] = 127;
    check_refused(&file, "longer than the file");
}

/* Every cut and a great many flipped bytes: refused or read, never more than what is there (the
 * sanitizers watch). */
static void no_bytes_do_harm(void **state)
{
    (void)state;
    struct file good =
        make_file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 6);
    struct npy npy = {0};
    for (size_t size = 0; size < good.size; size++) {
        char *exact = mem_alloc(size ? size : 1); /* reading past the end is out of bounds */
        memcpy(exact, good.bytes, size);
        if (npy_parse("x.npy", exact, size, &npy) == ERR_OK)
            fail_msg("the first %zu of %zu bytes were taken for a file", size, good.size);
        mem_free(exact);
    }
    int read = 0;
    for (uint64_t round = 0; round < 20000; round++) {
        struct file file = good;
        for (uint64_t flip = 0; flip < 3; flip++)
            file.bytes[rng_below(rng(1, RNG_TEST, 0, round, 2 * flip), (uint32_t)good.size)] =
                (char)rng(1, RNG_TEST, 0, round, 2 * flip + 1);
        if (npy_parse("x.npy", file.bytes, file.size, &npy) != ERR_OK)
            continue;
        assert_int_equal(npy.count, 6);
        npy_fini(&npy);
        read++;
    }
    assert_in_range(read, 1, 19999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_numpy_writes_is_read),
        cmocka_unit_test_setup_teardown(what_is_written_is_read_again, scratch_make,
                                        scratch_remove),
        cmocka_unit_test(the_reason_of_a_refusal_is_told),
        cmocka_unit_test(no_bytes_do_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
