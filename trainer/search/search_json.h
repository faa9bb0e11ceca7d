/* results/search.json: what was measured and what won, for people's programs, the report and the
 * compiler. Format: docs/results.md. */
#ifndef TRAINER_SEARCH_SEARCH_JSON_H
#define TRAINER_SEARCH_SEARCH_JSON_H

#include "trainer/search/search.h"
#include <jansson.h>

/* {"targets": [...], "candidates": [...]}; the caller may add to each target (test accuracy,
 * confusion). Returns owned (json_decref). */
json_t *search_json(const struct search_cfg *cfg, const struct search_result *result);

#endif
