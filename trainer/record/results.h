/* results/<stage>.json: what a stage found, for the report, the compiler and people's programs. The
 * format is docs/results.md's. Rank 0. */
#ifndef TRAINER_RECORD_RESULTS_H
#define TRAINER_RECORD_RESULTS_H

#include "trainer/data/dataset.h"
#include "trainer/evaluate/eval_metrics.h"
#include "trainer/workbench.h"
#include <jansson.h>

/* {"subnet", "label", "macs", "parameters"}; returns owned (json_decref). */
json_t *results_subnet(const struct space *space, const char *label, const struct subnet *subnet);

/* {"accuracy", "loss", "images"}, and for a detailed score precision, recall, the confusion matrix
 * if there is one (trainer/evaluate/eval_metrics.h) and the worst images with name and their pixels
 * as PNG, read from the data set. ERR_DATA, ERR_IO. Returns owned.
 */
MUST_CHECK enum err results_score(const struct eval_metrics *metrics, const struct dataset *dataset,
                                  json_t **json);

json_t *results_class_names(const struct dataset *dataset);

/* Writes `json` to results/<name>.json, all or nothing, with "lineage" and "mixed" of the bench.
 * Takes json, succeed or fail. */
MUST_CHECK enum err results_write(const struct workbench *bench, const char *name, json_t *json);

#endif
