/* glowworm status: what runs do, from their folders alone, wherever those are seen. */
#include "base/mem.h"
#include "cluster/command.h"
#include "cluster/next_command.h"
#include "cluster/page/page_address.h"
#include "cluster/queued_run.h"
#include "cluster/status/status_text.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static enum err read_options(int argc, char **argv, bool *wants_json)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'j')
            TRY(err_set(ERR_USAGE, "that option is not known"));
        *wants_json = true;
    }
    if (optind == argc)
        TRY(err_set(ERR_USAGE, "name the folder of a run, or several"));
out:
    return err;
}

/* Its owner's to see. */
static void print_page(const struct found_status *found, const char *folder)
{
    char address[PAGE_ADDRESS];
    if (found->runner == RUNNER_THERE && page_address_find(folder, address))
        printf("page: %s, a browser on %s\n", address, found->status.host);
}

static void print_one(const struct found_status *found, const char *folder)
{
    struct table table;
    struct text head;
    text_init(&head);
    status_text_head(found, folder, &head);
    printf("%s", text_get(&head));
    print_page(found, folder);
    puts("");
    text_fini(&head);
    status_text_stages(found, &table);
    table_print(&table);
    table_fini(&table);
}

/* What makes sense now. */
static void offer(const struct found_status *found, const char *folder)
{
    char *run = next_command_word(folder);
    const struct run_status *status = &found->status;
    bool is_over = found->runner == RUNNER_GONE || found->runner == RUNNER_UNKNOWN;
    if (found->runner == RUNNER_THERE || found->runner == RUNNER_SILENT) {
        next_command("its log as it is written", "glowworm logs %s -f", run);
        next_command("live", "glowworm top %s", run);
        next_command("ends its step, saves a checkpoint, stops", "glowworm cancel %s", run);
    } else if (status->state == RUN_STATE_DONE) {
        next_command("its report", "xdg-open %s/report.html", run);
    } else {
        if (status->state == RUN_STATE_FAILED || is_over)
            next_command("the reason", "glowworm logs %s", run);
        if (status->command[0])
            next_command("goes on", "cd %s && %s", status->work_folder, status->command);
    }
    mem_free(run);
}

struct listing {
    bool wants_json;
    struct table table;
    json_t *runs;
};

static enum err add_run(struct listing *listing, const char *folder, struct found_status *found)
{
    enum err err = ERR_OK;
    TRY(queued_run_explain(folder, status_read(folder, found)));
    if (listing->wants_json)
        json_array_append_new(listing->runs, status_json(found, folder));
    else
        status_text_add_run(found, folder, &listing->table);
out:
    return err;
}

/* One that cannot be read takes nothing from the others: the first such error is the command's. */
static enum err list_runs(struct listing *listing, int count, char **folders)
{
    enum err first = ERR_OK;
    struct found_status *found = mem_alloc(sizeof *found);
    char *text = NULL;
    for (int i = 0; i < count; i++) {
        enum err err = add_run(listing, folders[i], found);
        if (err == ERR_OK)
            continue;
        if (first != ERR_OK)
            fprintf(stderr, "glowworm status: %s\n", err_text());
        else
            text = mem_string(err_text());
        first = first == ERR_OK ? err : first;
    }
    mem_free(found);
    if (first != ERR_OK)
        err_set(first, "%s", text);
    mem_free(text);
    return first;
}

static enum err show_many(int count, char **folders, bool wants_json)
{
    struct listing listing = {.wants_json = wants_json, .runs = json_array()};
    status_text_begin_runs(&listing.table);
    enum err err = list_runs(&listing, count, folders);
    json_t *json = json_pack("{s:O}", "runs", listing.runs);
    char *text = wants_json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    if (wants_json)
        puts(text ? text : "{}");
    else if (listing.table.row_count > 0)
        table_print(&listing.table);
    free(text);
    json_decref(json);
    json_decref(listing.runs);
    table_fini(&listing.table);
    return err;
}

enum err cmd_status(int argc, char **argv)
{
    enum err err = ERR_OK;
    bool wants_json = false;
    struct found_status *found = mem_alloc(sizeof *found);
    TRY(read_options(argc, argv, &wants_json));
    if (wants_json || argc - optind > 1) {
        TRY(show_many(argc - optind, argv + optind, wants_json));
        goto out;
    }
    TRY(queued_run_explain(argv[optind], status_read(argv[optind], found)));
    print_one(found, argv[optind]);
    offer(found, argv[optind]);
out:
    mem_free(found);
    return err;
}
