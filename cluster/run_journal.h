/* The journal that lies beside a run's store of checkpoints, for the commands about those. */
#ifndef CLUSTER_RUN_JOURNAL_H
#define CLUSTER_RUN_JOURNAL_H

#include "scheduler/journal.h"
#include "trainer/checkpoint/measurement.h"

/* store_path: of the checkpoints. *journal stays NULL where there is none. Opened for writing it is
 * the run's lock. Errors as journal_open(). Returns owned. */
MUST_CHECK enum err run_journal_open(const char *store_path, enum journal_mode mode,
                                     struct journal **journal);

/* Visits every whole measurement, in no order that means anything. ERR_DATA: how many are damaged,
 * said behind the last visit. An error of the visitor ends the walk and is returned. */
MUST_CHECK enum err
run_journal_measurements(struct journal *journal,
                         enum err (*visit)(const struct measurement *measurement, void *own),
                         void *own);

#endif
