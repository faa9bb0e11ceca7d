/* results/<stage>.json of a training stage, drawn from its metrics (docs/results.md): what several
 * gangs did one after another adds up there. Rank 0. */
#ifndef TRAINER_RECORD_SUMMARY_H
#define TRAINER_RECORD_SUMMARY_H

#include "trainer/workbench.h"

/* content: of the final checkpoint. ERR_IO, ERR_FULL, ERR_DATA. May be called again. */
MUST_CHECK enum err summary_write(const struct workbench *bench, int stage,
                                  const struct hash *content);

#endif
