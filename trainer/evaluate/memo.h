/* Memoised evaluation: what a score depends on is its key, and a score that was measured before, by
 * this gang or another, comes from the exchange (exchange.h) instead of being computed again. Rank
 * 0 has the exchange, and tells the others what comes of it: all ranks take a score, or measure a
 * share, or all go on waiting. One thread per rank; what is collective says so. */
#ifndef TRAINER_EVALUATE_MEMO_H
#define TRAINER_EVALUATE_MEMO_H

#include "trainer/evaluate/calibrate.h"
#include "trainer/evaluate/eval_metrics.h"
#include "trainer/evaluate/exchange.h"

struct memo_cfg {                          /* all borrowed */
    const struct calibrate_cfg *calibrate; /* also gang, network and data set of the evaluation */
    uint32_t holdout_count;                /* images held out */
    int micro;                             /* images evaluated at once */
    const char *precision;                 /* the campaign's */
    const char *lineage;                   /* of the gang (lineage_write_gang()) */
    struct exchange *exchange; /* rank 0's; NULL on the others, and where nothing is kept */
    void *own;
    bool (*wants_stop)(void *own); /* NULL: never. Asked at every meeting */
};

struct memo;
struct memo *memo_create(const struct memo_cfg *cfg); /* returns owned */
void memo_destroy(struct memo **memo);                /* accepts NULL */

/* Rank 0: whose weights the network has from now on. NULL, as at first: of no checkpoint that is
 * known, so that nothing is found or kept. */
void memo_set_checkpoint(struct memo *memo, const struct hash *content);
/* Collective. Whether there is anything to find, as rank 0 knows it. */
MUST_CHECK enum err memo_is_open(struct memo *memo, bool *is_open);

struct memo_score { /* on every rank the same */
    struct subnet subnet;
    enum split split;
    enum eval_detail detail;
};

/* Whether any exchange takes this score's record, however its numbers come out. Pure. */
bool memo_fits(const struct memo *memo, enum eval_detail detail);
/* Rank 0, open; the others do nothing: exchange.want. */
void memo_want(struct memo *memo, enum exchange_aim aim, const struct memo_score *scores,
               int count);
void memo_ready(struct memo *memo); /* likewise: exchange.ready */

enum memo_kind { MEMO_NOTHING, MEMO_SCORE, MEMO_SHARE };
struct memo_meeting { /* borrowed until the next one */
    enum memo_kind kind;
    int index;         /* MEMO_SCORE: of memo_want() */
    bool is_known;     /* in the detail that is wanted; then: */
    bool is_useless;   /* not known, though a record came: waiting does not help */
    const void *score; /* eval_metrics_unpack() succeeds */
    size_t score_bytes;
    const struct memo_score *scores; /* MEMO_SHARE: (count) */
    int count;
};
/* Collective: waits a moment for what happens next. A damaged record is said in the log.
 * ERR_INTERRUPTED: some rank wants to stop. ERR_CONFIG: a share's scores are not of what this gang
 * would measure. */
MUST_CHECK enum err memo_meet(struct memo *memo, struct memo_meeting *meeting);

/* Rank 0, open; the others do nothing: keeps what was measured, durable a little later. */
void memo_keep(struct memo *memo, const struct subnet *subnet, enum split split,
               const struct eval_metrics *metrics);

#endif
