/* glowworm checkpoint list | show | verify: what is in a store of checkpoints, and is it whole. */
#include "base/mem.h"
#include "base/text.h"
#include "cluster/apart.h"
#include "cluster/command.h"
#include "trainer/checkpoint/checkpoint.h"
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct request {
    const char *reference;
    char *path, *name; /* of the reference */
    bool is_named;     /* PATH@NAME rather than PATH */
    bool has_json, has_tensors;
};

static void request_fini(struct request *request)
{
    mem_free(request->path);
    mem_free(request->name);
}

static bool ends_with_name(const char *reference, const char *name)
{
    size_t length = strlen(reference), tail = strlen(name);
    return length > tail && reference[length - tail - 1] == '@' &&
           strcmp(reference + length - tail, name) == 0;
}

static enum err read_options(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"tensors", no_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    optind = 0; /* from the start, whoever parsed before */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'j' && option != 't')
            TRY(err_set(ERR_USAGE, "that option is not known"));
        request->has_json |= option == 'j';
        request->has_tensors |= option == 't';
    }
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "name one store of checkpoints: a folder, a run, or PATH@NAME"));
    request->reference = argv[optind];
    TRY(checkpoint_reference(request->reference, &request->path, &request->name));
    request->is_named = ends_with_name(request->reference, request->name);
out:
    return err;
}

static enum err open_to_read(const struct request *request, struct checkpoint_store **store)
{
    struct checkpoint_store_cfg cfg = {.path = request->path, .keep = 1};
    return checkpoint_store_open(&cfg, store);
}

static void print_json(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    printf("\n");
    json_decref(json);
}

/* 2026-11-22 19:30:00, UTC */
static void wall_text(int64_t wall_ms, char text[32])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (!gmtime_r(&seconds, &parts) || strftime(text, 32, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        snprintf(text, 32, "?");
}

static json_t *json_position(const struct position *position, const struct hash *content)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(content, hex);
    return json_pack("{s:s, s:s, s:I, s:I, s:b}", "content", hex, "stage", position->stage, "step",
                     (json_int_t)position->step, "epoch", (json_int_t)position->epoch, "final",
                     (int)position->is_final);
}

/* "a b c" as an array */
static json_t *json_words(const char *words)
{
    json_t *array = json_array();
    char *copy = mem_string(words), *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        json_array_append_new(array, json_string(word));
    mem_free(copy);
    return array;
}

static void list_as_json(const struct checkpoint_entry *entries, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++) {
        json_t *json = json_position(&entries[i].position, &entries[i].content);
        json_object_set_new(json, "saved_ms", json_integer(entries[i].saved_ms));
        json_object_set_new(json, "bytes", json_integer((json_int_t)entries[i].size_bytes));
        json_object_set_new(json, "tensors", json_integer(entries[i].tensor_count));
        json_object_set_new(json, "names", json_words(entries[i].names));
        json_array_append_new(array, json);
    }
    print_json(array);
}

static void list_as_table(const struct checkpoint_entry *entries, int count)
{
    printf("%-12s  %-16s %9s  %-19s  %9s  %s\n", "content", "stage", "step", "saved (UTC)", "MiB",
           "names");
    for (int i = 0; i < count; i++) {
        char hex[HASH_HEX_BYTES], saved[32];
        hash_hex(&entries[i].content, hex);
        wall_text(entries[i].saved_ms, saved);
        printf("%.12s  %-16s %9llu  %-19s  %9.1f  %s\n", hex, entries[i].position.stage,
               (unsigned long long)entries[i].position.step, saved,
               (double)entries[i].size_bytes / (1 << 20), entries[i].names);
    }
}

enum err cmd_checkpoint_list(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request = {0};
    struct checkpoint_store *store = NULL;
    struct checkpoint_entry *entries = NULL;
    int count = 0;
    TRY(read_options(argc, argv, &request));
    TRY(open_to_read(&request, &store));
    TRY(checkpoint_list(store, &entries, &count));
    if (request.has_json)
        list_as_json(entries, count);
    else
        list_as_table(entries, count);
out:
    checkpoint_entries_free(entries, count);
    checkpoint_store_close(&store);
    request_fini(&request);
    return err;
}

static void print_shape(const struct tensor *tensor, struct text *text)
{
    for (int d = 0; d < tensor->rank; d++)
        text_add(text, "%s%lld", d ? "," : "", (long long)tensor->shape[d]);
}

