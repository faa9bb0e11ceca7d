/* glowworm checkpoint list | show | verify: what is in a store of checkpoints, and is it whole. All
 * of it is read in a process of its own (apart.h): the store may be damaged. */
#include "base/mem.h"
#include "cluster/apart.h"
#include "cluster/checkpoint_view.h"
#include "cluster/command.h"
#include "cluster/run_journal.h"
#include "cluster/table.h"
#include "cluster/tensor_table.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/spec/open_choices.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct request {
    struct checkpoint_view view;
    bool has_json, has_tensors;
    enum tensor_order order;
};

static enum err read_options(int argc, char **argv, const struct option *options,
                             struct request *request)
{
    enum err err = ERR_OK;
    optind = 0; /* from the start, whoever parsed before */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 's')
            TRY(tensor_order_parse(optarg, &request->order));
        else if (option != 'j' && option != 't')
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
        request->has_json |= option == 'j';
        request->has_tensors |= option == 't' || option == 's';
    }
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "name one store of checkpoints: a folder, a run, or PATH@NAME"));
    TRY(view_init(&request->view, argv[optind]));
out:
    return err;
}

static enum err run_apart(int argc, char **argv, const struct option *options,
                          enum err (*work)(void *request))
{
    enum err err = ERR_OK;
    struct request request = {0};
    TRY(read_options(argc, argv, options, &request));
    TRY(apart(work, &request, request.view.path));
out:
    view_fini(&request.view);
    return err;
}

static const struct option json_only[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};

static void list_as_json(const struct checkpoint_entry *entries, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++) {
        json_t *json = view_position_json(&entries[i].position, &entries[i].content);
        json_object_set_new(json, "saved_ms", json_integer(entries[i].saved_ms));
        json_object_set_new(json, "bytes", json_integer((json_int_t)entries[i].size_bytes));
        json_object_set_new(json, "tensors", json_integer(entries[i].tensor_count));
        json_object_set_new(json, "names", view_words_json(entries[i].names));
        json_object_set_new(json, "damaged", json_boolean(entries[i].is_damaged));
        json_array_append_new(array, json);
    }
    view_print_json(array);
}

static void list_as_table(const struct checkpoint_entry *entries, int count)
{
    static const struct table_column columns[] = {
        {"content", TABLE_LEFT}, {"stage", TABLE_LEFT},        {"step", TABLE_RIGHT},
        {"MiB", TABLE_RIGHT},    {"saved (UTC)", TABLE_RIGHT}, {"names", TABLE_LEFT}};
    struct table table;
    table_init(&table, columns, 6, 5);
    for (int i = 0; i < count; i++) {
        char hex[HASH_HEX_BYTES], saved[32], step[32], size[32];
        struct text names;
        hash_hex(&entries[i].content, hex);
        hex[VIEW_HASH_DIGITS] = '\0';
        view_wall_text(entries[i].saved_ms, saved);
        snprintf(step, sizeof step, "%llu", (unsigned long long)entries[i].position.step);
        snprintf(size, sizeof size, "%.1f", (double)entries[i].size_bytes / (1 << 20));
        text_init(&names);
        text_add(&names, "%s%s", entries[i].is_damaged ? "DAMAGED " : "", entries[i].names);
        const char *cells[] = {hex, entries[i].position.stage, step, size, saved, text_get(&names)};
        table_add(&table, cells);
        text_fini(&names);
    }
    table_print(&table);
    table_fini(&table);
}

static enum err list(void *own)
{
    enum err err = ERR_OK;
    const struct request *request = own;
    struct checkpoint_store *store = NULL;
    struct checkpoint_entry *entries = NULL;
    int count = 0;
    TRY(view_open(&request->view, &store));
    TRY(checkpoint_list(store, &entries, &count));
    if (request->has_json)
        list_as_json(entries, count);
    else
        list_as_table(entries, count);
out:
    checkpoint_entries_free(entries, count);
    checkpoint_store_close(&store);
    return err;
}

enum err cmd_checkpoint_list(int argc, char **argv)
{
    return run_apart(argc, argv, json_only, list);
}

static json_t *json_choices(const struct choices *choices)
{
    json_t *array = json_array();
    for (int i = 0; i < choices->count; i++)
        json_array_append_new(array, json_integer(choices->value[i]));
    return array;
}

/* null: it is not recorded. */
static json_t *json_trained(const struct checkpoint_meta *meta)
{
    const struct open_choices *trained = &meta->trained;
    if (!meta->has_trained)
        return json_null();
    return json_pack("{s:o, s:o, s:o}", "kernels", json_choices(&trained->kernels), "expansions",
                     json_choices(&trained->expansions), "depths", json_choices(&trained->depths));
}

