#include "scheduler/graph.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

/* What the key covers beside the campaign's own lines, as lines too: they are shown when they
 * change. */
static void add_content_lines(const struct graph_cfg *cfg, struct text *lines)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(cfg->dataset, hex);
    text_add(lines, "dataset.content=%.16s\n", hex);
    if (cfg->teacher_content[0])
        text_add(lines, "teacher.content=%.16s\n", cfg->teacher_content);
    text_add(lines, "training_version=%d\n", TRAINING_VERSION);
}

/* campaign_expand() lists first the stage whose checkpoint this one starts from; where that is not
 * a training stage (compile comes behind the search), the one it started from. A distilling stage's
 * second dependency is its teacher, unless it starts from the teacher anyway. */
static void find_checkpoints(const struct graph *graph, bool has_teacher, struct graph_stage *stage)
{
    stage->start_stage = stage->teacher_stage = -1;
    if (stage->dependency_count == 0)
        return;
    int first = stage->dependencies[0];
    bool is_training = graph->stages[first].kind == STAGE_TRAIN;
    stage->start_stage = is_training ? first : graph->stages[first].start_stage;
    if (stage->kind == STAGE_TRAIN && stage->dependency_count > 1)
        stage->teacher_stage = stage->dependencies[1];
    else if (stage->kind == STAGE_TRAIN && has_teacher && first == 0)
        stage->teacher_stage = first;
}

void graph_build(const struct graph_cfg *cfg, struct graph *graph)
{
    struct plan *plan = mem_alloc(sizeof *plan);
    struct hash *keys = mem_array(PLAN_MAX_STAGES, sizeof *keys);
    memset(graph, 0, sizeof *graph);
    campaign_expand(cfg->campaign, cfg->schedule, plan);
    graph->count = plan->stage_count;
    for (int i = 0; i < plan->stage_count; i++) {
        const struct stage_plan *from = &plan->stages[i];
        struct graph_stage *stage = &graph->stages[i];
        struct text lines;
        text_init(&lines);
        campaign_stage_inputs(cfg->campaign, cfg->space, cfg->schedule, plan, i, &lines);
        keys[i] =
            campaign_stage_key(text_get(&lines), plan, i, keys, cfg->dataset, cfg->teacher_content);
        add_content_lines(cfg, &lines);
        snprintf(stage->name, sizeof stage->name, "%s", from->name);
        stage->kind = from->kind;
        stage->is_host = from->kind == STAGE_COMPILE || stage_is_verdict(from->kind) ||
                         from->kind == STAGE_REPORT;
        stage->target = from->target;
        stage->dependency_count = from->dependency_count;
        memcpy(stage->dependencies, from->dependencies, sizeof stage->dependencies);
        find_checkpoints(graph, cfg->campaign->teacher.from[0] == '\0', stage);
        stage->key = keys[i];
        stage->inputs = mem_string(text_get(&lines));
        text_fini(&lines);
    }
    mem_free(keys);
    mem_free(plan);
}

void graph_fini(struct graph *graph)
{
    for (int i = 0; i < graph->count; i++)
        mem_free(graph->stages[i].inputs);
    memset(graph, 0, sizeof *graph);
}

bool graph_needs(const struct graph *graph, int stage, int other)
{
    const struct graph_stage *asking = &graph->stages[stage];
    for (int i = 0; i < asking->dependency_count; i++)
        if (asking->dependencies[i] == other ||
            (asking->dependencies[i] > other && graph_needs(graph, asking->dependencies[i], other)))
            return true;
    return false;
}

struct line { /* "knob=value", borrowed */
    const char *knob, *value;
    int knob_size, value_size;
};

/* Reads the next line and moves on. False at the end. */
static bool next_line(const char **at, struct line *line)
{
    while (**at == '\n')
        (*at)++;
    if (**at == '\0')
        return false;
    const char *end = *at + strcspn(*at, "\n");
    const char *equals = memchr(*at, '=', (size_t)(end - *at));
    line->knob = *at;
    line->knob_size = (int)((equals ? equals : end) - *at);
    line->value = equals ? equals + 1 : end;
    line->value_size = (int)(end - line->value);
    *at = end;
    return true;
}

static bool find_line(const char *lines, const struct line *wanted, struct line *found)
{
    while (next_line(&lines, found))
        if (found->knob_size == wanted->knob_size &&
            memcmp(found->knob, wanted->knob, (size_t)wanted->knob_size) == 0)
            return true;
    return false;
}

/* Several lines may begin alike, such as a device's rules: what stands on both sides has not
 * changed. */
static bool has_line(const char *lines, const struct line *wanted)
{
    struct line line;
    while (next_line(&lines, &line))
        if (line.knob_size == wanted->knob_size && line.value_size == wanted->value_size &&
            memcmp(line.knob, wanted->knob, (size_t)wanted->knob_size) == 0 &&
            memcmp(line.value, wanted->value, (size_t)wanted->value_size) == 0)
            return true;
    return false;
}

void graph_changes(const char *old_lines, const char *new_lines, struct text *changes)
{
    struct line line, other;
    for (const char *at = new_lines; next_line(&at, &line);) {
        if (has_line(old_lines, &line))
            continue;
        if (!find_line(old_lines, &line, &other))
            text_add(changes, "%.*s %.*s (was not set)\n", line.knob_size, line.knob,
                     line.value_size, line.value);
        else
            text_add(changes, "%.*s %.*s -> %.*s\n", line.knob_size, line.knob, other.value_size,
                     other.value, line.value_size, line.value);
    }
    for (const char *at = old_lines; next_line(&at, &line);)
        if (!find_line(new_lines, &line, &other))
            text_add(changes, "%.*s %.*s removed\n", line.knob_size, line.knob, line.value_size,
                     line.value);
}
