/* A check as it is told: as JSON, as a page, on a terminal. */
#ifndef CLUSTER_CHECK_CHECK_TEXT_H
#define CLUSTER_CHECK_CHECK_TEXT_H

#include "cluster/check/check.h"

/* What check.json holds (docs/firefly.md); returns owned. */
json_t *check_json(const struct bundle_check *check);
void check_page(const struct bundle_check *check, struct text *html);
/* On standard output. */
void check_print(const struct bundle_check *check);

/* What several of them show; borrowed. "conv", "depthwise", "pool", ... */
const char *check_layer_kind(const struct exported_layer *layer);
double
check_total_ms(const struct bundle_check *check); /* with the fixed part; NAN: not predicted */

#endif
