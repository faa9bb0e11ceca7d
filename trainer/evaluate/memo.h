/* Memoised evaluation: a score that was measured before is taken from the table of measurements
 * (trainer/checkpoint/measurement.h) instead of being computed again. Rank 0 has the table, looks,
 * and tells the others: all ranks take a score or all compute it. One thread per rank; what is
 * collective says so. */
#ifndef TRAINER_EVALUATE_MEMO_H
#define TRAINER_EVALUATE_MEMO_H

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/evaluate/calibrate.h"
#include "trainer/evaluate/eval_metrics.h"

struct memo_cfg {                          /* all borrowed */
    const struct calibrate_cfg *calibrate; /* also gang, network and data set of the evaluation */
    uint32_t holdout_count;                /* images held out */
    int micro;                             /* images evaluated at once */
    const char *precision;                 /* the campaign's */
    const char *lineage;                   /* of the gang (lineage_write_gang()) */
    struct checkpoint_store *store;        /* open to write on rank 0; NULL on the others, and where
                                              nothing is to be kept */
};

struct memo;
struct memo *memo_create(const struct memo_cfg *cfg); /* returns owned */
void memo_destroy(struct memo **memo);                /* accepts NULL */

/* Rank 0: whose weights the network has from now on. NULL, as at first: of no checkpoint that is
 * known, so that nothing is found or kept. */
void memo_set_checkpoint(struct memo *memo, const struct hash *content);

/* Collective. Whether this sub-network was measured on the split, in at least this detail; then
 * *metrics is what it was, in this detail, and the caller calls eval_metrics_fini. A damaged record
 * counts as none and is said in the log. */
MUST_CHECK enum err memo_find(struct memo *memo, const struct subnet *subnet, enum split split,
                              enum eval_detail detail, struct eval_metrics *metrics,
                              bool *is_found);

/* Rank 0 (the others do nothing): keeps what was measured, durable a little later. */
void memo_keep(struct memo *memo, const struct subnet *subnet, enum split split,
               const struct eval_metrics *metrics);

#endif
