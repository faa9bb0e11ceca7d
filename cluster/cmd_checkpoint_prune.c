/* glowworm checkpoint prune: says which checkpoints of a store nothing needs; with --yes they go,
 * and the file gets smaller. Whoever runs the campaign or writes the store keeps it from doing so.
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/yaml/yaml.h"
#include "cluster/apart.h"
#include "cluster/checkpoint_view.h"
#include "cluster/command.h"
#include "cluster/run_journal.h"
#include "cluster/table.h"
#include "scheduler/journal.h"
#include "trainer/checkpoint/prune.h"
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_KEEP 3 /* checkpoint.keep's, for stores of no campaign */

struct request {
    struct checkpoint_view view;
    long keep; /* 0: what the campaign says */
    bool drops_former, has_yes, has_json;
};

static enum err read_options(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {{"keep", required_argument, NULL, 'k'},
                                            {"former", no_argument, NULL, 'f'},
                                            {"yes", no_argument, NULL, 'y'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    optind = 0; /* from the start, whoever parsed before */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == '?')
            TRY(err_set(ERR_USAGE, "that option is not known, or lacks its value"));
        if (option == 'k' && text_to_int(optarg, 1, 1000000, &request->keep) != ERR_OK)
            TRY(err_prefix(ERR_USAGE, "--keep"));
        request->drops_former |= option == 'f';
        request->has_yes |= option == 'y';
        request->has_json |= option == 'j';
    }
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "name one store of checkpoints: a folder or a run"));
    TRY(view_init(&request->view, argv[optind]));
    if (request->view.is_named)
        TRY(err_set(ERR_USAGE, "%s names one checkpoint; prune takes the store, %s",
                    request->view.reference, request->view.path));
out:
    return err;
}

struct pruned {
    const struct request *request;
    struct journal *journal; /* NULL: the store is of no run */
    struct checkpoint_store *store;
    struct hash *needed;
    int needed_count;
    struct prune_cfg cfg;
    struct prune_plan plan;
    uint64_t freed_bytes;
    char *not_compacted; /* why; NULL: it was, or nothing was done */
};

static void pruned_fini(struct pruned *pruned)
{
    prune_plan_fini(&pruned->plan);
    mem_free(pruned->needed);
    mem_free(pruned->not_compacted);
    checkpoint_store_close(&pruned->store);
    journal_close(&pruned->journal);
}

static enum err with_cure(enum err err)
{
    if (err != ERR_AGAIN)
        return err;
    char *text = mem_string(err_text());
    err_set(err,
            "%s; wait for the run to end, or stop it (Ctrl-C: it goes on later), and prune then",
            text);
    mem_free(text);
    return err;
}

static enum err open_both(struct pruned *pruned)
{
    enum err err = ERR_OK;
    const struct request *request = pruned->request;
    struct checkpoint_store_cfg cfg = {
        .path = request->view.path, .is_writer = request->has_yes, .keep = 1};
    struct checkpoint_store *reader = NULL;
    TRY(view_open(&request->view, &reader)); /* a writer would make what is not there */
    checkpoint_store_close(&reader);
    TRY(run_journal_open(request->view.path, request->has_yes ? JOURNAL_WRITE : JOURNAL_READ,
                         &pruned->journal));
    TRY(checkpoint_store_open(&cfg, &pruned->store));
out:
    return with_cure(err);
}

struct record { /* a stage's, of the journal */
    char name[64];
    struct hash key;
    struct hash contents[2];
    int content_count;
};

struct records {
    struct record *items;
    int count, room;
};

static enum err add_record(const struct hash *key, const struct stage_record *record, void *own)
{
    struct records *records = own;
    if (records->count == records->room) {
        int room = records->room ? 2 * records->room : 32;
        records->items = mem_grow(records->items, (size_t)records->room * sizeof *records->items,
                                  (size_t)room * sizeof *records->items);
        records->room = room;
    }
    struct record *item = &records->items[records->count++];
    *item = (struct record){.key = *key};
    memcpy(item->name, record->name, sizeof item->name);
    item->content_count += hash_parse(record->checkpoint, &item->contents[item->content_count]);
    item->content_count += hash_parse(record->content, &item->contents[item->content_count]);
    return ERR_OK;
}

