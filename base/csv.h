/* Tables as CSV (RFC 4180): fields are separated by commas and may be quoted, a quote inside is
 * doubled, a quoted field may hold commas and line ends; lines end with LF or CRLF; a byte order
 * mark is passed over, and so are empty lines behind the first. Rows come one by one, the header is
 * the first. One thread at a time. */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include "base/err.h"
#include "base/text.h"
#include <stdbool.h>

#define CSV_MAX_COLUMNS 64

struct csv_field {
    char *text; /* NUL-terminated, without its quotes; ours to write in until the next row */
    int column; /* of its first character, from 1, counted from where the row begins */
    size_t start, size; /* in csv.raw, quotes included */
};

struct csv {
    const char *path;   /* borrowed */
    int line;           /* where the row begins, from 1; 0: none was read */
    int count, columns; /* of this row; of the header, which every row has */
    struct csv_field fields[CSV_MAX_COLUMNS];
    struct text raw; /* the row as it stands in the file, without the line end */
    char *bytes, *next;
    int next_line;
};

/* ERR_NOT_FOUND, ERR_IO; ERR_DATA: more than 256 MiB, a zero byte. */
MUST_CHECK enum err csv_open(const char *path, struct csv *csv);
void csv_close(struct csv *csv); /* accepts one that was not opened (zeroed) */

/* The next row; its fields are borrowed until the one after. *has_row false: the file has ended.
 * ERR_DATA: a quote out of place, other columns than the header's, more than 64; with file, line
 * and column. */
MUST_CHECK enum err csv_next(struct csv *csv, bool *has_row);

/* The field's number of that name in the row that was read, the header; -1: there is none. ERR_DATA
 * where it is there twice. */
MUST_CHECK enum err csv_find(const struct csv *csv, const char *name, int *where);

/* ERR_DATA with "file:line:column: " of the row in front. */
enum err csv_refuse(const struct csv *csv, int column, const char *why);

#endif
