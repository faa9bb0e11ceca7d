/* How a training stage is evaluated: its grid of sub-networks on the hold-out images, before, every
 * so often, and after; written to the event log and, at the end, to results/<stage>.json. All ranks
 * call it together; rank 0 writes. */
#ifndef TRAINER_EVALUATE_GRID_EVAL_H
#define TRAINER_EVALUATE_GRID_EVAL_H

#include "trainer/evaluate/evaluate_open.h"
#include "trainer/record/event_log.h"
#include "trainer/spec/lr_schedule.h"

struct grid_eval_cfg { /* all borrowed */
    struct evaluate_parts parts;
    const struct phase *phase;
    const struct lr_schedule *lr_schedule;
    struct event_log *events;       /* NULL on other ranks */
    struct activation_arena *arena; /* training's, which rests while the grid is measured; room for
                                       a micro-batch at the largest side. NULL: one of its own */
};

struct grid_eval;
/* Evaluation's memory is taken when it is first needed. Returns owned. */
struct grid_eval *grid_eval_create(const struct grid_eval_cfg *cfg);
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
