/* A measurement: how well one sub-network of one checkpoint did on one set of images. A table of
 * the checkpoint store keeps them, found by a hash of everything their numbers depend on, so that
 * nothing is measured twice: not behind a stop, not for one more target, not by the next stage. A
 * record holds its key's text and the score as the trainer packs it
 * (trainer/evaluate/eval_metrics.h), under a checksum: a damaged one is not believed. Written by
 * the store's one writer, its async writer's thread.
 *
 * Measurements stay when their checkpoint goes: they are small (600 bytes; a detailed one of ten
 * classes 1 KB), and training that is done again ends with the same checkpoint. A store of before
 * this table is read as one without measurements. */
#ifndef TRAINER_CHECKPOINT_MEASUREMENT_H
#define TRAINER_CHECKPOINT_MEASUREMENT_H

#include "base/text.h"
#include "trainer/checkpoint/checkpoint.h"

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

/* Any thread. The packed score of that key, appended; one that is not durable yet is found too.
 * ERR_NOT_FOUND; ERR_DATA: the record is damaged, which the text says. */
MUST_CHECK enum err measurement_find(struct checkpoint_store *store, const char *key,
                                     struct text *score);

/* At most so many measurements are not durable yet: what a kill loses. */
#define MEASUREMENT_BATCH 8

/* Copies the record and returns; the writer's thread writes what has gathered in one transaction.
 * Waits only while MEASUREMENT_BATCH are not durable. Replaces a record of the same key. When one
 * cannot be written the log says so once, and no more are kept: the numbers are right without. The
 * thread that saves. Writers only. checkpoint_finish() waits until all are durable, and so does
 * closing the store. */
void measurement_keep(struct checkpoint_store *store, const struct measurement *measurement);

/* Visits every whole record, in no order that means anything. ERR_DATA: how many are damaged, said
 * behind the last visit. An error of the visitor ends the walk and is returned. */
MUST_CHECK enum err
measurement_each(struct checkpoint_store *store,
                 enum err (*visit)(const struct measurement *measurement, void *own), void *own);

#endif
