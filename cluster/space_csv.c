#include "cluster/space_csv.h"
#include "base/file.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES   (256 * 1024 * 1024)
#define MAX_COLUMNS 64

enum wanted { KERNEL, EXPAND, DEPTH, RESOLUTION, PARAMS, MACS, WANTED_COUNT };
static const char *const wanted_names[WANTED_COUNT] = {"kernel",     "expand", "depth",
                                                       "resolution", "params", "macs"};

struct field {
    char *text;      /* NUL-terminated inside the file's bytes, quotes stripped */
    int column;      /* of its first character, from 1 */
    int start, size; /* in its line, quotes included */
};

struct table { /* one file being read */
    const char *path;
    const struct space *space;
    int resolution;
    int line;
    int column_count;        /* of the header */
    int where[WANTED_COUNT]; /* column index, -1: not there */
};

static enum err refuse(const struct table *table, int column, const char *why)
{
    return err_set(ERR_DATA, "%s:%d:%d: %s", table->path, table->line, column, why);
}

/* Splits a line at its commas; fields may be quoted as a whole. */
static enum err split(const struct table *table, char *line, struct field *fields, int *count)
{
    *count = 0;
    for (char *at = line;;) {
        if (*count == MAX_COLUMNS)
            return refuse(table, (int)(at - line) + 1, "more than 64 columns");
        struct field *field = &fields[(*count)++];
        bool is_quoted = *at == '"';
        field->text = at + is_quoted;
        field->column = (int)(field->text - line) + 1;
        field->start = (int)(at - line);
        char *end = field->text + strcspn(field->text, is_quoted ? "\"" : ",");
        if (is_quoted && (*end != '"' || (end[1] && end[1] != ',')))
            return refuse(table, field->column, "a quote is not closed");
        char *comma = end + is_quoted;
        bool is_last = *comma == 0;
        field->size = (int)(comma - at);
        *end = 0;
        if (is_last)
            return ERR_OK;
        at = comma + 1;
    }
}

static enum err read_header(struct table *table, const struct field *fields, int count)
{
    table->column_count = count;
    for (int w = 0; w < WANTED_COUNT; w++) {
        table->where[w] = -1;
        for (int i = 0; i < count; i++) {
            if (strcmp(fields[i].text, wanted_names[w]) != 0)
                continue;
            if (table->where[w] >= 0)
                return refuse(table, fields[i].column, "this column is there twice");
            table->where[w] = i;
        }
        bool is_needed = w <= DEPTH || (w == RESOLUTION && table->resolution == 0);
        if (is_needed && table->where[w] < 0)
            return err_set(ERR_DATA,
                           "%s:%d:1: there is no column '%s'; kernel, expand, depth and resolution "
                           "are needed",
                           table->path, table->line, wanted_names[w]);
    }
    return ERR_OK;
}

/* One gene of a row ("3-5-7") into the sub-network, so that an error names its column. */
static enum err read_gene(const struct table *table, const struct field *field, enum wanted which,
                          struct subnet *subnet)
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
        err = err_prefix(ERR_DATA, "%s:%d:%d", table->path, table->line, field->column);
    return err;
}

static enum err read_subnet(const struct table *table, const struct field *fields,
                            struct subnet *subnet)
{
    enum err err = ERR_OK;
    long resolution = table->resolution;
    subnet_smallest(table->space, 0, subnet);
    for (enum wanted w = KERNEL; w <= DEPTH; w++)
        TRY(read_gene(table, &fields[table->where[w]], w, subnet));
    if (table->where[RESOLUTION] >= 0) {
        const struct field *field = &fields[table->where[RESOLUTION]];
        if (text_to_int(field->text, 1, 4096, &resolution) != ERR_OK)
            TRY(refuse(table, field->column, "a resolution is 1 to 4096 pixels"));
    }
    subnet->resolution = (int)resolution;
out:
    return err;
}

/* The row as it was, with the two counts in their columns or behind. */
static void write_row(const struct table *table, const char *line, const struct field *fields,
                      const struct cost *cost, struct text *csv)
{
    for (int i = 0; i < table->column_count; i++) {
        text_add(csv, "%s", i ? "," : "");
        if (i == table->where[PARAMS])
            text_add(csv, "%lld", (long long)cost->parameters);
        else if (i == table->where[MACS])
            text_add(csv, "%lld", (long long)cost->macs);
        else
            text_add_bytes(csv, line + fields[i].start, (size_t)fields[i].size);
    }
    if (table->where[PARAMS] < 0)
        text_add(csv, ",%lld", (long long)cost->parameters);
    if (table->where[MACS] < 0)
        text_add(csv, ",%lld", (long long)cost->macs);
    text_add(csv, "\n");
}

static enum err read_line(struct table *table, char *line, struct text *csv)
{
    enum err err = ERR_OK;
    struct field fields[MAX_COLUMNS];
    int count = 0;
    struct subnet subnet;
    char *kept = mem_string(line);
    TRY(split(table, line, fields, &count));
    if (table->line == 1) {
        TRY(read_header(table, fields, count));
        text_add(csv, "%s%s%s\n", kept, table->where[PARAMS] < 0 ? ",params" : "",
                 table->where[MACS] < 0 ? ",macs" : "");
        goto out;
    }
    if (count != table->column_count)
        TRY(err_set(ERR_DATA, "%s:%d:1: %d columns; the header has %d", table->path, table->line,
                    count, table->column_count));
    TRY(read_subnet(table, fields, &subnet));
    struct cost cost = cost_of(table->space, &subnet);
    write_row(table, kept, fields, &cost, csv);
out:
    mem_free(kept);
    return err;
}

enum err space_csv_count(const char *path, const struct space *space, int resolution,
                         struct text *csv)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size = 0;
    struct table table = {.path = path, .space = space, .resolution = resolution};
    TRY(file_read(path, MAX_BYTES, &bytes, &size));
    if (strlen(bytes) != size)
        TRY(err_set(ERR_DATA, "%s: a zero byte: this is not CSV", path));
    char *start =
        strncmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? bytes + 3 : bytes; /* a byte order mark */
    for (char *line = start, *next; *line; line = next) {
        char *end = line + strcspn(line, "\n");
        next = *end ? end + 1 : end;
        *end = 0;
        if (end > line && end[-1] == '\r')
            end[-1] = 0;
        table.line++;
        if (line[0] == 0 && table.line > 1) /* an empty last line */
            continue;
        TRY(read_line(&table, line, csv));
    }
    if (table.line == 0)
        TRY(err_set(ERR_DATA, "%s:1:1: empty; a header and rows are needed", path));
out:
    mem_free(bytes);
    return err;
}
