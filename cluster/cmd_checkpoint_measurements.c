/* glowworm checkpoint measurements: what was measured on the checkpoints of a run. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/checkpoint_view.h"
#include "cluster/command.h"
#include "cluster/run_journal.h"
#include "trainer/evaluate/eval_metrics.h"
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct listing {
    char only[HASH_HEX_BYTES]; /* of this checkpoint; "": of all */
    json_t *json;              /* NULL: a table is printed */
};

/* "name=value" lines as an object; a value that is a number stays text: the key is text. */
static json_t *read_key(const char *key)
{
    json_t *json = json_object();
    char *copy = mem_string(key), *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *equals = strchr(line, '=');
        if (!equals)
            continue;
        *equals = '\0';
        json_object_set_new(json, line, json_string(equals + 1));
    }
    mem_free(copy);
    return json;
}

static const char *part(const json_t *key, const char *name)
{
    const char *text = json_string_value(json_object_get(key, name));
    return text ? text : "";
}

static void print_row(const json_t *key, const struct eval_metrics *metrics)
{
    printf("%-12.12s  %-7s  %8llu  %8.2f %%  %7.4f  %s\n", part(key, "checkpoint"),
           part(key, "split"), (unsigned long long)metrics->images, 100 * metrics->accuracy,
           metrics->loss, part(key, "subnet"));
}

static enum err list_one(const struct measurement *measurement, void *own)
{
    enum err err = ERR_OK;
    struct listing *listing = own;
    struct eval_metrics metrics = {0};
    json_t *key = read_key(measurement->key);
    if (listing->only[0] && strcmp(listing->only, part(key, "checkpoint")) != 0)
        goto out;
    TRY(eval_metrics_unpack(measurement->score, measurement->score_bytes, &metrics));
    if (listing->json)
        json_array_append_new(listing->json,
                              json_pack("{s:O, s:I, s:I, s:f, s:f, s:b}", "key", key, "images",
                                        (json_int_t)metrics.images, "correct",
                                        (json_int_t)metrics.correct, "accuracy", metrics.accuracy,
                                        "loss", metrics.loss, "detailed", metrics.classes > 0));
    else
        print_row(key, &metrics);
out:
    eval_metrics_fini(&metrics);
    json_decref(key);
    return err;
}

struct request {
    char *path, *name; /* of the reference */
    bool is_named;     /* PATH@NAME rather than PATH */
    bool has_json;
};

static enum err read_options(int argc, char **argv, struct request *request)
{
    enum err err = ERR_OK;
    TRY(view_options(argc, argv, "name one run: its folder, or FOLDER@NAME for one checkpoint",
                     &request->has_json));
    TRY(checkpoint_reference(argv[optind], &request->path, &request->name));
    request->is_named = !file_is_folder(argv[optind]);
out:
    return err;
}

static enum err find_named(const struct request *request, char hex[HASH_HEX_BYTES])
{
    enum err err = ERR_OK;
    struct checkpoint checkpoint = {0};
    struct checkpoint_store *store = NULL;
    if (!request->is_named)
        return ERR_OK;
    struct checkpoint_store_cfg cfg = {.path = request->path, .keep = 1};
    TRY(checkpoint_store_open(&cfg, &store));
    TRY(checkpoint_peek(store, request->name, &checkpoint));
    hash_hex(&checkpoint.content, hex);
out:
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&store);
    return err;
}

static enum err open_run(const struct request *request, struct journal **journal)
{
    enum err err = ERR_OK;
    TRY(run_journal_open(request->path, JOURNAL_READ, journal));
    if (!*journal)
        TRY(err_set(ERR_NOT_FOUND,
                    "%s: there is no journal beside it; what was measured is in the journal of "
                    "\"glowworm run\"",
                    request->path));
out:
    return err;
}

static void print_head(void)
{
    printf("%-12s  %-7s  %8s  %10s  %7s  %s\n", "checkpoint", "split", "images", "accuracy", "loss",
           "sub-network");
}

enum err cmd_checkpoint_measurements(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request = {0};
    struct listing listing = {0};
    struct journal *journal = NULL;
    TRY(read_options(argc, argv, &request));
    TRY(open_run(&request, &journal));
    TRY(find_named(&request, listing.only));
    if (request.has_json)
        listing.json = json_array();
    else
        print_head();
    err = run_journal_measurements(journal, list_one, &listing); /* what is whole is shown */
    if (listing.json) {
        json_dumpf(listing.json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        printf("\n");
    }
out:
    json_decref(listing.json);
    journal_close(&journal);
    mem_free(request.path);
    mem_free(request.name);
    return err;
}
