/* How well a sub-network does on a set of images: counts, loss, and on request the confusion matrix
 * and the images it gets most wrong. Computed on the host from logits, in double precision. One
 * thread. */
#ifndef TRAINER_EVALUATE_EVAL_METRICS_H
#define TRAINER_EVALUATE_EVAL_METRICS_H

#include "base/text.h"
#include "trainer/data/loader.h"
#include "trainer/gang/comm.h"

#define EVAL_WORST      12
#define EVAL_MAX_MATRIX 100 /* classes */

struct worst_image {
    uint32_t record;
    int32_t label, predicted;
    double loss; /* cross entropy in nats */
};

struct eval_class {
    double images, predicted, right; /* that are of it, that were taken for it, both */
};

struct eval_metrics {
    uint64_t images, correct;
    double accuracy;              /* top-1, 0..1: correct / images */
    double loss;                  /* mean cross entropy, no smoothing */
    int classes;                  /* 0: the rest was not asked for */
    struct eval_class *per_class; /* (classes) owned */
    /* (classes,classes): true by predicted, images. Owned; NULL above EVAL_MAX_MATRIX classes,
     * whose square nobody can look at and no rank should have to sum. */
    double *confusion;
    int worst_count;
    struct worst_image worst[EVAL_WORST]; /* highest loss first */
};
void eval_metrics_fini(struct eval_metrics *metrics); /* accepts a zeroed one */

/* Leaves what was counted without details: as if EVAL_PLAIN had been asked for. */
void eval_metrics_make_plain(struct eval_metrics *metrics);

/* Of what was predicted as class c, the part that is c; of what is c, the part that was found. NAN
 * where nothing was predicted as c, or nothing is c. */
double eval_metrics_precision(const struct eval_metrics *metrics, int c);
double eval_metrics_recall(const struct eval_metrics *metrics, int c);

/* The metrics as bytes, appended; and back, every number with the bits it had. ERR_DATA when they
 * are no metrics; on success the caller calls eval_metrics_fini. */
void eval_metrics_pack(const struct eval_metrics *metrics, struct text *packed);
MUST_CHECK enum err eval_metrics_unpack(const void *packed, size_t size_bytes,
                                        struct eval_metrics *metrics);

enum eval_detail { EVAL_PLAIN, EVAL_DETAILED };

struct scorer; /* one walk over the images: this rank's leaves, then the total */
MUST_CHECK enum err scorer_create(struct comm *comm, int leaves, int classes,
                                  enum eval_detail detail, struct scorer **scorer);
void scorer_destroy(struct scorer **scorer); /* accepts NULL */
/* The next leaf of this rank: logits in host memory (batch->N,classes). */
void scorer_add(struct scorer *scorer, const struct batch *batch, const float *logits);
/* Collective: the same numbers on every rank and for every number of ranks. */
MUST_CHECK enum err scorer_total(struct scorer *scorer, struct eval_metrics *metrics);

#endif
