/* A validation as it is told: as JSON, as a page, on a terminal. */
#ifndef CLUSTER_VALIDATE_VALIDATION_TEXT_H
#define CLUSTER_VALIDATE_VALIDATION_TEXT_H

#include "base/text.h"
#include "cluster/validate/validation.h"

/* What validate.json holds (docs/firefly.md); returns owned. */
json_t *validation_json(const struct validation *validation);
void validation_page(const struct validation *validation, struct text *html);
void validation_print(const struct validation *validation); /* on standard output */

#endif
