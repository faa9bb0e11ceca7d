/* A table of texts for people: columns as wide as their widest cell. Where a line would not fit,
 * one column (long names) gets lines of its own. */
#ifndef CLUSTER_TABLE_H
#define CLUSTER_TABLE_H

#include "base/text.h"

#define TABLE_MAX_COLUMNS 10

struct table_column {
    const char *title;
    enum { TABLE_LEFT, TABLE_RIGHT } align;
};

struct table {
    const struct table_column *columns; /* (column_count) borrowed */
    int column_count;
    int apart;    /* the column that moves onto a line of its own: the first or the last */
    char **cells; /* (row_count, column_count) */
    int row_count, room;
};

void table_init(struct table *table, const struct table_column *columns, int column_count,
                int apart);
void table_fini(struct table *table);                          /* accepts a zeroed one */
void table_add(struct table *table, const char *const *cells); /* (column_count), copied */

/* Heading and rows, no line longer than `width` as far as moving one column does it; 0: any. */
void table_write(const struct table *table, int width, struct text *out);
/* The same on standard output, in the width of the terminal where it is one. */
void table_print(const struct table *table);

#endif
