/* The walk of a schema: every type, every unit, every mistake. */
#include "base/text.h"
#include "base/yaml/schema.h"
#include "tests/spec/spec_test.h"
#include <stdio.h>
#include <string.h>

struct inner {
    char name[32];
    int size;
};

struct all { /* one field of every type */
    bool flag;
    int whole;
    uint32_t images;
    uint64_t seed;
    double real, seconds, bytes;
    char text[8], word[16];
    int colour;
    int side_count, sides[4];
    bool formats[3];
    int text_count;
    char texts[2][8];
    int row_count;
    struct inner rows[2];
    int named_count;
    struct inner named[2];
};

static const struct knob inner_knobs[] = {
    {"size", KNOB_INT, KNOB_FIELD(inner, size), .low = 1, .high = 9, .help = "a size"},
};
static const struct schema inner_schema = {inner_knobs, 1, sizeof(struct inner)};

static const struct knob knobs[] = {
    {"flag", KNOB_BOOL, KNOB_FIELD(all, flag), .fallback = "no", .help = "a flag"},
    {"deep.whole", KNOB_INT, KNOB_FIELD(all, whole), .fallback = "auto", .low = 2, .high = 50,
     .words = "auto=-1|none=0", .help = "a whole number"},
    {"deep.images", KNOB_UINT32, KNOB_FIELD(all, images), .fallback = "5", .unit = UNIT_COUNT,
     .help = "images"},
    {"deep.deeper.seed", KNOB_UINT64, KNOB_FIELD(all, seed), .fallback = "1", .help = "a seed"},
    {"real", KNOB_REAL, KNOB_FIELD(all, real), .fallback = "0.5", .low = 0, .high = 1e7,
     .unit = UNIT_COUNT, .help = "a number"},
    {"seconds", KNOB_REAL, KNOB_FIELD(all, seconds), .fallback = "90s", .unit = UNIT_SECONDS,
     .help = "a duration"},
    {"bytes", KNOB_REAL, KNOB_FIELD(all, bytes), .fallback = "4MiB", .unit = UNIT_BYTES,
     .help = "a size"},
    {"text", KNOB_TEXT, KNOB_FIELD(all, text), .fallback = "\"\"", .help = "a text"},
    {"word", KNOB_WORD, KNOB_FIELD(all, word), .fallback = "left", .words = "left|right",
     .help = "a word"},
    {"colour", KNOB_ENUM, KNOB_FIELD(all, colour), .fallback = "green", .words = "red|green|blue",
     .help = "a colour"},
    {"sides", KNOB_INTS, KNOB_LIST(all, sides, side_count), .fallback = "[3]", .low = 1, .high = 99,
     .help = "sides"},
    {"formats", KNOB_WORDS, KNOB_FIELD(all, formats), .fallback = "[b]", .words = "a|b|c",
     .help = "formats"},
    {"texts", KNOB_TEXTS, KNOB_LIST(all, texts, text_count), .fallback = "[]", .help = "texts"},
    {"rows", KNOB_ROWS, KNOB_LIST(all, rows, row_count), .fallback = "[]", .rows = &inner_schema,
     .help = "rows"},
    {"named", KNOB_NAMED, KNOB_LIST(all, named, named_count), .fallback = "{}",
     .rows = &inner_schema, .help = "named rows"},
    {"deep.former", KNOB_RETIRED, .fallback = "plain", .help = "leave it out"},
};
static const struct schema schema = {knobs, sizeof knobs / sizeof *knobs, sizeof(struct all)};

/* Fills from a text; the errors' text stays for the caller. */
static enum err fill(const char *text, struct all *all)
{
    enum err err = ERR_OK;
    struct yaml *yaml = NULL;
    struct yaml_errors *errors = yaml_errors_create();
    TRY(yaml_parse("own.yaml", text, strlen(text), &yaml));
    schema_fill(&schema, yaml_root(yaml), errors, all);
    TRY(yaml_errors_end(errors));
out:
    yaml_errors_destroy(errors);
    yaml_close(&yaml);
    return err;
}

static void defaults_are_written_in_the_rows(void **state)
{
    (void)state;
    struct all all;
    assert_ok(fill("", &all));
    assert_false(all.flag);
    assert_int_equal(all.whole, -1);
    assert_true(all.seconds == 90 && all.bytes == 4 * 1048576.0);
    assert_string_equal(all.word, "left");
    assert_int_equal(all.colour, 1);
    assert_int_equal(all.side_count, 1);
    assert_true(!all.formats[0] && all.formats[1] && !all.formats[2]);
}

