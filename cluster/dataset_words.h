/* What the commands of data sets share: reading numbers, printing JSON, names. */
#ifndef CLUSTER_DATASET_WORDS_H
#define CLUSTER_DATASET_WORDS_H

#include "base/err.h"
#include "trainer/data/image.h"
#include <jansson.h>

void dataset_print_json(json_t *json);                     /* on standard output; takes it */
const char *dataset_format_name(enum image_format format); /* "jpeg" */
/* ERR_USAGE names the option and what it takes. */
MUST_CHECK enum err dataset_parse_number(const char *option, const char *text, long low, long high,
                                         long *value);

#endif
