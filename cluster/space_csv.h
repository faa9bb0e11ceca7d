/* A table of sub-networks as CSV, with their cost filled in. */
#ifndef CLUSTER_SPACE_CSV_H
#define CLUSTER_SPACE_CSV_H

#include "base/text.h"
#include "trainer/spec/cost.h"

/* Reads the columns kernel, expand, depth (dash-separated lists) and resolution by their names in
 * the header, and appends the same rows with the columns params and macs replaced, or added behind.
 * resolution: for files without that column; 0: none. ERR_NOT_FOUND, ERR_IO; ERR_DATA with file,
 * line and column. */
MUST_CHECK enum err space_csv_count(const char *path, const struct space *space, int resolution,
                                    struct text *csv);

#endif
