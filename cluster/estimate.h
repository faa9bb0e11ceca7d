/* What a stage will cost: multiply-accumulates counted from the campaign, and seconds at a rate
 * that is measured where this run has done stages of its kind, and assumed otherwise. A planner's
 * figure: samples the sub-networks a phase draws, leaves out loading and saving. Pure. */
#ifndef CLUSTER_ESTIMATE_H
#define CLUSTER_ESTIMATE_H

#include "cluster/campaign_run.h"

struct stage_estimate {
    uint64_t steps; /* training: of the stage */
    double macs;    /* of the whole stage, backward passes included */
    double seconds; /* of what is left of it */
};

struct run_estimate {
    double macs_per_second;
    bool is_measured; /* in this run; otherwise assumed */
    double seconds;   /* of all that is left */
    struct stage_estimate stages[PLAN_MAX_STAGES];
};

/* ERR_CONFIG when the images do not fill a batch. */
MUST_CHECK enum err estimate_run(const struct campaign_run *run, const struct survey *survey,
                                 struct run_estimate *estimate);

#endif
