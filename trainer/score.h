/* How well a sub-network does on a set of images: counts, loss, and on request the confusion matrix
 * and the images it gets most wrong. Computed on the host from logits, in double precision. One
 * thread. */
#ifndef TRAINER_SCORE_H
#define TRAINER_SCORE_H

#include "base/text.h"
#include "trainer/comm.h"
#include "trainer/data/loader.h"

#define SCORE_WORST      12
#define SCORE_MAX_MATRIX 100 /* classes */

struct worst_image {
    uint32_t record;
    int32_t label, predicted;
    double loss; /* cross entropy in nats */
};

struct score_class {
    double images, predicted, right; /* that are of it, that were taken for it, both */
};

struct score {
    uint64_t images, correct;
    double accuracy;               /* top-1, 0..1: correct / images */
    double loss;                   /* mean cross entropy, no smoothing */
    int classes;                   /* 0: the rest was not asked for */
    struct score_class *per_class; /* (classes) owned */
    /* (classes,classes): true by predicted, images. Owned; NULL above SCORE_MAX_MATRIX classes,
     * whose square nobody can look at and no rank should have to sum. */
    double *confusion;
    int worst_count;
    struct worst_image worst[SCORE_WORST]; /* highest loss first */
};
void score_fini(struct score *score); /* accepts a zeroed one */

/* Of what was predicted as class c, the part that is c; of what is c, the part that was found. NAN
 * where nothing was predicted as c, or nothing is c. */
double score_precision(const struct score *score, int c);
double score_recall(const struct score *score, int c);

/* The score as bytes, appended; and back, every number with the bits it had. ERR_DATA when they are
 * no score; on success the caller calls score_fini. */
void score_pack(const struct score *score, struct text *packed);
MUST_CHECK enum err score_unpack(const void *packed, size_t size_bytes, struct score *score);

enum score_detail { SCORE_PLAIN, SCORE_DETAILED };

struct scorer; /* one walk over the images: this rank's leaves, then the total */
MUST_CHECK enum err scorer_create(struct comm *comm, int leaves, int classes,
                                  enum score_detail detail, struct scorer **scorer);
void scorer_destroy(struct scorer **scorer); /* accepts NULL */
/* The next leaf of this rank: logits in host memory (batch->N,classes). */
void scorer_add(struct scorer *scorer, const struct batch *batch, const float *logits);
/* Collective: the same numbers on every rank and for every number of ranks. */
MUST_CHECK enum err scorer_total(struct scorer *scorer, struct score *score);

#endif
