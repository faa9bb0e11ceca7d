/* results/<stage>.json: what a stage found, for the report, the compiler and people's programs. The
 * format is docs/results.md's. Rank 0. */
#ifndef TRAINER_RECORD_RESULTS_H
#define TRAINER_RECORD_RESULTS_H

#include "trainer/data/dataset.h"
#include "trainer/record/run_record.h"
#include "trainer/spec/subnet.h"
#include <jansson.h>

/* {"subnet", "label", "macs", "parameters"}; returns owned (json_decref). */
json_t *results_subnet(const struct space *space, const char *label, const struct subnet *subnet);

json_t *results_class_names(const struct dataset *dataset);

/* Writes `json` to results/<name>.json, all or nothing, with "lineage" and "mixed" of the
 * record. ERR_AGAIN: the run is another owner's by now. Takes json, succeed or fail. */
MUST_CHECK enum err results_write(const struct run_record *record, const char *name, json_t *json);

#endif
