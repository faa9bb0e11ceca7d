#include "base/csv.h"
#include "base/file.h"
#include "base/mem.h"
#include <string.h>

#define MAX_BYTES ((size_t)256 << 20)

enum err csv_open(const char *path, struct csv *csv)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size = 0;
    TRY(file_read(path, MAX_BYTES, &bytes, &size));
    if (strlen(bytes) != size)
        TRY(err_set(ERR_DATA, "%s: a zero byte: this is not CSV", path));
    *csv = (struct csv){.path = path, .bytes = bytes, .next = bytes, .next_line = 1};
    text_init(&csv->raw);
    if (strncmp(bytes, "\xEF\xBB\xBF", 3) == 0)
        csv->next += 3;
    bytes = NULL;
out:
    mem_free(bytes);
    return err;
}

void csv_close(struct csv *csv)
{
    text_fini(&csv->raw);
    mem_free(csv->bytes);
    memset(csv, 0, sizeof *csv);
}

enum err csv_refuse(const struct csv *csv, int column, const char *why)
{
    return err_set(ERR_DATA, "%s:%d:%d: %s", csv->path, csv->line, column, why);
}

/* The line end behind the row, or the end of the file. Quotes come in pairs: between two of a pair
 * a line end belongs to the field. */
static char *find_end(char *row, int *lines)
{
    bool is_quoted = false;
    char *at = row;
    for (; *at && (is_quoted || *at != '\n'); at++) {
        is_quoted ^= *at == '"';
        *lines += *at == '\n';
    }
    return at;
}

/* Drops the quotes of the field that begins at *at, which moves to what is behind the last one. */
static bool unquote(char **at)
{
    char *from = *at + 1, *to = from;
    for (; *from && (*from != '"' || from[1] == '"'); from++) {
        from += *from == '"'; /* the second of the two is the one that stays */
        *to++ = *from;
    }
    if (*from != '"' || (from[1] && from[1] != ','))
        return false;
    *to = '\0';
    *at = from + 1;
    return true;
}

static enum err take_field(struct csv *csv, char *row, char **at)
{
    if (csv->count == CSV_MAX_COLUMNS)
        return csv_refuse(csv, (int)(*at - row) + 1, "more than 64 columns");
    struct csv_field *field = &csv->fields[csv->count++];
    bool is_quoted = **at == '"';
    field->text = *at + is_quoted;
    field->column = (int)(field->text - row) + 1;
    field->start = (size_t)(*at - row);
    if (is_quoted && !unquote(at))
        return csv_refuse(csv, field->column, "a quote is not closed, or one inside not doubled");
    if (!is_quoted)
        *at += strcspn(*at, ",\"");
    if (**at == '"')
        return csv_refuse(csv, (int)(*at - row) + 1, "a quote inside a field that is not quoted");
    field->size = (size_t)(*at - row) - field->start;
    return ERR_OK;
}

static enum err split(struct csv *csv, char *row)
{
    enum err err = ERR_OK;
    char *at = row;
    csv->count = 0;
    for (bool is_last = false; !is_last;) {
        TRY(take_field(csv, row, &at));
        is_last = *at == '\0';
        *at++ = '\0'; /* the comma */
    }
out:
    return err;
}

static enum err take_row(struct csv *csv, char *row)
{
    enum err err = ERR_OK;
    TRY(split(csv, row));
    if (csv->columns == 0)
        csv->columns = csv->count;
    if (csv->count != csv->columns)
        TRY(err_set(ERR_DATA, "%s:%d:1: %d columns; the header has %d", csv->path, csv->line,
                    csv->count, csv->columns));
out:
    return err;
}

enum err csv_next(struct csv *csv, bool *has_row)
{
    *has_row = false;
    while (*csv->next) {
        char *row = csv->next, *end;
        csv->line = csv->next_line++;
        end = find_end(row, &csv->next_line);
        csv->next = *end ? end + 1 : end;
        end -= end > row && end[-1] == '\r';
        *end = '\0';
        if (end == row && csv->line > 1)
            continue;
        csv->raw.size = 0;
        text_add_bytes(&csv->raw, row, (size_t)(end - row));
        *has_row = true;
        return take_row(csv, row);
    }
    return ERR_OK;
}

enum err csv_find(const struct csv *csv, const char *name, int *where)
{
    *where = -1;
    for (int i = 0; i < csv->count; i++) {
        if (strcmp(csv->fields[i].text, name) != 0)
            continue;
        if (*where >= 0)
            return csv_refuse(csv, csv->fields[i].column, "this column is there twice");
        *where = i;
    }
    return ERR_OK;
}
