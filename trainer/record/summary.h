/* results/<stage>.json of a training stage, drawn from its metrics (docs/results.md): what several
 * gangs did one after another adds up there. Rank 0. */
#ifndef TRAINER_RECORD_SUMMARY_H
#define TRAINER_RECORD_SUMMARY_H

#include "base/hash.h"
#include "trainer/record/run_record.h"

struct summary_cfg { /* borrowed */
    const char *stage;
    const struct hash *key, *content; /* content: of the final checkpoint */
    int global_batch;
};
/* ERR_IO, ERR_FULL, ERR_DATA. May be called again. */
MUST_CHECK enum err summary_write(const struct run_record *record, const struct summary_cfg *cfg);

#endif
