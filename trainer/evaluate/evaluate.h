/* Accuracy and loss of sub-networks, shared by the gang's ranks through the tree: the same numbers
 * for any number of ranks. Each sub-network is calibrated first (trainer/evaluate/calibrate.h).
 * Works on the supernet's current weights; what was measured on the same checkpoint before is not
 * measured again (trainer/evaluate/memo.h), and a list of sub-networks may be shared out to several
 * gangs, the same numbers whoever measures what. One thread per rank; all ranks call the same
 * things in the same order. */
#ifndef TRAINER_EVALUATE_EVALUATE_H
#define TRAINER_EVALUATE_EVALUATE_H

#include "trainer/evaluate/calibrate.h"
#include "trainer/evaluate/eval_metrics.h"
#include "trainer/evaluate/evaluator.h"
#include "trainer/evaluate/exchange.h"

struct evaluate_cfg {               /* all borrowed */
    struct calibrate_cfg calibrate; /* also gang, network, data set, listener of the evaluation; its
                                       cache is made here */
    const uint32_t *holdout, *test; /* records; NULL and 0 where there is no such split */
    uint32_t holdout_count, test_count;
    struct exchange *exchange; /* rank 0's, NULL on the others; NULL everywhere: nothing is looked
                                  up or kept */
    bool is_shared;            /* what nobody knows is measured by whoever has time */
    int micro;                 /* of their images at once */
    size_t cache_bytes;        /* batches kept between sub-networks (batch_cache.h) */
    const char *precision;     /* the campaign's */
    const char *lineage;       /* of the gang (lineage_write_gang()) */
    /* Room for a calibration batch and for `micro` images at the space's largest side; NULL: of its
     * own. */
    struct activation_arena *arena;
    void *own;
    bool (*wants_stop)(void *own); /* NULL: never. Asked before every sub-network, and while
                                    * the gang waits for others */
};

struct evaluate;
MUST_CHECK enum err evaluate_create(const struct evaluate_cfg *cfg, struct evaluate **evaluate);
void evaluate_destroy(struct evaluate **evaluate); /* accepts NULL */

/* Whose weights the network has from now on: what rank 0 says counts. NULL, as at first: of no
 * known checkpoint, so that everything is measured and nothing kept. */
void evaluate_set_checkpoint(struct evaluate *evaluate, const struct hash *content);

struct evaluate_item { /* what is wanted of a sub-network */
    struct subnet subnet;
    enum split split; /* SPLIT_HOLDOUT or SPLIT_TEST */
    enum eval_detail detail;
    struct eval_metrics metrics; /* the answer: eval_metrics_fini it */
    bool is_reused;              /* it was known before this was asked for */
};
struct evaluate_batch {
    struct evaluate_item *items; /* (count) borrowed; those of one sub-network behind each other are
                                    measured with one calibration */
    int count;
    void (*answered)(void *own, int done); /* NULL: nobody listens. Behind every answer */
    void *own;
};
/* Collective: every item answered: from what was measured before, or by calibrating and measuring,
 * here or by another gang, which is then kept. Those of one resolution come behind each other, so
 * that the batches of each are made ready once. Errors as of the two functions below; nothing to
 * free after one. */
MUST_CHECK enum err evaluate_measure(struct evaluate *evaluate, const struct evaluate_batch *batch);
/* Collective: measures for another gang of the stage, until it is told to stop: ERR_INTERRUPTED.
 * ERR_CONFIG: what that one wants is nothing this gang can measure. */
MUST_CHECK enum err evaluate_help(struct evaluate *evaluate);
/* Keeps a score that was measured before its weights had become a checkpoint
 * (evaluate_set_checkpoint). Rank 0; the others do nothing. */
void evaluate_keep(struct evaluate *evaluate, const struct subnet *subnet, enum split split,
                   const struct eval_metrics *metrics);

struct evaluate_counts { /* items of evaluate_measure() so far */
    int measured, reused;
};
struct evaluate_counts evaluate_counts(const struct evaluate *evaluate);

/* Collective: batch-norm statistics for this sub-network at subnet->resolution. ERR_INTERRUPTED
 * when any rank wants to stop. */
MUST_CHECK enum err evaluate_calibrate(struct evaluate *evaluate, const struct subnet *subnet);

/* Collective: with the statistics there are, on SPLIT_HOLDOUT or SPLIT_TEST. ERR_DATA when the
 * split is empty, ERR_NUMERIC when the loss is not finite. On success the caller calls
 * eval_metrics_fini.
 */
MUST_CHECK enum err evaluate_subnet(struct evaluate *evaluate, const struct subnet *subnet,
                                    enum split split, enum eval_detail detail,
                                    struct eval_metrics *metrics);

/* For the search: measures on the hold-out images, all ranks in lockstep. Borrows `evaluate`. */
void evaluate_as_evaluator(struct evaluate *evaluate, struct evaluator *evaluator);

#endif
