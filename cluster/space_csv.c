#include "cluster/space_csv.h"
#include "base/csv.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum wanted { KERNEL, EXPAND, DEPTH, RESOLUTION, PARAMS, MACS, WANTED_COUNT };
static const char *const wanted_names[WANTED_COUNT] = {"kernel",     "expand", "depth",
                                                       "resolution", "params", "macs"};

struct table { /* one file being read */
    struct csv csv;
    const struct space *space;
    int resolution;
    int where[WANTED_COUNT]; /* column index, -1: not there */
};

static enum err read_header(struct table *table)
{
    enum err err = ERR_OK;
    for (int w = 0; w < WANTED_COUNT; w++) {
        TRY(csv_find(&table->csv, wanted_names[w], &table->where[w]));
        bool is_needed = w <= DEPTH || (w == RESOLUTION && table->resolution == 0);
        if (is_needed && table->where[w] < 0)
            TRY(err_set(ERR_DATA,
                        "%s:%d:1: there is no column '%s'; kernel, expand, depth and resolution "
                        "are needed",
                        table->csv.path, table->csv.line, wanted_names[w]));
    }
out:
    return err;
}

/* One gene of a row ("3-5-7") into the sub-network, so that an error names its column. */
static enum err read_gene(const struct table *table, const struct csv_field *field,
                          enum wanted which, struct subnet *subnet)
{
    enum err err = ERR_OK;
    struct text text;
    struct subnet least, read;
    text_init(&text);
    subnet_smallest(table->space, 0, &least);
    for (char *at = field->text; *at; at++)
        *at = *at == '-' ? ',' : *at;
    if (field->text[strcspn(field->text, " \t=")])
        TRY(err_set(ERR_DATA, "'%.40s' is not a list such as 3-5-7", field->text));
    for (enum wanted w = KERNEL; w <= DEPTH; w++) {
        int smallest = w == KERNEL   ? least.kernel[0]
                       : w == EXPAND ? least.expansion[0]
                                     : choices_min(&table->space->depths);
        if (w == which)
            text_add(&text, "%c=%s ", "ked"[w], field -> text);
        else if (w != DEPTH || table->space->elastic_stage_count > 0)
            text_add(&text, "%c=%d ", "ked"[w], smallest);
    }
    TRY(subnet_parse(table->space, text_get(&text), &read));
    if (which == KERNEL)
        memcpy(subnet->kernel, read.kernel, sizeof read.kernel);
    else if (which == EXPAND)
        memcpy(subnet->expansion, read.expansion, sizeof read.expansion);
    else
        memcpy(subnet->depth, read.depth, sizeof read.depth);
out:
    text_fini(&text);
    if (err != ERR_OK)
        err = err_prefix(ERR_DATA, "%s:%d:%d", table->csv.path, table->csv.line, field->column);
    return err;
}

static enum err read_subnet(const struct table *table, struct subnet *subnet)
{
    enum err err = ERR_OK;
    const struct csv_field *fields = table->csv.fields;
    long resolution = table->resolution;
    subnet_smallest(table->space, 0, subnet);
    for (enum wanted w = KERNEL; w <= DEPTH; w++)
        TRY(read_gene(table, &fields[table->where[w]], w, subnet));
    if (table->where[RESOLUTION] >= 0) {
        const struct csv_field *field = &fields[table->where[RESOLUTION]];
        if (text_to_int(field->text, 1, 4096, &resolution) != ERR_OK)
            TRY(csv_refuse(&table->csv, field->column, "a resolution is 1 to 4096 pixels"));
    }
    subnet->resolution = (int)resolution;
out:
    return err;
}

/* The row as it was, with the two counts in their columns or behind. */
static void write_row(const struct table *table, const struct cost *cost, struct text *csv)
{
    const struct csv_field *fields = table->csv.fields;
    for (int i = 0; i < table->csv.columns; i++) {
        text_add(csv, "%s", i ? "," : "");
        if (i == table->where[PARAMS])
            text_add(csv, "%lld", (long long)cost->parameters);
        else if (i == table->where[MACS])
            text_add(csv, "%lld", (long long)cost->macs);
        else
            text_add_bytes(csv, text_get(&table->csv.raw) + fields[i].start, fields[i].size);
    }
    if (table->where[PARAMS] < 0)
        text_add(csv, ",%lld", (long long)cost->parameters);
    if (table->where[MACS] < 0)
        text_add(csv, ",%lld", (long long)cost->macs);
    text_add(csv, "\n");
}

static enum err read_row(struct table *table, struct text *csv)
{
    enum err err = ERR_OK;
    struct subnet subnet;
    if (table->csv.line == 1) {
        TRY(read_header(table));
        text_add(csv, "%s%s%s\n", text_get(&table->csv.raw),
                 table->where[PARAMS] < 0 ? ",params" : "", table->where[MACS] < 0 ? ",macs" : "");
        goto out;
    }
    TRY(read_subnet(table, &subnet));
    struct cost cost = cost_of(table->space, &subnet);
    write_row(table, &cost, csv);
out:
    return err;
}

enum err space_csv_count(const char *path, const struct space *space, int resolution,
                         struct text *csv)
{
    enum err err = ERR_OK;
    struct table table = {.space = space, .resolution = resolution};
    bool has_row = false;
    TRY(csv_open(path, &table.csv));
    do {
        TRY(csv_next(&table.csv, &has_row));
        if (has_row)
            TRY(read_row(&table, csv));
    } while (has_row);
    if (table.csv.line == 0)
        TRY(err_set(ERR_DATA, "%s:1:1: empty; a header and rows are needed", path));
out:
    csv_close(&table.csv);
    return err;
}
