/* One training stage: a row of the schedule, from its start checkpoint to its final one (OFA sec.
 * 3.3: progressive shrinking is such rows in order). Steps, evaluation, checkpoints, resumption.
 * All ranks of the gang call it together. */
#ifndef TRAINER_TRAIN_STAGE_H
#define TRAINER_TRAIN_STAGE_H

#include "trainer/train/resume.h"
#include "trainer/workbench.h"

struct train_stage_result {
    struct hash content; /* of the final checkpoint; rank 0 */
    uint64_t step;       /* steps done, after an error too */
};

/* ERR_INTERRUPTED: the stop that was asked for; its checkpoint is durable, the stage goes on from
 * there. ERR_NUMERIC names step and layer; the last checkpoint is intact. A stage that is done
 * already returns its content at once. *result is filled in every case. */
MUST_CHECK enum err train_stage_run(struct workbench *bench, int stage,
                                    const struct stage_start *start,
                                    struct train_stage_result *result);

#endif
