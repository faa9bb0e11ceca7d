/* glowworm checkpoint log: where the checkpoints of a store come from, as a tree. A checkpoint
 * follows the earlier save of its stage and settings, else the one its stage started from: a stage
 * is a pure function of its key, so nothing more has to be recorded. */
#include "base/mem.h"
#include "base/text.h"
#include "cluster/apart.h"
#include "cluster/checkpoint_view.h"
#include "cluster/command.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define WIDEST_LINE 100 /* longer changes are told in two lines */

struct node {
    struct checkpoint about; /* without values */
    char *names;
    int before;       /* what it follows, -1: none of this store */
    bool is_previous; /* `before` is a save of the same stage */
    bool is_shown, is_drawn;
};

struct lineage {
    struct node *nodes; /* in the order of saves */
    int count;
    int stage_width; /* of position texts */
};

struct request {
    struct checkpoint_view view;
    bool has_json;
};

static enum err read_options(int argc, char **argv, struct request *request)
{
    enum err err = ERR_OK;
    TRY(view_options(argc, argv, "name one store of checkpoints, or PATH@NAME for its ancestors",
                     &request->has_json));
    TRY(view_init(&request->view, argv[optind]));
out:
    return err;
}

static void lineage_fini(struct lineage *lineage)
{
    for (int i = 0; i < lineage->count; i++) {
        checkpoint_fini(&lineage->nodes[i].about);
        mem_free(lineage->nodes[i].names);
    }
    mem_free(lineage->nodes);
}

static bool is_content(const struct node *node, const char *hex)
{
    struct hash hash;
    return hash_parse(hex, &hash) && hash_equal(&hash, &node->about.content);
}

static bool is_same_stage(const struct node *left, const struct node *right)
{
    const struct checkpoint *l = &left->about, *r = &right->about;
    return strcmp(l->position.stage, r->position.stage) == 0 &&
           strcmp(l->meta.stage_key, r->meta.stage_key) == 0 &&
           strcmp(l->meta.parent, r->meta.parent) == 0;
}

static void find_before(struct lineage *lineage, int of)
{
    struct node *mine = &lineage->nodes[of];
    uint64_t best = 0;
    mine->before = -1;
    for (int i = 0; i < lineage->count; i++) {
        const struct node *other = &lineage->nodes[i];
        uint64_t step = other->about.position.step;
        if (i == of || !is_same_stage(other, mine) || step >= mine->about.position.step ||
            (mine->is_previous && step < best))
            continue;
        mine->before = i;
        mine->is_previous = true;
        best = step;
    }
    for (int i = 0; i < lineage->count && mine->before < 0; i++)
        if (i != of && is_content(&lineage->nodes[i], mine->about.meta.parent))
            mine->before = i;
}

/* What a writer drops meanwhile is left out. */
static enum err read_nodes(struct checkpoint_store *store, struct lineage *lineage)
{
    enum err err = ERR_OK;
    struct checkpoint_entry *entries = NULL;
    int count = 0;
    TRY(checkpoint_list(store, &entries, &count));
    lineage->nodes = mem_array((size_t)count, sizeof *lineage->nodes);
    for (int i = 0; i < count; i++) {
        char hex[HASH_HEX_BYTES], position[128];
        struct node *node = &lineage->nodes[lineage->count];
        hash_hex(&entries[i].content, hex);
        err = checkpoint_peek(store, hex, &node->about);
        if (err == ERR_NOT_FOUND) {
            err = ERR_OK;
            continue;
        }
        TRY(err);
        node->names = mem_string(entries[i].names);
        view_position_text(&node->about.position, position);
        int width = (int)strlen(position);
        lineage->stage_width = width > lineage->stage_width ? width : lineage->stage_width;
        lineage->count++;
    }
    for (int i = 0; i < lineage->count; i++)
        find_before(lineage, i);
out:
    checkpoint_entries_free(entries, count);
    return err;
}

/* Everything, or one and what it descends from. Damaged records may go round in a circle. */
static enum err choose_shown(struct checkpoint_store *store, const struct checkpoint_view *view,
                             struct lineage *lineage)
{
    enum err err = ERR_OK;
    struct checkpoint named = {0};
    for (int i = 0; i < lineage->count && !view->is_named; i++)
        lineage->nodes[i].is_shown = true;
    if (!view->is_named)
        return ERR_OK;
    TRY(checkpoint_peek(store, view->name, &named));
    int at = lineage->count - 1;
    while (at >= 0 && !hash_equal(&lineage->nodes[at].about.content, &named.content))
        at--;
    for (; at >= 0 && !lineage->nodes[at].is_shown; at = lineage->nodes[at].before)
        lineage->nodes[at].is_shown = true;
out:
    checkpoint_fini(&named);
    return err;
}

/* The names that position does not tell already. */
static void add_names(const struct node *node, struct text *line)
{
    char *copy = mem_string(node->names), *rest = NULL, own[2][80];
    snprintf(own[0], sizeof own[0], "%s/latest", node->about.position.stage);
    snprintf(own[1], sizeof own[1], "%s/final", node->about.position.stage);
    for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        if (strcmp(name, own[0]) != 0 && strcmp(name, own[1]) != 0)
            text_add(line, "  %s", name);
    mem_free(copy);
}

static void find_changes(const struct lineage *lineage, const struct node *node, struct text *lines)
{
    if (node->before >= 0)
        view_changes(&lineage->nodes[node->before].about, &node->about, lines);
}

