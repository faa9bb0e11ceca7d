/* The curves of a training stage, as metrics/STAGE.jsonl tells them, small enough to be shown: of a
 * stage of days every point is the mean of some hundred steps. The file is read where it was left;
 * where it was cut back to a checkpoint meanwhile, from its beginning. One thread. */
#ifndef CLUSTER_PAGE_CURVES_H
#define CLUSTER_PAGE_CURVES_H

#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct curves;
struct curves *curves_create(const char *path); /* copied. Returns owned */
void curves_destroy(struct curves **curves);    /* accepts NULL */

/* Takes in what the file has now, some MiB at a time; *is_all: there is no more. A line that is
 * none of ours is left out. ERR_NOT_FOUND, ERR_DATA (a link, a folder), ERR_IO. */
MUST_CHECK enum err curves_read(struct curves *curves, bool *is_all);
/* Changes with everything that is taken in; a JavaScript number can hold it. */
int64_t curves_version(const struct curves *curves);

/* {"steps", "step": [...], "loss": [...], "distil", "accuracy", "rate", "images_per_s",
 * "evaluate": [{"step", "subnets": [{"label", "accuracy", "loss"}]}]}; null: not known. Returns
 * owned (json_decref). */
json_t *curves_json(const struct curves *curves);

#endif
