/* What runs do, as numbers for Prometheus (text format 0.0.4): for dashboards and alarms over many
 * runs. Pure: statuses go in, text comes out. */
#ifndef CLUSTER_PAGE_PROMETHEUS_H
#define CLUSTER_PAGE_PROMETHEUS_H

#include "base/text.h"
#include "cluster/status/status_reader.h"

#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct prometheus;
struct prometheus *prometheus_create(void);           /* returns owned */
void prometheus_destroy(struct prometheus **metrics); /* accepts NULL */
/* folder: what the run is known by. found NULL: it could not be read. */
void prometheus_add(struct prometheus *metrics, const struct found_status *found,
                    const char *folder);
/* Every metric with its help, its type and its samples of all runs. */
void prometheus_write(const struct prometheus *metrics, struct text *out);

#endif
