#include "base/text.h"
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs the four above */

static void pieces_are_appended(void **state)
{
    (void)state;
    struct text text;
    text_init(&text);
    assert_string_equal(text_get(&text), "");
    text_add(&text, "k=%d", 7);
    text_add_bytes(&text, ",5\0x", 2);
    assert_string_equal(text_get(&text), "k=7,5");
    assert_int_equal(text.size, 5);
    text_fini(&text);
    assert_string_equal(text_get(&text), "");
}

static void a_text_grows_far_beyond_its_first_room(void **state)
{
    (void)state;
    struct text text;
    text_init(&text);
    for (int i = 0; i < 5000; i++)
        text_add(&text, "%04d ", i);
    assert_int_equal(text.size, 25000);
    assert_int_equal(strlen(text_get(&text)), 25000);
    assert_memory_equal(text_get(&text) + 24995, "4999 ", 5);
    text_fini(&text);
}

static void a_real_is_written_with_the_fewest_digits_that_read_back(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *digits;
    } rows[] = {{0.05, "0.05"},    {0.1 + 0.2, "0.30000000000000004"}, {5e-4, "0.0005"}, {-3, "-3"},
                {1e300, "1e+300"}, {1.0 / 3, "0.3333333333333333"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text text;
        text_init(&text);
        text_add_real(&text, rows[i].value);
        assert_string_equal(text_get(&text), rows[i].digits);
        text_fini(&text);
    }
}

static void text_from_elsewhere_tells_a_terminal_nothing(void **state)
{
    (void)state;
    static const char raw[] = "a\033[2J\tb\r\n\x7f\xc2\x9b\xc2\x85\xff\xc3\xa9\0c";
    struct text text;
    text_init(&text);
    text_add_safe(&text, raw, sizeof raw - 1);
    assert_string_equal(text_get(&text), "a?[2J b?\n?????\xc3\xa9?c");
    text_fini(&text);
}

static void distance_counts_single_edits(void **state)
{
    (void)state;
    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("epochs", "epoch"), 1);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("rate", "tare"), 2);
}

static void whole_numbers_are_read_within_their_range(void **state)
{
    (void)state;
    long value = -1;
    assert_int_equal(text_to_int("-12", -12, 12, &value), ERR_OK);
    assert_int_equal(value, -12);
    static const char *const bad[] = {
        "", " 1", "1 ", "1.5", "0x10", "twelve", "13", "-13", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(text_to_int(bad[i], -12, 12, &value), ERR_DATA);
        assert_non_null(strstr(err_text(), bad[i]));
        assert_int_equal(value, -12);
    }
    assert_int_equal(text_to_int("99999999999999999999", LONG_MIN, LONG_MAX, &value), ERR_DATA);
}

static void fractions_are_read_within_their_range(void **state)
{
    (void)state;
    double value = -1;
    assert_int_equal(text_to_double("2.5e-1", 0, 1, &value), ERR_OK);
    assert_true(value == 0.25);
    static const char *const bad[] = {"", " .5", ".5x", "nan", "1.5", "-0.1", "inf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(text_to_double(bad[i], 0, 1, &value), ERR_DATA);
    assert_int_equal(text_to_double("1e999", 0, 1e300, &value), ERR_DATA);
    assert_true(value == 0.25);
}

/* The vectors of RFC 4648. */
static void bytes_are_written_as_base64(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct text text;
        text_init(&text);
        text_add_base64(&text, vectors[i][0], strlen(vectors[i][0]));
        assert_string_equal(text_get(&text), vectors[i][1]);
        text_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_written_as_base64),
        cmocka_unit_test(pieces_are_appended),
        cmocka_unit_test(a_text_grows_far_beyond_its_first_room),
        cmocka_unit_test(a_real_is_written_with_the_fewest_digits_that_read_back),
        cmocka_unit_test(text_from_elsewhere_tells_a_terminal_nothing),
        cmocka_unit_test(distance_counts_single_edits),
        cmocka_unit_test(whole_numbers_are_read_within_their_range),
        cmocka_unit_test(fractions_are_read_within_their_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
