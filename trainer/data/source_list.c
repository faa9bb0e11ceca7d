/* A list of image files: rows are read whole before anything is made of them, since the labels of
 * all training images say what the classes are. */
#include "base/csv.h"
#include "base/file.h"
#include "base/mem.h"
#include "trainer/data/source.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_PATH_BYTES 4095 /* what the system opens, too */

struct listed { /* a row */
    char *path, *label;
    bool is_test;
    int line;
};

struct list {
    struct csv csv;
    int path, label, split; /* columns; split -1: there is none */
    struct listed *rows;
    size_t count, room;
};

static void list_fini(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        mem_free(list->rows[i].path);
        mem_free(list->rows[i].label);
    }
    mem_free(list->rows);
    csv_close(&list->csv);
}

static enum err read_header(struct list *list)
{
    enum err err = ERR_OK;
    TRY(csv_find(&list->csv, "path", &list->path));
    TRY(csv_find(&list->csv, "label", &list->label));
    TRY(csv_find(&list->csv, "split", &list->split));
    if (list->csv.count == 1 && strpbrk(list->csv.fields[0].text, ";\t"))
        TRY(csv_refuse(&list->csv, 1,
                       "columns are separated by commas here, not by semicolons or tabs: save the "
                       "list with commas"));
    if (list->path < 0 || list->label < 0)
        TRY(csv_refuse(&list->csv, 1,
                       "a list of images begins with the names of its columns: path,label and, "
                       "where there are test images, split"));
out:
    return err;
}

static enum err check_row(const struct list *list)
{
    enum err err = ERR_OK;
    const struct csv *csv = &list->csv;
    const struct csv_field *path = &csv->fields[list->path], *label = &csv->fields[list->label];
    if (path->text[0] == '\0' || strlen(path->text) > MOST_PATH_BYTES)
        TRY(csv_refuse(csv, path->column, "a path is 1 to 4095 bytes"));
    if (label->text[0] == '\0')
        TRY(csv_refuse(csv, label->column, "an image without a label"));
    err = source_check_class(label->text);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s:%d:%d", csv->path, csv->line, label->column));
out:
    return err;
}

static enum err read_split(const struct list *list, bool *is_test)
{
    *is_test = false;
    if (list->split < 0)
        return ERR_OK;
    const struct csv_field *split = &list->csv.fields[list->split];
    *is_test = strcmp(split->text, "test") == 0;
    if (!*is_test && strcmp(split->text, "train") != 0)
        return csv_refuse(&list->csv, split->column, "a split is train or test");
    return ERR_OK;
}

static enum err read_row(struct list *list)
{
    enum err err = ERR_OK;
    struct listed row = {.line = list->csv.line};
    TRY(check_row(list));
    TRY(read_split(list, &row.is_test));
    row.path = mem_string(list->csv.fields[list->path].text);
    row.label = mem_string(list->csv.fields[list->label].text);
    if (list->count == list->room) {
        size_t room = 2 * list->room + 1024;
        list->rows = mem_grow(list->rows, list->room * sizeof row, room * sizeof row);
        list->room = room;
    }
    list->rows[list->count++] = row;
out:
    return err;
}

static enum err read_rows(struct list *list, const char *path)
{
    enum err err = ERR_OK;
    bool has_row = false;
    TRY(csv_open(path, &list->csv));
    TRY(csv_next(&list->csv, &has_row));
    if (!has_row)
        TRY(err_set(ERR_DATA, "%s is empty: neither a folder, IDX files nor a list of images",
                    path));
    TRY(read_header(list));
    while (has_row) {
        TRY(csv_next(&list->csv, &has_row));
        if (has_row)
            TRY(read_row(list));
    }
out:
    return err;
}

static int compare_strings(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The order of rows does not matter: where paths and labels are equal, lines decide which of two is
 * the duplicate, and nothing else. */
static int compare_rows(const void *left, const void *right)
{
    const struct listed *one = left, *other = right;
    if (one->is_test != other->is_test)
        return one->is_test ? 1 : -1;
    int order = strcmp(one->path, other->path);
    order = order ? order : strcmp(one->label, other->label);
    return order ? order : one->line - other->line;
}

static int compare_paths(const void *left, const void *right)
{
    const struct listed *one = left, *other = right;
    int order = strcmp(one->path, other->path);
    order = order ? order : strcmp(one->label, other->label);
    return order ? order : one->line - other->line;
}

/* One image has one label, in whichever split. */
static enum err check_labels(struct list *list, const char *path)
{
    if (list->count > 0)
        qsort(list->rows, list->count, sizeof *list->rows, compare_paths);
    for (size_t i = 1; i < list->count; i++) {
        const struct listed *one = &list->rows[i - 1], *other = &list->rows[i];
        bool is_conflict =
            strcmp(one->path, other->path) == 0 && strcmp(one->label, other->label) != 0;
        const struct listed *last = one->line > other->line ? one : other;
        const struct listed *first = last == one ? other : one;
        if (is_conflict)
            return err_set(ERR_DATA,
                           "%s:%d: %s is of class \"%s\" here and of \"%s\" in line %d: remove "
                           "the line that is wrong",
                           path, last->line, last->path, last->label, first->label, first->line);
    }
    return ERR_OK;
}

static enum err make_classes(const struct list *list, struct source *source)
{
    enum err err = ERR_OK;
    char **labels = mem_array(list->count + 1, sizeof *labels); /* borrowed */
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        if (!list->rows[i].is_test)
            labels[count++] = list->rows[i].label;
    qsort(labels, count, sizeof *labels, compare_strings);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(labels[i], labels[i - 1]) != 0)
            TRY(source_add_class(source, labels[i]));
out:
    mem_free(labels);
    return err;
}

static void take_row(struct source *source, const struct listed *row, struct import_report *report)
{
    char reason[64];
    char **found = bsearch(&row->label, source->class_names, (size_t)source->classes,
                           sizeof *source->class_names, compare_strings);
    if (!found) {
        snprintf(reason, sizeof reason, "line %d: a class without training images", row->line);
        import_report_skip(report, SKIP_MISPLACED, row->path, reason);
        return;
    }
    source_add_item(source, row->path, (int32_t)(found - source->class_names));
    source->items[source->item_count - 1].line = row->line;
    if (row->is_test)
        source->test_count++;
    else
        source->train_count++;
}

/* What lies beside the list: "" would be the root of the file system. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_string(".");
    char *folder = mem_string(path);
    folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}

enum err source_open_list(const struct import_cfg *cfg, struct import_report *report,
                          struct source *source)
{
    enum err err = ERR_OK;
    struct list list = {.count = 0};
    source->root = folder_of(cfg->sources[0]);
    TRY(read_rows(&list, cfg->sources[0]));
    TRY(check_labels(&list, cfg->sources[0]));
    TRY(make_classes(&list, source));
    if (source->classes == 0)
        TRY(err_set(ERR_DATA, "%s lists no training image", cfg->sources[0]));
    qsort(list.rows, list.count, sizeof *list.rows, compare_rows);
    for (size_t i = 0; i < list.count; i++)
        take_row(source, &list.rows[i], report);
out:
    list_fini(&list);
    return err;
}
