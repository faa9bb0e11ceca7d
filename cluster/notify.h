/* The command of a campaign's `notify:`: told when its run ends, well or not. */
#ifndef CLUSTER_NOTIFY_H
#define CLUSTER_NOTIFY_H

#include "cluster/status/run_status.h"

/* Is its program there? ERR_CONFIG: better said before a run than at its end. */
MUST_CHECK enum err notify_check(const struct campaign *campaign);

/* Runs it, for a minute at most, with the facts of `status` in its environment: GLOWWORM_CAMPAIGN,
 * _RUN (the folder), _STATE (done, stopped, failed), _ERROR, _TEXT, _DONE and _STAGES (how many).
 * An interrupt ends it. That it fails is said, and changes nothing. Nothing where the campaign has
 * none. */
void notify_end(const struct campaign *campaign, const struct run_status *status);

#endif
