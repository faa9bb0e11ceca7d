/* Metrics as results/<stage>.json has them (docs/results.md). Rank 0. */
#ifndef TRAINER_EVALUATE_EVAL_METRICS_JSON_H
#define TRAINER_EVALUATE_EVAL_METRICS_JSON_H

#include "trainer/data/dataset.h"
#include "trainer/evaluate/eval_metrics.h"
#include <jansson.h>

/* {"accuracy", "loss", "images"}, and for detailed metrics precision, recall, the confusion matrix
 * if there is one and the worst images with name and their pixels as PNG, read from the data set.
 * ERR_DATA, ERR_IO. Returns owned. */
MUST_CHECK enum err eval_metrics_json(const struct eval_metrics *metrics,
                                      const struct dataset *dataset, json_t **json);

#endif