static void numbers_take_their_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds, bytes, real;
    } rows[] = {
        {"seconds: 250ms\nbytes: 1KiB\nreal: 0.8M", 0.25, 1024, 800000},
        {"seconds: 5m\nbytes: 2 MB\nreal: 12k", 300, 2e6, 12000},
        {"seconds: '2h'\nbytes: 1GiB\nreal: 1e3", 7200, 1073741824, 1000},
        {"seconds: 1.5d\nbytes: 7\nreal: .25", 129600, 7, 0.25},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct all all;
        assert_ok(fill(rows[i].text, &all));
        if (all.seconds != rows[i].seconds || all.bytes != rows[i].bytes ||
            all.real != rows[i].real)
            fail_msg("%s: %g s, %g bytes, %g", rows[i].text, all.seconds, all.bytes, all.real);
    }
}

static void yes_and_no_have_their_spellings(void **state)
{
    (void)state;
    static const char *const words[] = {"yes", "no", "true", "false", "on", "off", "True", "FALSE"};
    for (size_t i = 0; i < 8; i++) {
        struct all all;
        char text[32];
        snprintf(text, sizeof text, "flag: %s", words[i]);
        assert_ok(fill(text, &all));
        assert_int_equal(all.flag, i % 2 == 0);
    }
}

static void wrong_values_name_place_key_and_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"flag: maybe", "own.yaml:1:7: key 'flag': 'maybe' is not yes or no"},
        {"flag: 'yes'", "write yes or no without quotes"},
        {"flag: 1", "'1' is not yes or no"},
        {"deep: {whole: 1}", "own.yaml:1:15: key 'deep.whole': 1 is out of range: 2 to 50"},
        {"deep: {whole: 2.5}", "'2.5' is not a whole number"},
        {"deep: {whole: x}", "'x' is not a number, or auto or none"},
        {"deep: {whole: 3000000000}", "out of range"},
        {"deep: {images: -1}", "-1 is out of range: 0 to 4294967295"},
        {"deep: {images: 5G}", "out of range"},
        {"deep: {deeper: {seed: 18446744073709551616}}", "key 'deep.deeper.seed'"},
        {"deep: {deeper: {seed: 1.0}}", "not a whole number"},
        {"real: nan", "'nan' is not a number such as"},
        {"real: inf", "'inf' is not a number"},
        {"real: 0x10", "'0x10' is not a number"},
        {"real: 1s", "'1s' is not a number such as 800000, 800k or 0.8M"},
        {"real: 1e999", "is not a number"},
        {"seconds: 5 parsecs", "is not a duration such as 90s, 5m or 2h"},
        {"bytes: 4Mi", "is not a size such as"},
        {"text: 12345678", "longer than 7 characters"},
        {"text: \"a\\nb\"", "contains a control character"},
        {"word: rihgt", "'rihgt' is not one of left or right; did you mean 'right'?"},
        {"colour: 7", "'7' is not one of red, green or blue"},
        {"colour: [red]", "is a list; expected a single value"},
        {"sides: [1, 2, 3, 4, 5]", "key 'sides': too many values"},
        {"sides: [1, 1]", "1 is listed twice"},
        {"sides: 1..3 stop 2", "not a range such as 128..224 step 4"},
        {"sides: 1..99", "too many values"},
        {"sides: [0]", "own.yaml:1:9: key 'sides': 0 is out of range: 1 to 99"},
        {"sides: {a: 1}", "is a map; expected a list of numbers"},
        {"formats: a", "is a word; expected a list of words"},
        {"formats: [d]", "own.yaml:1:11: key 'formats': 'd' is not one of a, b or c"},
        {"texts: a b", "key 'texts': is a word; expected a list of texts in brackets"},
        {"texts: [a, b, c]", "key 'texts': 3 texts; at most 2 are possible"},
        {"texts: [12345678]", "own.yaml:1:9: key 'texts': longer than 7 characters"},
        {"texts: [[a]]", "key 'texts': expected a text"},
        {"texts: [a, ~]", "key 'texts': expected a text"},
        {"rows: [1]", "a row is a word; expected a map"},
        {"rows: [{}]", "key 'rows[0].size': is missing (a size)"},
        {"rows: [{size: 1}, {size: 2}, {size: 3}]", "3 rows; at most 2 are possible"},
        {"named: [1]", "is a list; expected a map of rows"},
        {"named: {a: {size: 99}}", "key 'named.a.size': 99 is out of range: 1 to 9"},
        {"named: {a: {size: 1}, a: {size: 2}}", "'a' is there twice"},
        {"deep: 3", "own.yaml:1:7: key 'deep': is a word; expected a map: {...}"},
        {"real:", "key 'real': has no value; expected a single value"},
        {"real: 1\nreal: 2", "own.yaml:2:1: key 'real': is there twice; keep one"},
        {"[1, 2]", "the file is a list; expected keys and values"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct all all;
        assert_refused(fill(rows[i].text, &all), ERR_CONFIG, rows[i].expected);
    }
}

