/* What the figures of a check mean: sentences for what fails, and for what is worth knowing. */
#ifndef CLUSTER_CHECK_CHECK_VERDICT_H
#define CLUSTER_CHECK_CHECK_VERDICT_H

#include "cluster/check/check.h"

/* Fills failures and warnings. Pure but for them. */
void check_judge(struct bundle_check *check);

#endif
