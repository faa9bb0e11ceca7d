/* glowworm checkpoint diff: which tensors of two checkpoints differ, and by how much. Ends with 0
 * where every tensor is bit for bit the same in both, and with 1 where not, as diff(1). */
#include "base/mem.h"
#include "base/text.h"
#include "cluster/apart.h"
#include "cluster/checkpoint_view.h"
#include "cluster/command.h"
#include "cluster/table.h"
#include "trainer/checkpoint/compare.h"
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum order { ORDER_RELATIVE, ORDER_LARGEST, ORDER_CHANGED, ORDER_NAME, ORDERS };
static const char *const order_words[ORDERS] = {"relative", "largest", "changed", "name"};
static const char *const kind_words[] = {[DIFFERENCE_NONE] = "identical",
                                         [DIFFERENCE_VALUES] = "values",
                                         [DIFFERENCE_SHAPE] = "shape",
                                         [DIFFERENCE_ONLY_LEFT] = "only in A",
                                         [DIFFERENCE_ONLY_RIGHT] = "only in B"};

struct request {
    struct checkpoint_view left, right;
    enum order order;
    bool has_json;
};

static enum err read_order(const char *text, enum order *order)
{
    for (int i = 0; i < ORDERS; i++)
        if (strcmp(text, order_words[i]) == 0) {
            *order = (enum order)i;
            return ERR_OK;
        }
    return err_set(ERR_USAGE, "--sort %s: there are relative, largest, changed and name", text);
}

static enum err read_options(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"sort", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    optind = 0; /* from the start, whoever parsed before */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 's')
            TRY(read_order(optarg, &request->order));
        else if (option == 'j')
            request->has_json = true;
        else
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
    }
    if (argc - optind != 2)
        TRY(err_set(ERR_USAGE, "name two checkpoints, each PATH or PATH@NAME"));
    TRY(view_init(&request->left, argv[optind]));
    TRY(view_init(&request->right, argv[optind + 1]));
out:
    return err;
}

static const struct tensor *left_of(const struct comparison *comparison,
                                    const struct difference *difference)
{
    return difference->left < 0 ? NULL : &comparison->left.tensors[difference->left];
}

static const struct tensor *right_of(const struct comparison *comparison,
                                     const struct difference *difference)
{
    return difference->right < 0 ? NULL : &comparison->right.tensors[difference->right];
}

static const char *name_of(const struct comparison *comparison, const struct difference *difference)
{
    const struct tensor *left = left_of(comparison, difference);
    return left ? left->name : right_of(comparison, difference)->name;
}

struct line { /* one difference while they are sorted */
    const struct difference *difference;
    const char *name;
    double key; /* highest first */
};

/* What has no amount (a shape, one side only) comes first: it is the larger difference. */
static double key_of(const struct difference *difference, enum order order)
{
    if (difference->kind == DIFFERENCE_NONE)
        return -1;
    if (difference->kind != DIFFERENCE_VALUES)
        return INFINITY;
    return order == ORDER_RELATIVE  ? difference_relative(difference)
           : order == ORDER_LARGEST ? difference->largest
                                    : (double)difference->changed;
}

static int by_key(const void *left, const void *right)
{
    const struct line *l = left, *r = right;
    if (l->key != r->key)
        return l->key > r->key ? -1 : 1;
    return strcmp(l->name, r->name);
}

/* Returns owned. */
static struct line *sort_lines(const struct comparison *comparison, enum order order)
{
    size_t count = (size_t)comparison->count;
    struct line *lines = mem_array(count, sizeof *lines);
    for (size_t i = 0; i < count; i++) {
        const struct difference *difference = &comparison->differences[i];
        lines[i] = (struct line){.difference = difference,
                                 .name = name_of(comparison, difference),
                                 .key = order == ORDER_NAME ? 0 : key_of(difference, order)};
    }
    qsort(lines, count, sizeof *lines, by_key);
    return lines;
}

static int count_kind(const struct comparison *comparison, enum difference_kind kind)
{
    int count = 0;
    for (int i = 0; i < comparison->count; i++)
        count += comparison->differences[i].kind == kind;
    return count;
}

static json_t *difference_json(const struct comparison *comparison, const struct line *line)
{
    const struct difference *difference = line->difference;
    const struct tensor *left = left_of(comparison, difference);
    const struct tensor *right = right_of(comparison, difference);
    json_t *json =
        json_pack("{s:s, s:s}", "name", line->name, "differs", kind_words[difference->kind]);
    json_object_set_new(json, "shape", left ? view_shape_json(left) : json_null());
    json_object_set_new(json, "shape_b", right ? view_shape_json(right) : json_null());
    if (difference->kind != DIFFERENCE_VALUES)
        return json;
    json_object_set_new(json, "count", json_integer((json_int_t)left->count));
    json_object_set_new(json, "changed", json_integer((json_int_t)difference->changed));
    json_object_set_new(json, "nonfinite", json_integer((json_int_t)difference->nonfinite));
    json_object_set_new(json, "norm", view_real_json(difference->norm));
    json_object_set_new(json, "distance", view_real_json(difference->distance));
    json_object_set_new(json, "relative", view_real_json(difference_relative(difference)));
    json_object_set_new(json, "largest", view_real_json(difference->largest));
    return json;
}

