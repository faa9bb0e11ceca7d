/* Documents become trees that know their places; what configuration does not need is refused. */
#include "base/mem.h"
#include "base/text.h"
#include "base/yaml/yaml.h"
#include "tests/spec/spec_test.h"
#include <stdio.h>
#include <string.h>

static enum err parse(const char *text, struct yaml **yaml)
{
    return yaml_parse("own.yaml", text, strlen(text), yaml);
}

static void check_place(const struct yaml_node *root, const char *path, int line, int column)
{
    const struct yaml_node *node = yaml_find(root, path);
    if (!node || node->line != line || node->column != column)
        fail_msg("%s is at %d:%d; expected %d:%d", path, node ? node->line : -1,
                 node ? node->column : -1, line, column);
    assert_string_equal(node->source, "own.yaml");
}

static void every_node_knows_its_line_and_column(void **state)
{
    (void)state;
    struct yaml *yaml = NULL;
    assert_ok(parse("# a comment\na: 1\nb:\n  c: {d: x, e: [1, 2]}\n  f:\n    - g: 7\n", &yaml));
    const struct yaml_node *root = yaml_root(yaml);
    check_place(root, "a", 2, 4);
    check_place(root, "b", 4, 3);
    check_place(root, "b.c", 4, 6);
    check_place(root, "b.c.d", 4, 10);
    check_place(root, "b.c.e", 4, 16);
    check_place(root, "b.f", 6, 5);
    const struct yaml_node *list = yaml_find(root, "b.c.e");
    assert_int_equal(list->kind, YAML_LIST);
    assert_int_equal(list->count, 2);
    assert_string_equal(list->items[1]->text, "2");
    assert_null(yaml_find(root, "b.x"));
    assert_ptr_equal(yaml_nearest(root, "b.x.y"), yaml_find(root, "b"));
    yaml_close(&yaml);
    assert_null(yaml);
}

static void quotes_make_text_and_empty_values_are_null(void **state)
{
    (void)state;
    struct yaml *yaml = NULL;
    assert_ok(parse("a: 'yes'\nb: yes\nc:\nd: ~\ne: ''\nf: |\n  two\n  lines\n", &yaml));
    const struct yaml_node *root = yaml_root(yaml);
    assert_true(yaml_find(root, "a")->is_quoted);
    assert_false(yaml_find(root, "b")->is_quoted);
    assert_true(yaml_is_null(yaml_find(root, "c")) && yaml_is_null(yaml_find(root, "d")));
    assert_false(yaml_is_null(yaml_find(root, "e")));
    assert_string_equal(yaml_find(root, "f")->text, "two\nlines\n");
    yaml_close(&yaml);
}

static void an_empty_file_is_an_empty_map(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "# nothing\n", "---\n", "---\n...\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct yaml *yaml = NULL;
        assert_ok(parse(texts[i], &yaml));
        assert_int_equal(yaml_root(yaml)->kind, YAML_MAP);
        assert_int_equal(yaml_root(yaml)->count, 0);
        yaml_close(&yaml);
    }
}

static void what_is_not_needed_or_not_yaml_is_refused_at_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"a: &x 1\nb: 2\n", "own.yaml:1:"},
        {"a: &x 1\nb: 2\n", "an anchor (&name) is not accepted"},
        {"a: 1\nb: *x\n", "own.yaml:2:5: an alias (*name) is not accepted"},
        {"a: !!int 3\n", "a tag (!name) is not accepted"},
        {"a: 1\n---\nb: 2\n", "own.yaml:2:1: one document a file"},
        {"? [a, b]\n: 1\n", "a key must be a single word"},
        {"a: [1, 2\n", "not valid YAML"},
        {"a: 'x\n", "not valid YAML"},
        {"a: 1\n b: 2\n", "not valid YAML"},
        {"a: \"\\q\"\n", "not valid YAML"},
        {"a: 1\n\xc3\xa9: x\xff\n", "own.yaml:2:5: byte 0xff is not UTF-8 text"},
        {"# \x04\n", "own.yaml:1:3: byte 0x04 is not UTF-8 text"}, /* the parser would hang */
        {"a: \xed\xa0\x80\n", "is not UTF-8 text"},                /* half a surrogate pair */
        {"a: \xc0\xaf\n", "is not UTF-8 text"},                    /* longer than needed */
        {"a: \xe2\x82", "is not UTF-8 text"},                      /* cut short */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct yaml *yaml = NULL;
        assert_refused(parse(rows[i].text, &yaml), ERR_CONFIG, rows[i].expected);
        assert_null(yaml);
    }
}

