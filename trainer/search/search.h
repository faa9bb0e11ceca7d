/* Search: which sub-network is best for each target (OFA sec. 3.4, by evolution as in the
 * reference, but on measured accuracy: every candidate is calibrated and evaluated on the hold-out
 * images). Deterministic: every rank runs the same search in lockstep and only the measuring is
 * shared out. One thread. */
#ifndef TRAINER_SEARCH_SEARCH_H
#define TRAINER_SEARCH_SEARCH_H

#include "trainer/evaluate/evaluator.h"
#include "trainer/spec/campaign.h"

struct search_cfg {
    const struct space *space; /* borrowed, as everything here */
    struct open_choices open;  /* what was trained: nothing else is drawn */
    const struct target *targets;
    int target_count;
    int evaluations; /* the most candidates measured, over all targets; >= target_count */
    int population;  /* of a generation, >= 2 */
    double mutation; /* probability that a gene is drawn again */
    uint64_t seed;
    bool is_random; /* the baseline: candidates are drawn, nothing is learnt */
};

struct search_winner {
    int candidate; /* index in search_result.candidates */
    double latency_ms;
};

struct search_result {
    struct candidate *candidates; /* everything measured, in order, no two alike */
    int candidate_count;
    struct search_winner
        winners[CAMPAIGN_MAX_TARGETS]; /* per target: the most accurate one that fits */
};
void search_result_fini(struct search_result *result); /* accepts a zeroed one */

/* Called behind every measurement: how many of cfg->evaluations are done. May be NULL. */
typedef void search_progress(void *own, int measured);

/* ERR_CONFIG when nothing fits a target: the text says what the smallest possible sub-network
 * costs. Otherwise the evaluator's errors. Listens to the evaluator. On success the caller calls
 * search_result_fini. */
MUST_CHECK enum err search_run(const struct search_cfg *cfg, struct evaluator *evaluator,
                               search_progress *progress, void *own, struct search_result *result);

/* Marks the candidates no other one beats in both accuracy and MACs: on_front[i] for candidates[i].
 */
void search_front(const struct search_result *result, bool *on_front);

#endif