static json_t *json_tensors(const struct checkpoint *checkpoint)
{
    json_t *array = json_array();
    for (int i = 0; i < checkpoint->tensor_count; i++) {
        const struct tensor *tensor = &checkpoint->tensors[i];
        json_t *shape = json_array();
        for (int d = 0; d < tensor->rank; d++)
            json_array_append_new(shape, json_integer(tensor->shape[d]));
        json_array_append_new(array, json_pack("{s:s, s:o}", "name", tensor->name, "shape", shape));
    }
    return array;
}

static void show_as_json(const struct checkpoint *checkpoint)
{
    const struct checkpoint_meta *meta = &checkpoint->meta;
    json_t *json = json_position(&checkpoint->position, &checkpoint->content);
    json_t *more =
        json_pack("{s:I, s:I, s:i, s:b, s:s, s:s, s:s, s:s, s:f, s:i, s:i, s:s, s:s}", "saved_ms",
                  (json_int_t)meta->saved_ms, "lease_epoch", (json_int_t)meta->lease_epoch, "ranks",
                  meta->ranks, "has_statistics", (int)meta->has_statistics, "stage_key",
                  meta->stage_key, "parent", meta->parent, "dataset", meta->dataset, "lineage",
                  meta->lineage, "width", meta->width_multiplier, "classes", meta->classes,
                  "channels", meta->channels, "space", meta->space, "campaign", meta->campaign);
    json_object_update(json, more);
    json_decref(more);
    json_object_set_new(json, "tensors", json_tensors(checkpoint));
    print_json(json);
}

static void print_field(const char *name, const char *value)
{
    printf("%-12s %s\n", name, value[0] ? value : "-");
}

static void show_as_text(const struct checkpoint *checkpoint, bool has_tensors)
{
    const struct checkpoint_meta *meta = &checkpoint->meta;
    char hex[HASH_HEX_BYTES], saved[32];
    uint64_t size_bytes = 0;
    hash_hex(&checkpoint->content, hex);
    wall_text(meta->saved_ms, saved);
    for (int i = 0; i < checkpoint->tensor_count; i++)
        size_bytes += checkpoint->tensors[i].count * sizeof(float);
    print_field("content", hex);
    printf("%-12s %s, step %llu, epoch %llu%s\n", "position", checkpoint->position.stage,
           (unsigned long long)checkpoint->position.step,
           (unsigned long long)checkpoint->position.epoch,
           checkpoint->position.is_final ? ", final" : "");
    printf("%-12s %s UTC by %d rank%s, lease %lld\n", "saved", saved, meta->ranks,
           meta->ranks == 1 ? "" : "s", (long long)meta->lease_epoch);
    print_field("parent", meta->parent);
    print_field("stage key", meta->stage_key);
    print_field("data set", meta->dataset);
    print_field("lineage", meta->lineage);
    printf("%-12s width %g, %d classes, %d channels\n", "space", meta->width_multiplier,
           meta->classes, meta->channels);
    print_field("statistics", meta->has_statistics ? "yes" : "no");
    printf("%-12s %d, %.1f MiB\n", "tensors", checkpoint->tensor_count,
           (double)size_bytes / (1 << 20));
    for (int i = 0; has_tensors && i < checkpoint->tensor_count; i++) {
        struct text shape;
        text_init(&shape);
        print_shape(&checkpoint->tensors[i], &shape);
        printf("  %-70s (%s)\n", checkpoint->tensors[i].name, text_get(&shape));
        text_fini(&shape);
    }
}

enum err cmd_checkpoint_show(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request = {0};
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint = {0};
    TRY(read_options(argc, argv, &request));
    TRY(open_to_read(&request, &store));
    TRY(checkpoint_peek(store, request.name, &checkpoint));
    if (request.has_json)
        show_as_json(&checkpoint);
    else
        show_as_text(&checkpoint, request.has_tensors);
out:
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
    request_fini(&request);
    return err;
}

static enum err verify_and_print(void *own)
{
    const struct request *request = own;
    enum err err = ERR_OK;
    struct checkpoint_store *store = NULL;
    uint64_t read_bytes = 0;
    TRY(open_to_read(request, &store));
    TRY(checkpoint_verify(store, request->is_named ? request->name : NULL, &read_bytes));
    if (request->has_json)
        print_json(json_pack("{s:s, s:b, s:I}", "path", request->path, "whole", 1, "read_bytes",
                             (json_int_t)read_bytes));
    else
        printf("%s: every hash is right, %.1f MiB read\n", request->reference,
               (double)read_bytes / (1 << 20));
out:
    checkpoint_store_close(&store);
    return err;
}

enum err cmd_checkpoint_verify(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request = {0};
    TRY(read_options(argc, argv, &request));
    TRY(apart(verify_and_print, &request, request.path));
out:
    request_fini(&request);
    return err;
}