static void print_bars(int depth)
{
    for (int i = 0; i < depth; i++)
        printf("| ");
}

/* "what old -> new": in two lines where it is long. */
static void print_change(int depth, bool is_followed, const char *change, size_t size)
{
    const char *arrow = memmem(change, size, " -> ", 4);
    size_t used = 2 * (size_t)depth + 4, head = arrow ? (size_t)(arrow - change) : size;
    bool is_split = arrow && used + size > WIDEST_LINE;
    print_bars(depth);
    printf("%s%.*s\n", is_followed ? "|   " : "    ", (int)(is_split ? head : size), change);
    if (!is_split)
        return;
    print_bars(depth);
    printf("%s  %.*s\n", is_followed ? "|   " : "    ", (int)(size - head - 1), arrow + 1);
}

static void print_changes(const struct lineage *lineage, const struct node *node, int depth,
                          bool is_followed)
{
    struct text changes;
    text_init(&changes);
    if (node->before < 0 && node->about.meta.parent[0])
        text_add(&changes, "started from %.*s, which is not in this store\n", VIEW_HASH_DIGITS,
                 node->about.meta.parent);
    find_changes(lineage, node, &changes);
    for (const char *at = text_get(&changes); *at;) {
        size_t size = strcspn(at, "\n");
        print_change(depth, is_followed, at, size);
        at += size + (at[size] == '\n');
    }
    text_fini(&changes);
}

static void print_node(const struct lineage *lineage, const struct node *node, int depth,
                       bool is_followed)
{
    char hex[HASH_HEX_BYTES], position[128], saved[32];
    struct text names;
    text_init(&names);
    hash_hex(&node->about.content, hex);
    view_position_text(&node->about.position, position);
    view_wall_text(node->about.meta.saved_ms, saved);
    add_names(node, &names);
    print_bars(depth);
    printf("* %.*s  %-*s  %s%s\n", VIEW_HASH_DIGITS, hex, lineage->stage_width, position, saved,
           text_get(&names));
    print_changes(lineage, node, depth, is_followed);
    text_fini(&names);
}

/* The next one behind `from` that is shown and follows `of`; -1: none. */
static int next_child(const struct lineage *lineage, int of, int from)
{
    for (int i = from; i < lineage->count; i++)
        if (lineage->nodes[i].before == of && lineage->nodes[i].is_shown &&
            !lineage->nodes[i].is_drawn)
            return i;
    return -1;
}

/* From here on down. The child saved last stays in the column, those before it branch off. */
static void draw(struct lineage *lineage, int at, int depth)
{
    while (at >= 0) {
        lineage->nodes[at].is_drawn = true;
        int child = next_child(lineage, at, 0);
        print_node(lineage, &lineage->nodes[at], depth, child >= 0);
        for (int next; child >= 0 && (next = next_child(lineage, at, child + 1)) >= 0;
             child = next) {
            print_bars(depth);
            printf("|\\\n");
            draw(lineage, child, depth + 1);
        }
        at = child;
    }
}

static void draw_all(struct lineage *lineage)
{
    for (int pass = 0; pass < 2; pass++) /* roots, then what goes round in a circle */
        for (int i = 0; i < lineage->count; i++) {
            const struct node *node = &lineage->nodes[i];
            if (node->is_shown && !node->is_drawn && (pass == 1 || node->before < 0))
                draw(lineage, i, 0);
        }
}

static json_t *node_json(const struct lineage *lineage, const struct node *node)
{
    const struct checkpoint_meta *meta = &node->about.meta;
    json_t *json = view_position_json(&node->about.position, &node->about.content);
    char before[HASH_HEX_BYTES] = "";
    struct text changes;
    text_init(&changes);
    find_changes(lineage, node, &changes);
    if (node->before >= 0)
        hash_hex(&lineage->nodes[node->before].about.content, before);
    json_object_set_new(json, "saved_ms", json_integer(meta->saved_ms));
    json_object_set_new(json, "names", view_words_json(node->names));
    json_object_set_new(json, "parent", meta->parent[0] ? json_string(meta->parent) : json_null());
    json_object_set_new(json, "follows", before[0] ? json_string(before) : json_null());
    json_object_set_new(json, "stage_key", json_string(meta->stage_key));
    json_object_set_new(json, "lineage", json_string(meta->lineage));
    json_object_set_new(json, "mixed", view_lines_json(meta->mixed));
    json_object_set_new(json, "changes", view_lines_json(text_get(&changes)));
    text_fini(&changes);
    return json;
}

static void print_as_json(const struct lineage *lineage)
{
    json_t *array = json_array();
    for (int i = 0; i < lineage->count; i++)
        if (lineage->nodes[i].is_shown)
            json_array_append_new(array, node_json(lineage, &lineage->nodes[i]));
    view_print_json(array);
}

static enum err print_log(void *own)
{
    enum err err = ERR_OK;
    const struct request *request = own;
    struct checkpoint_store *store = NULL;
    struct lineage lineage = {0};
    TRY(view_open(&request->view, &store));
    TRY(read_nodes(store, &lineage));
    TRY(choose_shown(store, &request->view, &lineage));
    if (request->has_json)
        print_as_json(&lineage);
    else
        draw_all(&lineage);
out:
    lineage_fini(&lineage);
    checkpoint_store_close(&store);
    return err;
}

enum err cmd_checkpoint_log(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request = {0};
    TRY(read_options(argc, argv, &request));
    TRY(apart(print_log, &request, request.view.path));
out:
    view_fini(&request.view);
    return err;
}
