/* What a person sees while a run goes on, on standard error: one line that refreshes itself on a
 * terminal, a line now and then elsewhere, of the gang that spoke last; stages that start, end and
 * fail always get lines of their own. NO_COLOR is obeyed. One thread. */
#ifndef CLUSTER_PROGRESS_H
#define CLUSTER_PROGRESS_H

#include "scheduler/loop.h"
#include <stdio.h>

struct progress_cfg {
    FILE *out; /* borrowed; standard error */
    bool is_terminal, has_colour;
    double every_s;              /* between two lines where it is no terminal */
    const struct graph *graph;   /* borrowed */
    const struct survey *survey; /* borrowed */
    const char *run_folder;      /* borrowed */
};
/* What the environment says about `out`. */
void progress_look(struct progress_cfg *cfg);

struct progress;
struct progress *progress_create(const struct progress_cfg *cfg); /* returns owned */
void progress_destroy(struct progress **progress);                /* accepts NULL */
/* The loop's view of it, borrowed. */
const struct loop_view *progress_view(struct progress *progress);

/* "1 h 02 min", "3 min 20 s", "4.2 s": appended. */
void progress_duration(double seconds, char text[32]);

#endif
