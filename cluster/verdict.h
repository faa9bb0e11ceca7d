/* A survey's verdicts in words. Pure. */
#ifndef CLUSTER_VERDICT_H
#define CLUSTER_VERDICT_H

#include "base/text.h"
#include "scheduler/survey.h"

/* "done", "new", "goes on", ...: a word for a table. */
const char *verdict_word(enum survey_verdict verdict);
/* What a person wants to know of a stage that does not simply start: "kernel runs again: epochs 2
 * -> 3". Appends nothing for stages that are done or new. */
void verdict_explain(const char *name, const struct survey_stage *stage, struct text *line);

#endif