/* What the journal names: of every stage, or only as the campaign has it now. */
static enum err find_needed(struct pruned *pruned)
{
    enum err err = ERR_OK;
    struct records records = {0};
    if (!pruned->journal)
        return ERR_OK;
    TRY(journal_stages(pruned->journal, add_record, &records));
    pruned->needed = mem_array(2 * (size_t)records.count, sizeof *pruned->needed);
    for (int i = 0; i < records.count; i++) {
        struct hash current;
        err = journal_current(pruned->journal, records.items[i].name, &current, NULL);
        bool is_current = err == ERR_OK && hash_equal(&current, &records.items[i].key);
        if (err != ERR_NOT_FOUND)
            TRY(err);
        for (int c = 0; c < records.items[i].content_count; c++)
            if (is_current || !pruned->request->drops_former)
                pruned->needed[pruned->needed_count++] = records.items[i].contents[c];
    }
    err = ERR_OK;
out:
    mem_free(records.items);
    return err;
}

/* The campaign's own number, out of the newest checkpoint. */
static enum err find_keep(struct pruned *pruned)
{
    enum err err = ERR_OK;
    struct checkpoint newest = {0};
    struct yaml *yaml = NULL;
    long keep = pruned->request->keep;
    if (keep == 0 && checkpoint_peek(pruned->store, "latest", &newest) == ERR_OK &&
        yaml_parse("campaign", newest.meta.campaign, strlen(newest.meta.campaign), &yaml) ==
            ERR_OK) {
        const struct yaml_node *node = yaml_find(yaml_root(yaml), "checkpoint.keep");
        if (node && node->kind == YAML_SCALAR &&
            text_to_int(node->text, 1, 1000000, &keep) != ERR_OK)
            TRY(err_prefix(ERR_DATA, "checkpoint.keep inside the newest checkpoint"));
    }
    pruned->cfg =
        (struct prune_cfg){.keep = (int)(keep > 0 ? keep : DEFAULT_KEEP),
                           .what = pruned->request->drops_former ? PRUNE_FORMER : PRUNE_SURPLUS,
                           .needed = pruned->needed,
                           .needed_count = pruned->needed_count};
out:
    yaml_close(&yaml);
    checkpoint_fini(&newest);
    return err;
}

static enum err let_go(struct pruned *pruned)
{
    enum err err = ERR_OK;
    TRY(prune_apply(pruned->store, &pruned->cfg, &pruned->plan));
    if (prune_compact(&pruned->store, &pruned->freed_bytes) != ERR_OK)
        pruned->not_compacted = mem_string(err_text()); /* free pages are used by later saves */
out:
    return err;
}

static const char *reason_text(enum prune_reason reason)
{
    static const char *const texts[] = {[PRUNE_KEPT_NAMED] = "has a name",
                                        [PRUNE_KEPT_NEEDED] = "the journal names it",
                                        [PRUNE_KEPT_FINAL] = "final of its stage",
                                        [PRUNE_KEPT_NEWEST] = "newest of its stage",
                                        [PRUNE_KEPT_PARENT] = "one that stays started from it",
                                        [PRUNE_SURPLUS_GOES] = "newer ones of its stage stay",
                                        [PRUNE_FORMER_GOES] =
                                            "settings that the campaign no longer has"};
    return texts[reason];
}

static void print_rows(const struct prune_plan *plan)
{
    static const struct table_column columns[] = {{"content", TABLE_LEFT},
                                                  {"stage", TABLE_LEFT},
                                                  {"saved (UTC)", TABLE_RIGHT},
                                                  {"MiB", TABLE_RIGHT},
                                                  {"why", TABLE_LEFT}};
    struct table table;
    table_init(&table, columns, sizeof columns / sizeof *columns, 4);
    for (int i = 0; i < plan->count; i++) {
        const struct prune_row *row = &plan->rows[i];
        char hex[HASH_HEX_BYTES], position[128], saved[32], size[32];
        if (row->is_kept)
            continue;
        hash_hex(&row->content, hex);
        hex[VIEW_HASH_DIGITS] = '\0';
        view_position_text(&row->position, position);
        view_wall_text(row->saved_ms, saved);
        snprintf(size, sizeof size, "%.1f", (double)row->bytes / (1 << 20));
        const char *cells[] = {hex, position, saved, size, reason_text(row->reason)};
        table_add(&table, cells);
    }
    if (table.row_count > 0)
        table_print(&table);
    table_fini(&table);
}

