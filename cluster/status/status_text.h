/* A run's status in words and tables, for `status` and `top`. Pure, but for the time of day it
 * tells times by. */
#ifndef CLUSTER_STATUS_STATUS_TEXT_H
#define CLUSTER_STATUS_STATUS_TEXT_H

#include "cluster/status/status_reader.h"
#include "cluster/table.h"

/* What the run does and who runs it: some lines. folder: as the person named it. */
void status_text_head(const struct found_status *found, const char *folder, struct text *out);
/* A row for every stage. Returns into `table`: table_fini(). */
void status_text_stages(const struct found_status *found, struct table *table);

/* A run in short: stages done, time left ("": not known), what it does now. */
struct run_cells {
    char done[32], left[32], now[160];
};
void status_text_cells(const struct found_status *found, struct run_cells *cells);

/* One row for each of many runs. */
void status_text_begin_runs(struct table *table);
void status_text_add_run(const struct found_status *found, const char *folder, struct table *table);

#endif
