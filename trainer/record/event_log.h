/* The numbers somebody will plot: one JSON object per line and event, "event" and "step" first, in
 * <run>/metrics/<stage>.jsonl. On a resume the file is rewound: lines of steps behind the
 * checkpoint are dropped, for they will be written again. Rank 0 only; a NULL metrics swallows
 * everything. */
#ifndef TRAINER_RECORD_EVENT_LOG_H
#define TRAINER_RECORD_EVENT_LOG_H

#include "base/fence.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct event_log_cfg {
    const char *path;            /* borrowed */
    bool is_resume;              /* keeps the lines of steps <= `step` of an older file... */
    uint64_t step;               /* ...else 0, and an empty one is begun */
    const char *tensorboard;     /* folder of the stage's event files; NULL: none. Borrowed */
    struct fence fence;          /* of the run whose log it is; zeroes: none */
    uint64_t tensorboard_offset; /* steps of the stages before: there, curves follow each other */
};

struct event_log;
/* ERR_IO, ERR_FULL; ERR_AGAIN: another runner has taken the run over; that there can be no event
 * file is a warning. Returns owned. */
MUST_CHECK enum err event_log_open(const struct event_log_cfg *cfg, struct event_log **events);
void event_log_close(struct event_log **events); /* accepts NULL */

/* Whether a kept line has this event at this step. */
bool event_log_has(const struct event_log *events, const char *event, uint64_t step);

/* A line: begin, any number of fields, end. Numbers that are not finite become null. */
void event_log_begin(struct event_log *events, const char *event, uint64_t step);
void event_log_number(struct event_log *events, const char *name, double value);
void event_log_text(struct event_log *events, const char *name, const char *value);
void event_log_json(struct event_log *events, const char *name, const char *json); /* as it is */
/* Of the same event, for TensorBoard alone. */
void event_log_scalar(struct event_log *events, const char *tag, double value);
void event_log_end(struct event_log *events);

/* Whether every line so far was written: asked before a checkpoint that counts on them. ERR_IO,
 * ERR_FULL. */
MUST_CHECK enum err event_log_check(const struct event_log *events);
/* Every line that event_log_check found written is on the disk. Any thread, and it may take as long
 * as the disk likes. ERR_IO, ERR_FULL. */
MUST_CHECK enum err event_log_sync(const struct event_log *events);

/* Visits every event of such a file, one line in memory at a time; a last line without its newline
 * is being written and left out. ERR_NOT_FOUND, ERR_IO, ERR_DATA with the line's number. Any
 * process may call. */
typedef void event_log_visit(void *own, json_t *event); /* borrowed */
MUST_CHECK enum err event_log_read(const char *path, event_log_visit *visit, void *own);

#endif
