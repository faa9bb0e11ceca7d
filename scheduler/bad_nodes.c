#include "scheduler/bad_nodes.h"
#include "base/mem.h"
#include "scheduler/node_list.h"
#include <stdio.h>
#include <string.h>

#define ENDS 2 /* in a row leave a node out */

static struct bad_node *find(struct bad_nodes *nodes, const char *name)
{
    for (int i = 0; i < nodes->count; i++)
        if (strcmp(nodes->list[i].name, name) == 0)
            return &nodes->list[i];
    return NULL;
}

static struct bad_node *find_or_add(struct bad_nodes *nodes, const char *name)
{
    struct bad_node *node = find(nodes, name);
    if (node || nodes->count == BAD_NODES_MAX)
        return node;
    node = &nodes->list[nodes->count++];
    *node = (struct bad_node){0};
    snprintf(node->name, sizeof node->name, "%s", name);
    return node;
}

bool bad_nodes_add(struct bad_nodes *nodes, const char *name, const char *why)
{
    struct bad_node *node = find_or_add(nodes, name);
    if (!node)
        return false;
    node->ends++;
    snprintf(node->why, sizeof node->why, "%s", why);
    bool was_excluded = node->is_excluded;
    node->is_excluded = node->ends >= ENDS;
    return node->is_excluded && !was_excluded;
}

void bad_nodes_forgive(struct bad_nodes *nodes)
{
    for (int i = 0; i < nodes->count; i++)
        if (!nodes->list[i].is_excluded)
            nodes->list[i].ends = 0;
}

int bad_nodes_excluded(const struct bad_nodes *nodes)
{
    int count = 0;
    for (int i = 0; i < nodes->count; i++)
        count += nodes->list[i].is_excluded;
    return count;
}

int bad_nodes_excluded_of(const struct bad_nodes *nodes, const struct allocation *allocation)
{
    int count = 0;
    for (int i = 0; i < nodes->count; i++)
        count += nodes->list[i].is_excluded &&
                 (!allocation->names || node_list_has(allocation->names, nodes->list[i].name));
    return count;
}

void bad_nodes_write(const struct bad_nodes *nodes, char *list, int room)
{
    int used = 0;
    list[0] = '\0';
    for (int i = 0; i < nodes->count && used < room; i++)
        if (nodes->list[i].is_excluded)
            used += snprintf(list + used, (size_t)(room - used), "%s%s", used > 0 ? "," : "",
                             nodes->list[i].name);
}

/* A name of one node, not "n[1-2]". */
static bool is_name(const char *text, size_t size)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return size > 0 && size < JOURNAL_NODE && text[0] != '-' && strspn(text, letters) >= size;
}

/* "n2: task 1: Exited with exit code 9": both sizes in bytes. */
static void take_blame(const char *text, int name, int size, struct blame *blame)
{
    int behind = name + (int)strlen(": ");
    snprintf(blame->node, sizeof blame->node, "%.*s", name, text);
    snprintf(blame->said, sizeof blame->said, "%.*s", size - behind, text + behind);
}

/* "srun: error: n2: task 1: Exited with exit code 9"; the rest of a gang is ended for it, and named
 * behind it. */
void bad_nodes_blame(const char *log, struct blame *blame)
{
    static const char start[] = "srun: error: ";
    *blame = (struct blame){0};
    for (const char *line = log; *line;) {
        int size = (int)strcspn(line, "\n");
        const char *node = line + strlen(start);
        int name = strncmp(line, start, strlen(start)) == 0 ? (int)strcspn(node, ":\n") : 0;
        if (name > 0 && strncmp(node + name, ": task", 6) == 0) {
            if (is_name(node, (size_t)name))
                take_blame(node, name, size - (int)strlen(start), blame);
            return;
        }
        line += size + (line[size] == '\n');
    }
}

void bad_nodes_blame_word(const char *text, struct blame *blame)
{
    int rank = 0, at = 0;
    *blame = (struct blame){0};
    if (sscanf(text, "rank %d on %n", &rank, &at) != 1 || at == 0)
        return;
    const char *node = text + at;
    int name = (int)strcspn(node, ":");
    if (node[name] == ':' && node[name + 1] == ' ' && is_name(node, (size_t)name))
        take_blame(node, name, (int)strlen(node), blame);
}

struct recalled { /* the attempts that tell of nodes, in their order */
    int count;
    struct attempt_record *records;
};

static enum err collect(const struct attempt_record *record, void *own)
{
    struct recalled *list = own;
    bool is_step = record->last_step > record->first_step;
    if (record->is_helper || (record->cause != CAUSE_NODE && !is_step))
        return ERR_OK;
    size_t bytes = (size_t)list->count * sizeof *record;
    list->records = mem_grow(list->records, bytes, bytes + sizeof *record);
    list->records[list->count++] = *record;
    return ERR_OK;
}

static enum err is_forgiven(struct journal *journal, const struct attempt_record *record,
                            bool *forgiven)
{
    enum err err = ERR_OK;
    struct stage_record stage = {0};
    TRY(journal_stage(journal, &record->key, &stage));
    *forgiven = record->lease_epoch <= stage.forgiven_epoch;
    stage_record_fini(&stage);
out:
    return err;
}

enum err bad_nodes_recall(struct journal *journal, struct bad_nodes *nodes)
{
    enum err err = ERR_OK;
    struct recalled list = {0};
    *nodes = (struct bad_nodes){0};
    TRY(journal_attempts(journal, collect, &list));
    for (int i = 0; i < list.count; i++) {
        const struct attempt_record *record = &list.records[i];
        bool forgiven = false;
        if (record->cause != CAUSE_NODE) {
            bad_nodes_forgive(nodes);
            continue;
        }
        TRY(is_forgiven(journal, record, &forgiven));
        if (!forgiven)
            (void)bad_nodes_add(nodes, record->node, record->text);
    }
out:
    mem_free(list.records);
    return err;
}
