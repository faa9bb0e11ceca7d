/* How a training stage is judged: its grid of sub-networks on the hold-out images, before, every so
 * often, and after; written to the metrics and, at the end, to results/<stage>.json. All ranks call
 * it together; rank 0 writes. */
#ifndef TRAINER_JUDGE_H
#define TRAINER_JUDGE_H

#include "trainer/evaluate.h"
#include "trainer/metrics.h"
#include "trainer/timetable.h"
#include "trainer/workbench.h"

/* What workbench_open opened, as the evaluation wants it. Borrows the bench and the pass, which has
 * room for a micro-batch at the largest side (NULL: one of its own). Returns owned. */
MUST_CHECK enum err judge_open(struct workbench *bench, struct pass *pass,
                               struct evaluate **evaluate);

struct judge;
/* metrics: NULL on other ranks. pass: training's, which rests while the grid is measured. Borrows
 * everything. The rest of evaluation's memory is taken when it is first needed. Returns owned. */
struct judge *judge_create(struct workbench *bench, int stage, const struct timetable *timetable,
                           struct metrics *metrics, struct pass *pass);
void judge_destroy(struct judge **judge); /* accepts NULL */

/* Whether the grid is to be measured now that `step` steps are done. */
bool judge_is_due(const struct judge *judge, uint64_t step);
/* Collective: measures the grid, writes the event "evaluate". checkpoint: on rank 0, the one whose
 * weights these are; NULL in the middle of a stage, where they are of none: nothing can be reused.
 * ERR_INTERRUPTED when a stop was asked for: nothing is written then. */
MUST_CHECK enum err judge_grid(struct judge *judge, uint64_t step, const struct hash *checkpoint);
/* Rank 0: the weights of this step have become a checkpoint. Keeps what was measured on them, for
 * the next stage, or for the resume when a stop came in the middle of the grid. Does nothing when
 * the last grid was of another step. */
void judge_keep(struct judge *judge, uint64_t step, const struct hash *checkpoint);

#endif
