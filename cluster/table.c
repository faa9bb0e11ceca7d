#include "cluster/table.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP            2
#define INDENT         4   /* of what stands below its name */
#define TERMINAL_WIDTH 100 /* of one that does not say */

void table_init(struct table *table, const struct table_column *columns, int column_count,
                int apart)
{
    if (column_count > TABLE_MAX_COLUMNS)
        BUG("a table of %d columns", column_count);
    *table = (struct table){.columns = columns, .column_count = column_count, .apart = apart};
}

void table_fini(struct table *table)
{
    for (int i = 0; i < table->row_count * table->column_count; i++)
        mem_free(table->cells[i]);
    mem_free(table->cells);
    *table = (struct table){0};
}

void table_add(struct table *table, const char *const *cells)
{
    size_t row = (size_t)table->column_count * sizeof *table->cells;
    if (table->row_count == table->room) {
        int room = table->room ? 2 * table->room : 32;
        table->cells = mem_grow(table->cells, (size_t)table->room * row, (size_t)room * row);
        table->room = room;
    }
    for (int c = 0; c < table->column_count; c++)
        table->cells[table->row_count * table->column_count + c] = mem_string(cells[c]);
    table->row_count++;
}

/* Row -1 is the heading. */
static const char *cell_of(const struct table *table, int row, int column)
{
    return row < 0 ? table->columns[column].title
                   : table->cells[row * table->column_count + column];
}

struct frame { /* how the rows are laid out */
    int widths[TABLE_MAX_COLUMNS];
    bool is_split;
};

static void end_line(struct text *out)
{
    while (out->size > 0 && out->bytes[out->size - 1] == ' ') /* of empty cells */
        out->bytes[--out->size] = '\0';
    text_add(out, "\n");
}

/* Cells with their gaps; nothing behind the last one of a line. */
static void write_row(const struct table *table, const struct frame *frame, int row,
                      struct text *out)
{
    int last = table->column_count - 1;
    for (int c = 0; c <= last; c++) {
        const char *cell = cell_of(table, row, c);
        bool is_alone = frame->is_split && c == table->apart;
        bool ends_line = c == last || is_alone || (frame->is_split && c + 1 == table->apart);
        int width = frame->widths[c];
        if (is_alone && c > 0 && !cell[0])
            continue;
        if (is_alone && c > 0)
            text_add(out, "%*s", INDENT, "");
        if (table->columns[c].align == TABLE_RIGHT && !is_alone)
            text_add(out, "%*s", width, cell);
        else
            text_add(out, "%-*s", ends_line ? 0 : width, cell);
        if (!ends_line)
            text_add(out, "%*s", GAP, "");
        else
            end_line(out);
        if (is_alone && c == 0)
            text_add(out, "%*s", INDENT, "");
    }
}

void table_write(const struct table *table, int width, struct text *out)
{
    struct frame frame = {0};
    int total = GAP * (table->column_count - 1);
    for (int c = 0; c < table->column_count; c++) {
        for (int row = -1; row < table->row_count; row++) {
            int size = (int)strlen(cell_of(table, row, c));
            frame.widths[c] = size > frame.widths[c] ? size : frame.widths[c];
        }
        total += frame.widths[c];
    }
    frame.is_split = width > 0 && total > width;
    for (int row = -1; row < table->row_count; row++)
        write_row(table, &frame, row, out);
}

void table_print(const struct table *table)
{
    struct winsize size = {0};
    struct text text;
    int width = 0;
    if (isatty(STDOUT_FILENO))
        width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                                : TERMINAL_WIDTH;
    text_init(&text);
    table_write(table, width, &text);
    fputs(text_get(&text), stdout);
    text_fini(&text);
}
