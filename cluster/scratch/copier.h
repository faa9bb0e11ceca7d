/* Publishes a run now and then, while it runs: starts `glowworm publish` as a child and looks after
 * it in the loop's ticks, so that the loop never waits for a disk. A failure is said, and tried
 * again. One thread, the loop's. */
#ifndef CLUSTER_SCRATCH_COPIER_H
#define CLUSTER_SCRATCH_COPIER_H

#include "scheduler/loop.h"

struct copier_cfg {       /* borrowed */
    const char *glowworm; /* the program */
    const char *run_folder, *stores;
    uint64_t claim;
    double every_s;                          /* resources: checkpoint.publish */
    const struct loop_view *meanwhile;       /* ticked in copier_finish() */
    const volatile sig_atomic_t *stop_asked; /* a third request ends copier_finish() */
};

struct copier;
struct copier *copier_create(const struct copier_cfg *cfg); /* returns owned */
/* The loop's view of it: publishes whenever a stage is done, and every so often. Borrowed. */
const struct loop_view *copier_view(struct copier *copier);

/* The loop has ended: publishes what there is, and waits for that. Errors: those of the child, with
 * what it said; ERR_INTERRUPTED. */
MUST_CHECK enum err copier_finish(struct copier *copier);
/* Ends a child that runs. Accepts NULL. */
void copier_destroy(struct copier **copier);

#endif