static void unknown_keys_are_answered_with_the_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"flga: yes", "key 'flga': unknown; did you mean 'flag'?"},
        {"deep: {whle: 3}", "key 'deep.whle': unknown; did you mean 'deep.whole'?"},
        {"dep: {whole: 3}", "key 'dep': unknown; did you mean 'deep'?"},
        {"seed: 3", "key 'seed': unknown; did you mean 'deep.deeper.seed'?"},
        {"deep: {flag: yes}", "key 'deep.flag': unknown; did you mean 'flag'?"},
        {"deep: {qqqqqqq: 1}", "unknown; known here: whole, images, deeper"},
        {"rows: [{size: 1, siz: 2}]", "key 'rows[0].siz': unknown; did you mean 'rows[0].size'?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct all all;
        assert_refused(fill(rows[i].text, &all), ERR_CONFIG, rows[i].expected);
    }
}

static void errors_come_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct all all;
    assert_int_equal(fill("x: 1\nflag: 2\nreal: z\ndeep:\n  y: 3\n", &all), ERR_CONFIG);
    const char *last = err_text();
    static const char *const order[] = {":1:1:", ":2:7:", ":3:7:", ":5:3:"};
    for (int i = 0; i < 4; i++) {
        const char *found = strstr(last, order[i]);
        if (!found)
            fail_msg("%s is not there, or not in order:\n%s", order[i], err_text());
        last = found;
    }
}

static void thousands_of_errors_end_with_a_count(void **state)
{
    (void)state;
    struct all all;
    struct text text;
    text_init(&text);
    for (int i = 0; i < 2000; i++)
        text_add(&text, "unknown-%d: 1\n", i);
    assert_refused(fill(text_get(&text), &all), ERR_CONFIG, " more");
    assert_non_null(strstr(err_text(), "own.yaml:1:1: key 'unknown-0'"));
    text_fini(&text);
}

static void the_dump_reads_back_to_the_same_struct(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "flag: yes\ndeep: {whole: none, images: 4G, deeper: {seed: 18446744073709551615}}\n"
        "real: 0.1\nseconds: 1.0000000000000002\nbytes: 3\n",
        "text: '\"\\: #'\nword: right\ncolour: blue\nsides: [9, 1..3]\nformats: [c, a]\n"
        "rows: [{size: 3}, {size: 4}]\nnamed: {x-1: {size: 5}, 'y z': {size: 6}}\n",
        "text: null\nformats: []\nsides: []\n",
        "text: '-a'\n",
        "texts: [b, 'a \"x']\n",
        "texts: ['', '-n']\n",
        "text: 'null'\n",
        "text: 'a: b'\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct all first, again;
        struct text yaml;
        text_init(&yaml);
        if (fill(texts[i], &first) != ERR_OK && !strstr(texts[i], "text: null"))
            fail_msg("%s: %s", texts[i], err_text());
        schema_write(&schema, &first, &yaml);
        assert_ok(fill(text_get(&yaml), &again));
        if (memcmp(&first, &again, sizeof first) != 0)
            fail_msg("'%s' was written as\n%s", texts[i], text_get(&yaml));
        text_fini(&yaml);
    }
}

static void a_retired_knob_is_read_and_never_offered(void **state)
{
    (void)state;
    struct all all, plain;
    struct text texts;
    text_init(&texts);
    assert_ok(fill("deep: {whole: 3}", &plain));
    assert_ok(fill("deep: {whole: 3, former: plain}", &all));
    assert_memory_equal(&all, &plain, sizeof all);
    schema_write(&schema, &all, &texts);
    schema_help(&schema, &texts);
    assert_null(strstr(text_get(&texts), "former"));
    text_fini(&texts);
    assert_refused(fill("deep: {former: other}", &all), ERR_CONFIG,
                   "own.yaml:1:16: key 'deep.former': 'other': the knob is retired, it was always "
                   "'plain'; leave it out");
    assert_refused(fill("deep: {forme: plain}", &all), ERR_CONFIG, "known here: whole, images, d");
    assert_refused(fill("former: plain", &all), ERR_CONFIG, "did you mean 'formats'?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_written_in_the_rows),
        cmocka_unit_test(numbers_take_their_units),
        cmocka_unit_test(yes_and_no_have_their_spellings),
        cmocka_unit_test(wrong_values_name_place_key_and_reason),
        cmocka_unit_test(unknown_keys_are_answered_with_the_nearest),
        cmocka_unit_test(errors_come_in_the_order_of_the_file),
        cmocka_unit_test(thousands_of_errors_end_with_a_count),
        cmocka_unit_test(the_dump_reads_back_to_the_same_struct),
        cmocka_unit_test(a_retired_knob_is_read_and_never_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