static void show_as_json(const struct checkpoint *checkpoint, json_t *tensors)
{
    const struct checkpoint_meta *meta = &checkpoint->meta;
    json_t *json = view_position_json(&checkpoint->position, &checkpoint->content);
    json_t *more =
        json_pack("{s:I, s:I, s:i, s:b, s:s, s:s, s:s, s:s, s:f, s:i, s:i, s:s, s:s}", "saved_ms",
                  (json_int_t)meta->saved_ms, "lease_epoch", (json_int_t)meta->lease_epoch, "ranks",
                  meta->ranks, "has_statistics", (int)meta->has_statistics, "stage_key",
                  meta->stage_key, "parent", meta->parent, "dataset", meta->dataset, "lineage",
                  meta->lineage, "width", meta->width_multiplier, "classes", meta->classes,
                  "channels", meta->channels, "space", meta->space, "campaign", meta->campaign);
    json_object_update(json, more);
    json_decref(more);
    json_object_set_new(json, "trained", json_trained(meta));
    json_object_set_new(json, "mixed", view_lines_json(meta->mixed));
    json_object_set_new(json, "tensors", tensors);
    view_print_json(json);
}

static void print_field(const char *name, const char *value)
{
    printf("%-12s ", name);
    for (const char *at = value[0] ? value : "-"; *at; at++) /* a terminal obeys some bytes */
        putchar((unsigned char)*at < ' ' || *at == 0x7F ? '?' : *at);
    printf("\n");
}

static void print_trained(const struct checkpoint_meta *meta)
{
    struct text text;
    text_init(&text);
    if (meta->has_trained)
        open_choices_format(&meta->trained, &text);
    print_field("trained", meta->has_trained ? text_get(&text) : "not recorded");
    text_fini(&text);
}

/* One line for each of the other devices. */
static void print_mixed(const char *mixed)
{
    char *copy = mem_string(mixed), *rest = copy;
    const char *name = "mixed with";
    for (char *line; (line = strsep(&rest, "\n")); name = "")
        if (line[0])
            print_field(name, line);
    mem_free(copy);
}

static void show_as_text(const struct checkpoint *checkpoint)
{
    const struct checkpoint_meta *meta = &checkpoint->meta;
    char hex[HASH_HEX_BYTES], saved[32];
    uint64_t size_bytes = 0;
    hash_hex(&checkpoint->content, hex);
    view_wall_text(meta->saved_ms, saved);
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
    print_mixed(meta->mixed);
    printf("%-12s width %g, %d classes, %d channels\n", "space", meta->width_multiplier,
           meta->classes, meta->channels);
    print_field("statistics", meta->has_statistics ? "yes" : "no");
    print_trained(meta);
    printf("%-12s %d, %.1f MiB\n", "tensors", checkpoint->tensor_count,
           (double)size_bytes / (1 << 20));
}

static enum err show(void *own)
{
    enum err err = ERR_OK;
    const struct request *request = own;
    struct checkpoint_store *store = NULL;
    struct checkpoint checkpoint = {0};
    struct statistics *statistics = NULL;
    TRY(view_open(&request->view, &store));
    if (request->has_tensors)
        TRY(checkpoint_statistics(store, request->view.name, &checkpoint, &statistics));
    else
        TRY(checkpoint_peek(store, request->view.name, &checkpoint));
    struct tensor_table table = {&checkpoint, statistics, request->order};
    if (request->has_json)
        show_as_json(&checkpoint, tensor_table_json(&table));
    else
        show_as_text(&checkpoint);
    if (!request->has_json && request->has_tensors)
        tensor_table_print(&table);
out:
    mem_free(statistics);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
    return err;
}

enum err cmd_checkpoint_show(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"tensors", no_argument, NULL, 't'},
                                            {"sort", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    return run_apart(argc, argv, options, show);
}

static enum err look_away(const struct measurement *measurement, void *own)
{
    (void)measurement;
    (void)own;
    return ERR_OK;
}

/* What was measured on a run's checkpoints is in its journal. */
static enum err verify_measurements(const struct checkpoint_view *view)
{
    enum err err = ERR_OK;
    struct journal *journal = NULL;
    TRY(run_journal_open(view->path, JOURNAL_READ, &journal));
    if (journal)
        TRY(run_journal_measurements(journal, look_away, NULL));
out:
    journal_close(&journal);
    return err == ERR_OK ? ERR_OK : err_prefix(err, "%s", view->path);
}

static enum err verify(void *own)
{
    const struct request *request = own;
    const struct checkpoint_view *view = &request->view;
    enum err err = ERR_OK;
    struct checkpoint_store *store = NULL;
    uint64_t read_bytes = 0;
    TRY(view_open(view, &store));
    TRY(checkpoint_verify(store, view->is_named ? view->name : NULL, &read_bytes));
    if (!view->is_named)
        TRY(verify_measurements(view));
    if (request->has_json)
        view_print_json(json_pack("{s:s, s:b, s:I}", "path", view->path, "whole", 1, "read_bytes",
                                  (json_int_t)read_bytes));
    else
        printf("%s: every hash is right, %.1f MiB read\n", view->reference,
               (double)read_bytes / (1 << 20));
out:
    checkpoint_store_close(&store);
    return err;
}

enum err cmd_checkpoint_verify(int argc, char **argv)
{
    return run_apart(argc, argv, json_only, verify);
}