static void bombs_and_monsters_are_refused_quickly(void **state)
{
    (void)state;
    struct yaml *yaml = NULL;
    struct text text;
    text_init(&text);
    text_add(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"); /* a billion laughs */
    for (int i = 1; i < 12; i++)
        text_add(&text, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
                 i - 1, i - 1, i - 1, i - 1);
    assert_refused(parse(text_get(&text), &yaml), ERR_CONFIG, "anchor");
    text_fini(&text);
    text_add(&text, "a: ");
    for (int i = 0; i < 5000; i++)
        text_add(&text, "[");
    assert_refused(parse(text_get(&text), &yaml), ERR_CONFIG, "own.yaml");
    text_fini(&text);
    text_add(&text, "a: [");
    for (int i = 0; i < 70000; i++)
        text_add(&text, "1,");
    text_add(&text, "1]");
    assert_refused(parse(text_get(&text), &yaml), ERR_CONFIG, "too many values");
    text_fini(&text);
    char *large = mem_alloc(YAML_MAX_BYTES + 1);
    memset(large, '#', YAML_MAX_BYTES + 1);
    assert_refused(yaml_parse("own.yaml", large, YAML_MAX_BYTES + 1, &yaml), ERR_CONFIG, "larger");
    mem_free(large);
    assert_refused(yaml_parse("own.yaml", "a: \"x\0y\"", 8, &yaml), ERR_CONFIG, "own.yaml");
}

static void a_missing_file_is_said_so(void **state)
{
    (void)state;
    struct yaml *yaml = NULL;
    assert_refused(yaml_open("tests/data/none.yaml", &yaml), ERR_NOT_FOUND, "none.yaml");
}

static void values_can_be_set_from_outside(void **state)
{
    (void)state;
    struct yaml *yaml = NULL;
    assert_ok(parse("a: {b: 1}\nc:\n", &yaml));
    assert_ok(yaml_set(yaml, "a.b", "2"));
    assert_ok(yaml_set(yaml, "a.d.e", "[1, x]"));
    assert_ok(yaml_set(yaml, "c.f", ""));
    const struct yaml_node *root = yaml_root(yaml);
    assert_string_equal(yaml_find(root, "a.b")->text, "2");
    assert_string_equal(yaml_find(root, "a.b")->source, "--set a.b=2");
    assert_int_equal(yaml_find(root, "a.b")->line, 0);
    assert_string_equal(yaml_find(root, "a.d.e")->items[1]->text, "x");
    assert_true(yaml_is_null(yaml_find(root, "c.f")));
    assert_refused(yaml_set(yaml, "a.b.c", "1"), ERR_USAGE, "does not lead to a key");
    assert_refused(yaml_set(yaml, "a..c", "1"), ERR_USAGE, "does not lead to a key");
    assert_refused(yaml_set(yaml, "a.x", "{"), ERR_USAGE, "not valid YAML");
    yaml_close(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_knows_its_line_and_column),
        cmocka_unit_test(quotes_make_text_and_empty_values_are_null),
        cmocka_unit_test(an_empty_file_is_an_empty_map),
        cmocka_unit_test(what_is_not_needed_or_not_yaml_is_refused_at_its_place),
        cmocka_unit_test(bombs_and_monsters_are_refused_quickly),
        cmocka_unit_test(a_missing_file_is_said_so),
        cmocka_unit_test(values_can_be_set_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
