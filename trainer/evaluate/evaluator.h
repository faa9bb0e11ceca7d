/* The border between search and measurement: search asks for a batch of candidates, somebody
 * measures them (trainer/evaluate/measure.c: this gang, or several). Accuracies are of the
 * hold-out images, batch norms calibrated for each. */
#ifndef TRAINER_EVALUATE_EVALUATOR_H
#define TRAINER_EVALUATE_EVALUATOR_H

#include "trainer/spec/subnet.h"

struct candidate {
    struct subnet subnet;
    int64_t macs;
    double accuracy; /* 0..1 hold-out top-1, filled by the evaluator */
    double loss;     /* mean cross entropy */
};

struct evaluator {
    void *own;
    /* Measures every candidate; the same numbers on every rank. Any error stops the search. */
    enum err (*measure)(struct evaluator *, struct candidate *candidates, int count);
    /* NULL: nobody listens. measure calls it when `done` of its candidates are measured. */
    void (*measured)(void *listener, int done);
    void *listener;
};

#endif
