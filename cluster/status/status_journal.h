/* The status of a run from before runners published theirs: its resolved campaign says which stages
 * there are, its journal what became of them. */
#ifndef CLUSTER_STATUS_STATUS_JOURNAL_H
#define CLUSTER_STATUS_STATUS_JOURNAL_H

#include "cluster/status/run_status.h"

/* ERR_NOT_FOUND: no run's folder; ERR_CONFIG: its campaign does not load. */
MUST_CHECK enum err status_from_journal(const char *run_folder, struct run_status *status);

#endif
