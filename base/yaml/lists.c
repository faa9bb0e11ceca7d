/* The list types of a schema: sets of integers, sets of words, texts, rows. */
#include "base/mem.h"
#include "base/yaml/schema_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *walk_kind(const struct yaml_node *node)
{
    if (yaml_is_null(node))
        return "has no value";
    return node->kind == YAML_LIST  ? "is a list"
           : node->kind == YAML_MAP ? "is a map"
                                    : "is a word";
}

static int compare_ints(const void *left, const void *right)
{
    int a = *(const int *)left, b = *(const int *)right;
    return (a > b) - (a < b);
}

/* "128..224 step 4" (step 1 when left out) into values. NULL, or the reason. */
static const char *parse_span(const struct knob *knob, const char *text, int *values, int *count)
{
    int first = 0, last = 0, step = 1, used = 0;
    if (sscanf(text, "%d..%d%n", &first, &last, &used) < 2)
        return "not a range such as 128..224 step 4";
    if (text[used]) {
        int more = 0;
        if (sscanf(text + used, " step %d%n", &step, &more) < 1 || text[used + more])
            return "not a range such as 128..224 step 4";
    }
    if (step < 1 || last < first)
        return "a range goes upwards: 128..224 step 4";
    for (long v = first; v <= last; v += step) {
        if (*count >= (int)knob->room)
            return "too many values";
        char digits[24];
        snprintf(digits, sizeof digits, "%ld", v);
        const char *why = knob_parse(knob, digits, false, &values[*count]);
        if (why)
            return why;
        (*count)++;
    }
    return NULL;
}

static const char *parse_int_item(const struct knob *knob, const struct yaml_node *item,
                                  int *values, int *count)
{
    if (item->kind != YAML_SCALAR)
        return "expected a number";
    if (strstr(item->text, ".."))
        return parse_span(knob, item->text, values, count);
    if (*count >= (int)knob->room)
        return "too many values";
    const char *why = knob_parse(knob, item->text, item->is_quoted, &values[*count]);
    *count += !why;
    return why;
}

/* A set of integers: a list, or one number or range alone. */
void walk_ints(const struct walk *walk, const struct knob *knob, const char *path,
               const struct yaml_node *node)
{
    int *values = mem_array(knob->room, sizeof *values), count = 0;
    bool is_bad = node->kind == YAML_MAP || yaml_is_null(node);
    if (is_bad)
        yaml_complain(walk->errors, node, path, "%s; expected a list of numbers", walk_kind(node));
    int items = node->kind == YAML_LIST ? node->count : 1;
    for (int i = 0; i < items && !is_bad; i++) {
        const struct yaml_node *item = node->kind == YAML_LIST ? node->items[i] : node;
        const char *why = parse_int_item(knob, item, values, &count);
        if (why)
            yaml_complain(walk->errors, item, path, "%s", why);
        is_bad = why != NULL;
    }
    qsort(values, (size_t)count, sizeof *values, compare_ints);
    for (int i = 1; i < count && !is_bad; i++) {
        is_bad = values[i] == values[i - 1];
        if (is_bad)
            yaml_complain(walk->errors, node, path, "%d is listed twice", values[i]);
    }
    if (!is_bad) {
        memcpy(walk->into + knob->offset, values, (size_t)count * sizeof *values);
        memcpy(walk->into + knob->count_offset, &count, sizeof count);
    }
    mem_free(values);
}

void walk_words(const struct walk *walk, const struct knob *knob, const char *path,
                const struct yaml_node *node)
{
    bool wanted[32] = {false};
    if (knob->room > sizeof wanted / sizeof *wanted)
        BUG("knob '%s' has too many words", knob->path);
    if (node->kind != YAML_LIST) {
        yaml_complain(walk->errors, node, path, "%s; expected a list of words in brackets",
                      walk_kind(node));
        return;
    }
    for (int i = 0; i < node->count; i++) {
        const struct yaml_node *item = node->items[i];
        const char *why = item->kind == YAML_SCALAR
                              ? knob_parse(knob, item->text, item->is_quoted, wanted)
                              : "expected a word";
        if (why)
            yaml_complain(walk->errors, item, path, "%s", why);
    }
    memcpy(walk->into + knob->offset, wanted, knob->room);
}

/* Texts in their order. One alone is no list: where words are arguments, that is a mistake. */
void walk_texts(const struct walk *walk, const struct knob *knob, const char *path,
                const struct yaml_node *node)
{
    const struct knob one = {.path = knob->path, .type = KNOB_TEXT, .room = knob->item_bytes};
    int count = 0;
    if (node->kind != YAML_LIST) {
        yaml_complain(walk->errors, node, path, "%s; expected a list of texts in brackets",
                      walk_kind(node));
        return;
    }
    if (node->count > (int)knob->room)
        yaml_complain(walk->errors, node, path, "%d texts; at most %zu are possible", node->count,
                      knob->room);
    for (int i = 0; i < node->count && i < (int)knob->room; i++) {
        const struct yaml_node *item = node->items[i];
        char *into = walk->into + knob->offset + (size_t)i * knob->item_bytes;
        const char *why = item->kind != YAML_SCALAR || yaml_is_null(item)
                              ? "expected a text"
                              : knob_parse(&one, item->text, item->is_quoted, into);
        if (why)
            yaml_complain(walk->errors, item, path, "%s", why);
        count++;
    }
    memcpy(walk->into + knob->count_offset, &count, sizeof count);
}

/* The name of a row comes from its key. */
static void fill_name(const struct walk *walk, const char *path, const struct yaml_node *node,
                      int i, char *row)
{
    const struct knob name = {.path = "name", .type = KNOB_TEXT, .room = 32};
    const char *why = knob_parse(&name, node->keys[i]->text, true, row);
    if (why)
        yaml_complain(walk->errors, node->keys[i], path, "the name of a row is %s", why);
    for (int j = 0; j < i; j++)
        if (strcmp(node->keys[j]->text, node->keys[i]->text) == 0)
            yaml_complain(walk->errors, node->keys[i], path, "'%.40s' is there twice",
                          node->keys[i]->text);
}

/* A list of maps, or a map of maps whose keys become the rows' names. */
void walk_rows(const struct walk *walk, const struct knob *knob, const char *path,
               const struct yaml_node *node)
{
    bool is_named = knob->type == KNOB_NAMED;
    if (node->kind != (is_named ? YAML_MAP : YAML_LIST)) {
        yaml_complain(walk->errors, node, path, "%s; expected %s", walk_kind(node),
                      is_named ? "a map of rows: {name: {...}}" : "a list of maps");
        return;
    }
    if (node->count > (int)knob->room)
        yaml_complain(walk->errors, node, path, "%d rows; at most %zu are possible", node->count,
                      knob->room);
    int count = node->count < (int)knob->room ? node->count : (int)knob->room;
    for (int i = 0; i < count; i++) {
        char *row = walk->into + knob->offset + (size_t)i * knob->rows->size;
        char shown[PATH_BYTES];
        memset(row, 0, knob->rows->size);
        if (is_named)
            snprintf(shown, sizeof shown, "%.120s.%.40s.", path, node->keys[i]->text);
        else
            snprintf(shown, sizeof shown, "%.120s[%d].", path, i);
        struct walk inner = {knob->rows, walk->errors, row, shown, NULL};
        if (is_named)
            fill_name(walk, path, node, i, row);
        if (!walk_fill(&inner, node->items[i]))
            yaml_complain(walk->errors, node->items[i], path, "a row %s; expected a map",
                          walk_kind(node->items[i]));
    }
    memcpy(walk->into + knob->count_offset, &count, sizeof count);
}
