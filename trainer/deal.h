/* Which images a rank computes at which step of a stage: the epoch's permutation, cut into global
 * batches, cut into micro-batches, dealt in runs. A function of seed, step and leaf; the number of
 * ranks only decides who takes which. One thread. */
#ifndef TRAINER_DEAL_H
#define TRAINER_DEAL_H

#include "trainer/feed.h"
#include "trainer/timetable.h"
#include "trainer/workbench.h"

struct deal; /* a feed of this rank's micro-batches, step after step */
/* From the micro-batches of `first_step` to the end of the stage. Borrows bench and timetable.
 * Returns owned. */
MUST_CHECK enum err deal_create(const struct workbench *bench, const struct timetable *timetable,
                                uint64_t first_step, struct deal **deal);
void deal_destroy(struct deal **deal); /* accepts NULL */

int deal_leaves(const struct deal *deal);  /* of this rank, in every step */
struct feed *deal_feed(struct deal *deal); /* borrowed */

/* Places of a leaf's images in the epoch's permutation: [*first, *first + micro). */
void deal_place(const struct timetable *timetable, int global_batch, int micro, uint64_t step,
                uint64_t leaf, uint64_t *epoch, uint64_t *first);

#endif
