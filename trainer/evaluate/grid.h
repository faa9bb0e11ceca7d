/* The sub-networks a phase is evaluated by: the corners of what it leaves open (OFA reference file,
 * sec. 3.8). Pure. */
#ifndef TRAINER_EVALUATE_GRID_H
#define TRAINER_EVALUATE_GRID_H

#include "trainer/spec/subnet.h"

#define GRID_MAX 8

struct grid_row {
    char label[32]; /* "K7 E6 D4", "biggest", "smallest" */
    struct subnet subnet;
};

struct grid {
    int count;
    struct grid_row rows[GRID_MAX]; /* no two alike; the biggest first */
};

/* {max, min} of the open kernels x expansions x depths, each uniform over the network. The biggest
 * and the smallest of the whole space are called by those names. */
void grid_of(const struct space *space, const struct open_choices *open, int resolution,
             struct grid *grid);

#endif