/* What the two options would add, so that nobody has to guess. */
static enum err print_more(struct pruned *pruned)
{
    enum err err = ERR_OK;
    struct prune_plan plan = {0};
    struct prune_cfg cfg = pruned->cfg;
    cfg.keep = 1;
    if (pruned->cfg.keep > 1)
        TRY(prune_look(pruned->store, &cfg, &plan));
    if (plan.going > pruned->plan.going)
        printf("%d stay as checkpoint.keep is %d: --keep 1 lets them go too (%.1f MiB in all)\n",
               plan.going - pruned->plan.going, pruned->cfg.keep, (double)plan.bytes / (1 << 20));
out:
    prune_plan_fini(&plan);
    return err;
}

static enum err print_as_text(struct pruned *pruned)
{
    const struct prune_plan *plan = &pruned->plan;
    const struct request *request = pruned->request;
    print_rows(plan);
    printf("%s%d of %d checkpoints %s, %.1f MiB", plan->going > 0 ? "\n" : "", plan->going,
           plan->count, request->has_yes ? "went" : "would go", (double)plan->bytes / (1 << 20));
    if (plan->unfinished_bytes > 0)
        printf(" (%.1f MiB of saves that did not come to their end)",
               (double)plan->unfinished_bytes / (1 << 20));
    printf("\n");
    if (!request->has_yes) {
        if (plan->bytes > 0 || plan->going > 0)
            printf("nothing was changed: --yes does it\n");
        return print_more(pruned);
    }
    if (pruned->not_compacted)
        printf("the file keeps its size, later saves use the room: %s\n", pruned->not_compacted);
    else
        printf("the file is %.1f MiB smaller\n", (double)pruned->freed_bytes / (1 << 20));
    return ERR_OK;
}

static json_t *row_json(const struct prune_row *row)
{
    json_t *json = view_position_json(&row->position, &row->content);
    json_object_set_new(json, "saved_ms", json_integer(row->saved_ms));
    json_object_set_new(json, "stays", json_boolean(row->is_kept));
    json_object_set_new(json, "why", json_string(reason_text(row->reason)));
    json_object_set_new(json, "bytes", json_integer((json_int_t)row->bytes));
    return json;
}

static void print_as_json(const struct pruned *pruned)
{
    const struct prune_plan *plan = &pruned->plan;
    json_t *rows = json_array();
    for (int i = 0; i < plan->count; i++)
        json_array_append_new(rows, row_json(&plan->rows[i]));
    json_t *json =
        json_pack("{s:s, s:b, s:i, s:i, s:I, s:I, s:o}", "path", pruned->request->view.path, "done",
                  (int)pruned->request->has_yes, "keep", pruned->cfg.keep, "going", plan->going,
                  "bytes", (json_int_t)plan->bytes, "unfinished_bytes",
                  (json_int_t)plan->unfinished_bytes, "checkpoints", rows);
    json_object_set_new(json, "freed_bytes", json_integer((json_int_t)pruned->freed_bytes));
    json_object_set_new(json, "not_compacted",
                        pruned->not_compacted ? json_string(pruned->not_compacted) : json_null());
    view_print_json(json);
}

static enum err prune(void *own)
{
    enum err err = ERR_OK;
    struct pruned pruned = {.request = own};
    TRY(open_both(&pruned));
    TRY(find_needed(&pruned));
    TRY(find_keep(&pruned));
    if (pruned.request->has_yes)
        TRY(let_go(&pruned));
    else
        TRY(prune_look(pruned.store, &pruned.cfg, &pruned.plan));
    if (pruned.request->has_json)
        print_as_json(&pruned);
    else
        TRY(print_as_text(&pruned));
out:
    pruned_fini(&pruned);
    return err;
}

enum err cmd_checkpoint_prune(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request = {0};
    TRY(read_options(argc, argv, &request));
    TRY(apart(prune, &request, request.view.path));
out:
    view_fini(&request.view);
    return err;
}
