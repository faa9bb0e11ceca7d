/* A run's stages as the scheduler sees them: what campaign_expand() lists, each with its key, the
 * lines the key was made of, and the stage whose checkpoint it starts from. Plain data; pure. */
#ifndef SCHEDULER_GRAPH_H
#define SCHEDULER_GRAPH_H

#include "trainer/spec/campaign.h"

struct graph_stage {
    char name[64];
    enum stage_kind kind;
    bool is_host; /* a `glowworm VERB` process; otherwise a gang of workers */
    int dependency_count;
    int dependencies[PLAN_MAX_DEPENDENCIES];
    int start_stage;   /* whose final checkpoint it starts from; -1: none (or teacher.from) */
    int teacher_stage; /* whose final checkpoint it is distilled from; -1: none */
    int target;        /* index in the campaign's targets; -1: of none */
    struct hash key;
    char *inputs; /* "knob=value" lines; owned: graph_fini */
};

struct graph {
    int count;
    struct graph_stage stages[PLAN_MAX_STAGES]; /* dependencies come first */
};

struct graph_cfg { /* all borrowed */
    const struct campaign *campaign;
    const struct space *space;
    const struct schedule *schedule;
    const struct hash *dataset;  /* content hash */
    const char *teacher_content; /* of an imported teacher, "" when there is none */
};

void graph_build(const struct graph_cfg *cfg, struct graph *graph);
void graph_fini(struct graph *graph); /* accepts a zeroed one */
/* Whether a stage needs `other`, directly or through others. */
bool graph_needs(const struct graph *graph, int stage, int other);

/* What differs between two sets of "knob=value" lines, a line each: "knob old -> new", "knob new"
 * (was not there), "knob removed". Appends nothing when they are equal. */
void graph_changes(const char *old_lines, const char *new_lines, struct text *changes);

#endif
