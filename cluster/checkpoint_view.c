#include "cluster/checkpoint_view.h"
#include "base/mem.h"
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool ends_with_name(const char *reference, const char *name)
{
    size_t length = strlen(reference), tail = strlen(name);
    return length > tail && reference[length - tail - 1] == '@' &&
           strcmp(reference + length - tail, name) == 0;
}

enum err view_init(struct checkpoint_view *view, const char *reference)
{
    enum err err = ERR_OK;
    *view = (struct checkpoint_view){.reference = reference};
    TRY(checkpoint_reference(reference, &view->path, &view->name));
    view->is_named = ends_with_name(reference, view->name);
out:
    return err;
}

void view_fini(struct checkpoint_view *view)
{
    mem_free(view->path);
    mem_free(view->name);
    *view = (struct checkpoint_view){0};
}

enum err view_open(const struct checkpoint_view *view, struct checkpoint_store **store)
{
    struct checkpoint_store_cfg cfg = {.path = view->path, .keep = 1};
    return checkpoint_store_open(&cfg, store);
}

void view_print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    printf("\n");
    json_decref(json);
}

json_t *view_position_json(const struct position *position, const struct hash *content)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(content, hex);
    return json_pack("{s:s, s:s, s:I, s:I, s:b}", "content", hex, "stage", position->stage, "step",
                     (json_int_t)position->step, "epoch", (json_int_t)position->epoch, "final",
                     (int)position->is_final);
}

static json_t *split_json(const char *text, const char *at)
{
    json_t *array = json_array();
    char *copy = mem_string(text), *rest = NULL;
    for (char *part = strtok_r(copy, at, &rest); part; part = strtok_r(NULL, at, &rest))
        json_array_append_new(array, json_string(part));
    mem_free(copy);
    return array;
}

json_t *view_words_json(const char *words)
{
    return split_json(words, " ");
}

json_t *view_lines_json(const char *lines)
{
    return split_json(lines, "\n");
}

json_t *view_shape_json(const struct tensor *tensor)
{
    json_t *shape = json_array();
    for (int d = 0; d < tensor->rank; d++)
        json_array_append_new(shape, json_integer(tensor->shape[d]));
    return shape;
}

json_t *view_real_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

void view_position_text(const struct position *position, char text[128])
{
    snprintf(text, 128, "%s, step %llu%s", position->stage, (unsigned long long)position->step,
             position->is_final ? ", final" : "");
}

void view_wall_text(int64_t wall_ms, char text[32])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (!gmtime_r(&seconds, &parts) || strftime(text, 32, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        snprintf(text, 32, "?");
}

void view_shape_text(const struct tensor *tensor, char text[96])
{
    int size = snprintf(text, 96, "(");
    for (int d = 0; d < tensor->rank; d++)
        size += snprintf(text + size, 96 - (size_t)size, "%s%lld", d ? "," : "",
                         (long long)tensor->shape[d]);
    snprintf(text + size, 96 - (size_t)size, ")");
}

enum err view_options(int argc, char **argv, const char *wanted, bool *has_json)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    optind = 0; /* from the start, whoever parsed before */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'j')
            TRY(err_set(ERR_USAGE, "that option is not known"));
        *has_json = true;
    }
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "%s", wanted));
out:
    return err;
}
