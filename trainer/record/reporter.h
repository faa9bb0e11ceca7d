/* What a stage tells while it runs, and to whom: progress, durable saves, warnings. It asks the
 * other way round too, whether it is to stop. The thread that trains. */
#ifndef TRAINER_RECORD_REPORTER_H
#define TRAINER_RECORD_REPORTER_H

#include "base/hash.h"
#include "trainer/gang/work.h"
#include <stdbool.h>
#include <stdint.h>

struct progress { /* what people want to know while a stage runs */
    uint64_t step, steps;
    uint64_t reused; /* of `step` measurements: not measured again */
    double epoch;
    double images_per_second; /* 0: not known yet */
    double loss;
    double accuracy;   /* 0..1; below 0: not known */
    const char *doing; /* "training", "evaluating", ... */
};

struct observer { /* who listens; any function may be NULL */
    void *own;
    struct rank_work *work; /* on every rank: moves with the work; NULL: nobody watches. Borrowed */
    bool (*wants_stop)(void *own); /* asked on every rank at every step boundary */
    void (*progress)(void *own, const struct progress *progress);        /* rank 0, often */
    void (*saved)(void *own, uint64_t step, const struct hash *content); /* rank 0, durable */
    void (*warning)(void *own, const char *text); /* rank 0: what a person should know */
};

struct reporter {
    const struct observer *observer; /* borrowed; NULL: nobody listens */
    int rank;
    struct progress last; /* what was told last; .doing NULL: nothing yet */
};

bool reporter_wants_stop(const struct reporter *reporter);
void reporter_progress(struct reporter *reporter, const struct progress *progress);
/* A sign of life between two words of progress: tells the last one again. For whoever computes for
 * long, on every rank and behind every micro-batch: a rank that stands still is taken for hung. */
void reporter_is_alive(struct reporter *reporter);
enum reporter_wait { REPORTER_WORKS, REPORTER_WAITS };
/* Around a wait for the disk: it may take as long as the disk likes. */
void reporter_set_waiting(const struct reporter *reporter, enum reporter_wait wait);
/* What the waits of others show themselves in; NULL: nobody watches. Borrowed. */
struct rank_work *reporter_work(const struct reporter *reporter);
/* Rank 0 logs it and tells whoever listens: the work goes on, but a person should know. */
void reporter_warn(const struct reporter *reporter, const char *text);
void reporter_saved(const struct reporter *reporter, uint64_t step, const struct hash *content);

#endif
