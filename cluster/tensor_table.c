#include "cluster/tensor_table.h"
#include "base/mem.h"
#include "cluster/checkpoint_view.h"
#include "cluster/table.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE "f32" /* the only one there is */

enum err tensor_order_parse(const char *text, enum tensor_order *order)
{
    static const char *const words[] = {"",     "name",      "min", "size", "max",
                                        "mean", "deviation", "nan", "inf"};
    for (int i = TENSOR_ORDER_NAME; i <= TENSOR_ORDER_INF; i++)
        if (strcmp(text, words[i]) == 0) {
            *order = (enum tensor_order)i;
            return ERR_OK;
        }
    return err_set(ERR_USAGE,
                   "--sort %s: there are name, size, min, max, mean, deviation, nan and inf", text);
}

struct line { /* one tensor while they are sorted */
    int tensor;
    const char *name;
    double key; /* lowest first; NaN last */
};

static double key_of(const struct tensor_table *table, int i)
{
    const struct statistics *of = &table->statistics[i];
    switch (table->order) {
    case TENSOR_ORDER_MIN:
        return of->minimum;
    case TENSOR_ORDER_SIZE:
        return -(double)of->count;
    case TENSOR_ORDER_MAX:
        return -of->maximum;
    case TENSOR_ORDER_MEAN:
        return -of->mean;
    case TENSOR_ORDER_DEVIATION:
        return -of->deviation;
    case TENSOR_ORDER_NAN:
        return -(double)of->nan;
    case TENSOR_ORDER_INF:
        return -(double)of->infinite;
    case TENSOR_ORDER_STORED:
    case TENSOR_ORDER_NAME:
        break;
    }
    return 0;
}

/* By key, then as stored. */
static int by_key(const void *left, const void *right)
{
    const struct line *l = left, *r = right;
    if (isnan(l->key) || isnan(r->key)) {
        if (!isnan(l->key) || !isnan(r->key))
            return isnan(l->key) ? 1 : -1;
    } else if (l->key != r->key) {
        return l->key < r->key ? -1 : 1;
    }
    return l->tensor - r->tensor;
}

static int by_name(const void *left, const void *right)
{
    const struct line *l = left, *r = right;
    return strcmp(l->name, r->name);
}

/* Returns owned. */
static struct line *sort_lines(const struct tensor_table *table)
{
    size_t count = (size_t)table->checkpoint->tensor_count;
    struct line *lines = mem_array(count, sizeof *lines);
    for (size_t i = 0; i < count; i++)
        lines[i] = (struct line){.tensor = (int)i,
                                 .name = table->checkpoint->tensors[i].name,
                                 .key = table->statistics ? key_of(table, (int)i) : 0};
    qsort(lines, count, sizeof *lines, table->order == TENSOR_ORDER_NAME ? by_name : by_key);
    return lines;
}

static void number_text(double value, char text[32])
{
    snprintf(text, 32, isnan(value) ? "-" : "%.4g", value);
}

static void add_row(const struct tensor *tensor, const struct statistics *of, struct table *table)
{
    char shape[96], numbers[4][32], nan[32], infinite[32];
    const double values[] = {of->minimum, of->maximum, of->mean, of->deviation};
    view_shape_text(tensor, shape);
    for (int i = 0; i < 4; i++)
        number_text(values[i], numbers[i]);
    snprintf(nan, sizeof nan, "%llu", (unsigned long long)of->nan);
    snprintf(infinite, sizeof infinite, "%llu", (unsigned long long)of->infinite);
    const char *cells[] = {tensor->name, shape,      TYPE, numbers[0], numbers[1],
                           numbers[2],   numbers[3], nan,  infinite};
    table_add(table, cells);
}

void tensor_table_print(const struct tensor_table *table)
{
    static const struct table_column columns[] = {
        {"name", TABLE_LEFT},       {"shape", TABLE_LEFT}, {"type", TABLE_LEFT},
        {"min", TABLE_RIGHT},       {"max", TABLE_RIGHT},  {"mean", TABLE_RIGHT},
        {"deviation", TABLE_RIGHT}, {"nan", TABLE_RIGHT},  {"inf", TABLE_RIGHT}};
    struct table rows;
    struct line *lines = sort_lines(table);
    table_init(&rows, columns, sizeof columns / sizeof *columns, 0);
    for (int i = 0; i < table->checkpoint->tensor_count; i++)
        add_row(&table->checkpoint->tensors[lines[i].tensor], &table->statistics[lines[i].tensor],
                &rows);
    printf("\n");
    table_print(&rows);
    table_fini(&rows);
    mem_free(lines);
}

static void set_statistics(const struct statistics *of, json_t *json)
{
    json_object_set_new(json, "type", json_string(TYPE));
    json_object_set_new(json, "count", json_integer((json_int_t)of->count));
    json_object_set_new(json, "min", view_real_json(of->minimum));
    json_object_set_new(json, "max", view_real_json(of->maximum));
    json_object_set_new(json, "mean", view_real_json(of->mean));
    json_object_set_new(json, "deviation", view_real_json(of->deviation));
    json_object_set_new(json, "nan", json_integer((json_int_t)of->nan));
    json_object_set_new(json, "inf", json_integer((json_int_t)of->infinite));
}

json_t *tensor_table_json(const struct tensor_table *table)
{
    json_t *array = json_array();
    struct line *lines = sort_lines(table);
    for (int i = 0; i < table->checkpoint->tensor_count; i++) {
        const struct tensor *tensor = &table->checkpoint->tensors[lines[i].tensor];
        json_t *json =
            json_pack("{s:s, s:o}", "name", tensor->name, "shape", view_shape_json(tensor));
        if (table->statistics)
            set_statistics(&table->statistics[lines[i].tensor], json);
        json_array_append_new(array, json);
    }
    mem_free(lines);
    return array;
}
