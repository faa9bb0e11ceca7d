/* What an edit, another machine or another program changed between two checkpoints. */
#include "base/mem.h"
#include "base/yaml/yaml.h"
#include "cluster/checkpoint_view.h"
#include "scheduler/graph.h"
#include <stdio.h>
#include <string.h>

#define LONGEST_KNOB 256

/* The knobs below a node as "knob=value" lines; `knob` is its own name, changed and restored. */
static void add_lines(const struct yaml_node *node, char knob[LONGEST_KNOB], struct text *lines)
{
    size_t length = strlen(knob);
    if (node->kind == YAML_SCALAR)
        text_add(lines, "%s=%s\n", knob, node->text);
    else if (node->count == 0)
        text_add(lines, "%s=%s\n", knob, node->kind == YAML_LIST ? "[]" : "{}");
    for (int i = 0; node->kind != YAML_SCALAR && i < node->count; i++) {
        if (node->kind == YAML_LIST)
            snprintf(knob + length, LONGEST_KNOB - length, "[%d]", i);
        else
            snprintf(knob + length, LONGEST_KNOB - length, "%s%s", length > 0 ? "." : "",
                     node->keys[i]->text);
        add_lines(node->items[i], knob, lines);
        knob[length] = '\0';
    }
}

static bool read_lines(const char *campaign, struct text *lines)
{
    char knob[LONGEST_KNOB] = "";
    struct yaml *yaml = NULL;
    if (yaml_parse("campaign", campaign, strlen(campaign), &yaml) != ERR_OK)
        return false;
    if (yaml_root(yaml)->kind == YAML_MAP)
        add_lines(yaml_root(yaml), knob, lines);
    yaml_close(&yaml);
    return true;
}

static void add_campaign(const char *old, const char *now, struct text *lines)
{
    struct text before, after;
    text_init(&before);
    text_init(&after);
    bool is_compared = old[0] == '\0' || now[0] == '\0' || strcmp(old, now) == 0;
    if (!is_compared && read_lines(old, &before) && read_lines(now, &after)) {
        graph_changes(text_get(&before), text_get(&after), lines);
        is_compared = true;
    }
    if (!is_compared)
        text_add(lines, "campaign differs, and cannot be read\n");
    text_fini(&before);
    text_fini(&after);
}

/* The first line of a text, or what there is of it. */
static void add_text(const char *what, const char *old, const char *now, struct text *lines)
{
    if (strcmp(old, now) != 0)
        text_add(lines, "%s %s -> %s\n", what, old[0] ? old : "none", now[0] ? now : "none");
}

static void add_number(const char *what, double old, double now, struct text *lines)
{
    if (old == now)
        return;
    text_add(lines, "%s ", what);
    text_add_real(lines, old);
    text_add(lines, " -> ");
    text_add_real(lines, now);
    text_add(lines, "\n");
}

/* "program; device", as training writes it */
static void add_lineage(const char *old, const char *now, struct text *lines)
{
    const char *old_device = strstr(old, "; "), *device = strstr(now, "; ");
    if (!old_device || !device) {
        add_text("lineage", old, now, lines);
        return;
    }
    char *old_program = mem_string(old), *program = mem_string(now);
    old_program[old_device - old] = '\0';
    program[device - now] = '\0';
    add_text("program", old_program, program, lines);
    add_text("device", old_device + 2, device + 2, lines);
    mem_free(old_program);
    mem_free(program);
}

void view_changes(const struct checkpoint *old, const struct checkpoint *now, struct text *lines)
{
    const struct checkpoint_meta *before = &old->meta, *after = &now->meta;
    add_campaign(before->campaign, after->campaign, lines);
    if (strcmp(before->space, after->space) != 0)
        text_add(lines, "the text of the space\n");
    add_number("width", before->width_multiplier, after->width_multiplier, lines);
    add_number("classes", before->classes, after->classes, lines);
    add_number("channels", before->channels, after->channels, lines);
    if (before->dataset[0] && after->dataset[0] && strcmp(before->dataset, after->dataset) != 0)
        text_add(lines, "data set %.12s -> %.12s\n", before->dataset, after->dataset);
    add_number("ranks", before->ranks, after->ranks, lines);
    add_lineage(before->lineage, after->lineage, lines);
}
