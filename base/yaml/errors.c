/* The list of everything that is wrong with a file, in the order of the file. */
#include "base/mem.h"
#include "base/yaml/schema.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_BYTES 7168 /* of one err_set() text; what does not fit is counted */

struct complaint {
    int line, column, order;
    char *sentence;
};

struct yaml_errors {
    int count, room;
    struct complaint *complaints;
};

struct yaml_errors *yaml_errors_create(void)
{
    return mem_alloc(sizeof(struct yaml_errors));
}

void yaml_errors_destroy(struct yaml_errors *errors)
{
    if (!errors)
        return;
    for (int i = 0; i < errors->count; i++)
        mem_free(errors->complaints[i].sentence);
    mem_free(errors->complaints);
    mem_free(errors);
}

int yaml_errors_count(const struct yaml_errors *errors)
{
    return errors->count;
}

/* Takes the sentence. line: INT_MAX sorts it behind everything with a position. */
static void add_complaint(struct yaml_errors *errors, int line, int column, char *sentence)
{
    if (errors->count == errors->room) {
        int room = errors->room ? 2 * errors->room : 16;
        size_t item = sizeof *errors->complaints;
        errors->complaints =
            mem_grow(errors->complaints, (size_t)errors->room * item, (size_t)room * item);
        errors->room = room;
    }
    errors->complaints[errors->count] = (struct complaint){line, column, errors->count, sentence};
    errors->count++;
}

void yaml_complain_text(struct yaml_errors *errors, const char *lines)
{
    add_complaint(errors, INT_MAX, 0, mem_string(lines));
}

void yaml_complain(struct yaml_errors *errors, const struct yaml_node *where, const char *path,
                   const char *format, ...)
{
    char why[512];
    struct text sentence;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    text_init(&sentence);
    if (where->line > 0)
        text_add(&sentence, "%s:%d:%d: ", where->source, where->line, where->column);
    else
        text_add(&sentence, "%s: ", where->source);
    if (path)
        text_add(&sentence, "key '%s': ", path);
    text_add(&sentence, "%s", why);
    add_complaint(errors, where->line, where->column, mem_string(text_get(&sentence)));
    text_fini(&sentence);
}

static int compare(const void *left, const void *right)
{
    const struct complaint *a = left, *b = right;
    int by_line = (a->line > b->line) - (a->line < b->line);
    int by_column = (a->column > b->column) - (a->column < b->column);
    return by_line ? by_line : by_column ? by_column : a->order - b->order;
}

enum err yaml_errors_end(const struct yaml_errors *errors)
{
    if (errors->count == 0)
        return ERR_OK;
    struct text all;
    size_t count = (size_t)errors->count;
    struct complaint *sorted = mem_array(count, sizeof *sorted);
    memcpy(sorted, errors->complaints, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    text_init(&all);
    for (size_t i = 0; i < count; i++) {
        if (all.size + strlen(sorted[i].sentence) > SHOWN_BYTES) {
            text_add(&all, "\n... and %zu more", count - i);
            break;
        }
        text_add(&all, "%s%s", i ? "\n" : "", sorted[i].sentence);
    }
    enum err err = err_set(ERR_CONFIG, "%s", text_get(&all));
    text_fini(&all);
    mem_free(sorted);
    return err;
}
