/* The exported layers against the device's table of rules (trainer/spec/device_rules.h), as they
 * are in the file: what compile asked of the sub-network before it was written. */
#ifndef CLUSTER_CHECK_CHECK_RULES_H
#define CLUSTER_CHECK_CHECK_RULES_H

#include "cluster/check/check.h"

/* Of each rule that is broken the first layer that does becomes a failure, with the cure. */
void check_rules(struct bundle_check *check);

#endif
