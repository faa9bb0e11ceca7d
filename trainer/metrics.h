/* The numbers somebody will plot: one JSON object per line and event, "event" and "step" first, in
 * <run>/metrics/<stage>.jsonl. On a resume the file is rewound: lines of steps behind the
 * checkpoint are dropped, for they will be written again. Rank 0 only; a NULL metrics swallows
 * everything. */
#ifndef TRAINER_METRICS_H
#define TRAINER_METRICS_H

#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct metrics;
/* Keeps the lines of steps <= `step` of an older file (0 with is_resume false: starts an empty
 * one). ERR_IO, ERR_FULL. Returns owned. */
MUST_CHECK enum err metrics_open(const char *path, bool is_resume, uint64_t step,
                                 struct metrics **metrics);
void metrics_close(struct metrics **metrics); /* accepts NULL */

/* Whether a kept line has this event at this step. */
bool metrics_has(const struct metrics *metrics, const char *event, uint64_t step);

/* A line: begin, any number of fields, end. Numbers that are not finite become null. */
void metrics_begin(struct metrics *metrics, const char *event, uint64_t step);
void metrics_number(struct metrics *metrics, const char *name, double value);
void metrics_text(struct metrics *metrics, const char *name, const char *value);
void metrics_json(struct metrics *metrics, const char *name, const char *json); /* as it is */
void metrics_end(struct metrics *metrics);

/* Whether every line so far was written: asked before a checkpoint that counts on them. ERR_IO,
 * ERR_FULL. */
MUST_CHECK enum err metrics_check(const struct metrics *metrics);
/* Every line that metrics_check found written is on the disk. Any thread, and it may take as long
 * as the disk likes. ERR_IO, ERR_FULL. */
MUST_CHECK enum err metrics_sync(const struct metrics *metrics);

/* Visits every event of such a file, one line in memory at a time; a last line without its newline
 * is being written and left out. ERR_NOT_FOUND, ERR_IO, ERR_DATA with the line's number. Any
 * process may call. */
typedef void metrics_visit(void *own, json_t *event); /* borrowed */
MUST_CHECK enum err metrics_read(const char *path, metrics_visit *visit, void *own);

#endif
