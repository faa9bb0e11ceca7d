/* A stage of the campaign that runs in a gang: training (trainer/train/train.h), evaluation or
 * search. Compiling and reporting are host stages and not here. All ranks call it together. */
#ifndef TRAINER_STAGE_H
#define TRAINER_STAGE_H

#include "trainer/train/resume.h"
#include "trainer/workbench.h"

struct stage_result {
    bool has_content;    /* a training stage: */
    struct hash content; /* of its final checkpoint; rank 0 */
    uint64_t step;       /* steps done, after an error too */
    char results[128];   /* its result file, relative to the run's folder */
};

/* ERR_NOT_FOUND for a stage the plan does not have or that does not run in a gang; otherwise as
 * train_run. *result is filled in every case. */
MUST_CHECK enum err stage_run(struct workbench *bench, const char *name,
                              const struct stage_start *start, struct stage_result *result);

/* Measures what another gang wants of an evaluation or a search, until it is told to stop:
 * ERR_INTERRUPTED. ERR_NOT_FOUND for a stage that measures nothing; errors of evaluate_help(). */
MUST_CHECK enum err stage_help(struct workbench *bench, const char *name);

#endif
