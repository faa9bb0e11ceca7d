/* The two ways a gang gets its stage: from the scheduler, one after another until it is told to
 * end; or from the command line, one, without a scheduler. All ranks call together; rank 0 speaks.
 */
#ifndef WORKER_SERVE_H
#define WORKER_SERVE_H

#include "trainer/gang/comm.h"
#include "trainer/gang/work.h"
#include "trainer/spec/campaign.h"
#include "worker/link.h"
#include <signal.h>

struct serve_cfg { /* all borrowed */
    struct comm *comm;
    struct rank_work *work;               /* this rank's */
    const volatile sig_atomic_t *signals; /* counts requests to stop */
};

/* Stage after stage. ERR_OK: told to end. */
MUST_CHECK enum err serve_scheduler(const struct serve_cfg *cfg, const struct link_cfg *link_cfg);

struct serve_request { /* from the command line */
    const char *campaign;
    const char *stages; /* "kernel", or "teacher,kernel": one after another */
    const char *folder; /* NULL: the campaign's */
    const struct campaign_override *overrides;
    int override_count;
};
/* Each stage's outcome goes to standard output as one line key=value; the first that fails ends it.
 */
MUST_CHECK enum err serve_request(const struct serve_cfg *cfg, const struct serve_request *request);

#endif
