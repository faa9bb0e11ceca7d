/* What a finished run says for itself: its sub-networks and where their bundles lie, for people and
 * as JSON. Reads what the stages left (cluster/report.h). */
#ifndef CLUSTER_RUN_TABLE_H
#define CLUSTER_RUN_TABLE_H

#include "cluster/report.h"

void run_table_write(const struct run_results *results, struct text *out);
/* {"targets": [...], "report": "..."}; null for a latency that no device predicts and an accuracy
 * that nothing was measured by. Returns owned (json_decref). */
json_t *run_table_json(const struct run_results *results);

#endif
