/* A measurement: how well one sub-network of one checkpoint did on one set of images. It is found
 * by a hash of everything its numbers depend on, so that nothing is measured twice: not behind a
 * stop, not for one more target, not by the next stage or by another gang. A record holds its key's
 * text and the score as the trainer packs it (trainer/evaluate/eval_metrics.h), under a checksum: a
 * damaged one is not believed. Whoever keeps records (the run's journal) does not look into them.
 */
#ifndef TRAINER_CHECKPOINT_MEASUREMENT_H
#define TRAINER_CHECKPOINT_MEASUREMENT_H

#include "base/err.h"
#include "base/hash.h"
#include "base/text.h"
#include <stdint.h>

/* The first line of every key: records of another format are never found. Raise it when the score's
 * packing changes its meaning. */
#define MEASUREMENT_FORMAT 1

struct measurement_key { /* what the numbers depend on; borrowed */
    const struct hash *checkpoint;
    const char *subnet; /* canonical, with its resolution */
    const char *split;  /* "holdout", "test" */
    const char *space;  /* its lines, or "": the same tensors may be wired in another way */
    const struct hash *dataset;
    uint32_t holdout;        /* training images held out */
    int batch;               /* images of a leaf: losses are summed leaf by leaf */
    const char *calibration; /* "name=value" lines of calibrate_describe() */
    const char *precision;   /* "fp32", "bf16" */
    const char *lineage;     /* what may change bits: the gang's devices, rank by rank; no host */
    int training_version;
};
/* Appends the key as lines "name=value": what is hashed and kept. */
void measurement_key_write(const struct measurement_key *key, struct text *text);

struct measurement { /* one record; borrowed */
    const char *key; /* the text */
    const void *score;
    size_t score_bytes;
};

#endif
