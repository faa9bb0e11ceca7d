/* What a person may want to know before a campaign runs as it stands, a line each; nothing is
 * wrong. One thread. */
#ifndef CLUSTER_RUN_HINTS_H
#define CLUSTER_RUN_HINTS_H

#include "cluster/campaign_run.h"

/* Appends. */
void run_hints(const struct campaign_run *run, struct text *hints);

#endif
