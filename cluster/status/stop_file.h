/* RUN/published/stop: asks the runner of a run to stop, from wherever the run's folder is seen. It
 * names the runner it is meant for, as that one's status does, so that one that comes late is never
 * taken by the next runner. Any thread. */
#ifndef CLUSTER_STATUS_STOP_FILE_H
#define CLUSTER_STATUS_STOP_FILE_H

#include "cluster/status/run_status.h"

enum stop_asked {
    STOP_ASKED_NOW,
    STOP_ASKED_BEFORE /* by somebody else; it has not been seen yet */
};

/* Leaves it for the runner that wrote `status`: whole from the first moment, mode 0600, the run
 * folder's owner's. ERR_IO, ERR_FULL. */
MUST_CHECK enum err stop_file_leave(const char *run_folder, const struct run_status *status,
                                    enum stop_asked *asked);

/* The runner's look: is there one for it? Takes away what there is, one for a runner of before
 * too; what another user wrote counts for nothing. */
bool stop_file_take(const char *run_folder, const struct run_status *status);

#endif