static void print_as_json(const struct comparison *comparison, const struct line *lines)
{
    int same = count_kind(comparison, DIFFERENCE_NONE);
    json_t *tensors = json_array();
    struct text changes;
    text_init(&changes);
    view_changes(&comparison->left, &comparison->right, &changes);
    for (int i = 0; i < comparison->count; i++)
        if (lines[i].difference->kind != DIFFERENCE_NONE)
            json_array_append_new(tensors, difference_json(comparison, &lines[i]));
    view_print_json(
        json_pack("{s:o, s:o, s:b, s:i, s:o, s:o}", "a",
                  view_position_json(&comparison->left.position, &comparison->left.content), "b",
                  view_position_json(&comparison->right.position, &comparison->right.content),
                  "identical", (int)(same == comparison->count), "identical_tensors", same,
                  "changes", view_lines_json(text_get(&changes)), "tensors", tensors));
    text_fini(&changes);
}

static void add_row(const struct comparison *comparison, const struct line *line,
                    struct table *table)
{
    const struct difference *difference = line->difference;
    const struct tensor *left = left_of(comparison, difference);
    const struct tensor *right = right_of(comparison, difference);
    char shape[200], other[96], changed[32] = "", relative[32] = "", largest[32] = "",
                                not [32] = "";
    view_shape_text(left ? left : right, shape);
    if (difference->kind == DIFFERENCE_SHAPE) {
        view_shape_text(right, other);
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), " / %s", other);
    }
    if (difference->kind == DIFFERENCE_VALUES) {
        snprintf(changed, sizeof changed, "%llu", (unsigned long long)difference->changed);
        snprintf(relative, sizeof relative, "%.3g", difference_relative(difference));
        snprintf(largest, sizeof largest, "%.3g", difference->largest);
        snprintf(not, sizeof not, "%llu", (unsigned long long)difference->nonfinite);
    }
    const char *cells[] = {
        line->name, kind_words[difference->kind], shape, changed, relative, largest, not };
    table_add(table, cells);
}

static void print_table(const struct comparison *comparison, const struct line *lines)
{
    static const struct table_column columns[] = {
        {"name", TABLE_LEFT},     {"differs", TABLE_LEFT},   {"shape", TABLE_LEFT},
        {"changed", TABLE_RIGHT}, {"relative", TABLE_RIGHT}, {"largest", TABLE_RIGHT},
        {"nan, inf", TABLE_RIGHT}};
    struct table table;
    table_init(&table, columns, sizeof columns / sizeof *columns, 0);
    for (int i = 0; i < comparison->count; i++)
        if (lines[i].difference->kind != DIFFERENCE_NONE)
            add_row(comparison, &lines[i], &table);
    printf("\n");
    if (table.row_count > 0)
        table_print(&table);
    table_fini(&table);
}

static void print_side(const char *letter, const struct checkpoint_view *view,
                       const struct checkpoint *checkpoint)
{
    char hex[HASH_HEX_BYTES], position[128];
    hash_hex(&checkpoint->content, hex);
    view_position_text(&checkpoint->position, position);
    printf("%s  %.*s  %s  (%s)\n", letter, VIEW_HASH_DIGITS, hex, position, view->reference);
}

static void print_as_text(const struct request *request, const struct comparison *comparison,
                          const struct line *lines)
{
    int same = count_kind(comparison, DIFFERENCE_NONE);
    struct text changes;
    text_init(&changes);
    print_side("A", &request->left, &comparison->left);
    print_side("B", &request->right, &comparison->right);
    view_changes(&comparison->left, &comparison->right, &changes);
    fputs(text_get(&changes), stdout);
    text_fini(&changes);
    if (same < comparison->count)
        print_table(comparison, lines);
    if (same == comparison->count)
        printf("identical: %d tensors, bit for bit\n", same);
    else
        printf("\n%d identical, %d of other values, %d of another shape, %d only in A, %d only in "
               "B\n",
               same, count_kind(comparison, DIFFERENCE_VALUES),
               count_kind(comparison, DIFFERENCE_SHAPE),
               count_kind(comparison, DIFFERENCE_ONLY_LEFT),
               count_kind(comparison, DIFFERENCE_ONLY_RIGHT));
}

/* A process opens a store once: both may lie in the same one, however it was spelt. */
static bool is_same_store(const char *left, const char *right)
{
    struct stat l, r;
    return stat(left, &l) == 0 && stat(right, &r) == 0 && l.st_dev == r.st_dev &&
           l.st_ino == r.st_ino;
}

static enum err compare(void *own)
{
    enum err err = ERR_OK;
    const struct request *request = own;
    struct checkpoint_store *left = NULL, *other = NULL;
    struct comparison comparison = {0};
    struct line *lines = NULL;
    TRY(view_open(&request->left, &left));
    if (!is_same_store(request->left.path, request->right.path))
        TRY(view_open(&request->right, &other));
    TRY(checkpoint_compare(left, request->left.name, other ? other : left, request->right.name,
                           &comparison));
    lines = sort_lines(&comparison, request->order);
    if (request->has_json)
        print_as_json(&comparison, lines);
    else
        print_as_text(request, &comparison, lines);
    int differing = comparison.count - count_kind(&comparison, DIFFERENCE_NONE);
    if (differing > 0)
        TRY(err_set(ERR_FAILED, "%d of %d tensors differ", differing, comparison.count));
out:
    mem_free(lines);
    comparison_fini(&comparison);
    checkpoint_store_close(&other);
    checkpoint_store_close(&left);
    return err;
}

enum err cmd_checkpoint_diff(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request = {0};
    struct text both;
    text_init(&both);
    TRY(read_options(argc, argv, &request));
    text_add(&both, "%s or %s", request.left.path, request.right.path);
    TRY(apart(compare, &request, text_get(&both)));
out:
    text_fini(&both);
    view_fini(&request.left);
    view_fini(&request.right);
    return err;
}
