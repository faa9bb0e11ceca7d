/* How a training stage is evaluated: its grid of sub-networks on the hold-out images, before, every
 * so often, and after; written to the metrics and, at the end, to results/<stage>.json. All ranks
 * call it together; rank 0 writes. */
#ifndef TRAINER_EVALUATE_GRID_EVAL_H
#define TRAINER_EVALUATE_GRID_EVAL_H

#include "trainer/evaluate/evaluate.h"
#include "trainer/record/event_log.h"
#include "trainer/spec/lr_schedule.h"
#include "trainer/workbench.h"

/* What workbench_open opened, as the evaluation wants it. Borrows the bench and the pass, which has
 * room for a micro-batch at the largest side (NULL: one of its own). Returns owned. */
MUST_CHECK enum err grid_eval_open(struct workbench *bench, struct activation_arena *arena,
                                   struct evaluate **evaluate);

struct grid_eval;
/* metrics: NULL on other ranks. pass: training's, which rests while the grid is measured. Borrows
 * everything. The rest of evaluation's memory is taken when it is first needed. Returns owned. */
struct grid_eval *grid_eval_create(struct workbench *bench, int stage,
                                   const struct lr_schedule *lr_schedule, struct event_log *events,
                                   struct activation_arena *arena);
void grid_eval_destroy(struct grid_eval **grid_eval); /* accepts NULL */

/* Whether the grid is to be measured now that `step` steps are done. */
bool grid_eval_is_due(const struct grid_eval *grid_eval, uint64_t step);
/* Collective: measures the grid, writes the event "evaluate". checkpoint: on rank 0, the one whose
 * weights these are; NULL in the middle of a stage, where they are of none: nothing can be reused.
 * ERR_INTERRUPTED when a stop was asked for: nothing is written then. */
MUST_CHECK enum err grid_eval_run(struct grid_eval *grid_eval, uint64_t step,
                                  const struct hash *checkpoint);
/* Rank 0: the weights of this step have become a checkpoint. Keeps what was measured on them, for
 * the next stage, or for the resume when a stop came in the middle of the grid. Does nothing when
 * the last grid was of another step. */
void grid_eval_keep(struct grid_eval *grid_eval, uint64_t step, const struct hash *checkpoint);

#endif
