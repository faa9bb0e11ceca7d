/* What the commands about checkpoints share: naming one, opening its store, and the words and JSON
 * that say what it is. */
#ifndef CLUSTER_CHECKPOINT_VIEW_H
#define CLUSTER_CHECKPOINT_VIEW_H

#include "base/text.h"
#include "trainer/checkpoint/checkpoint.h"
#include <jansson.h>

#define VIEW_HASH_DIGITS 12 /* of a content hash, where people read it */

struct checkpoint_view {   /* PATH or PATH@NAME as given */
    const char *reference; /* borrowed */
    char *path, *name;
    bool is_named; /* PATH@NAME rather than PATH */
};
/* ERR_USAGE. */
MUST_CHECK enum err view_init(struct checkpoint_view *view, const char *reference);
void view_fini(struct checkpoint_view *view); /* accepts a zeroed one */
/* For reading. Errors as checkpoint_store_open(). */
MUST_CHECK enum err view_open(const struct checkpoint_view *view, struct checkpoint_store **store);

void view_print_json(json_t *json); /* takes it */
/* {"content", "stage", "step", "epoch", "final"}. Returns owned. */
json_t *view_position_json(const struct position *position, const struct hash *content);
json_t *view_words_json(const char *words);           /* "a b c" as an array. Returns owned */
json_t *view_lines_json(const char *lines);           /* the same of lines. Returns owned */
json_t *view_shape_json(const struct tensor *tensor); /* Returns owned */
json_t *view_real_json(double value);                 /* null unless finite. Returns owned */

/* "kernel, step 14, final" */
void view_position_text(const struct position *position, char text[128]);
void view_wall_text(int64_t wall_ms, char text[32]);              /* 2026-11-22 19:30:00, UTC */
void view_shape_text(const struct tensor *tensor, char text[96]); /* (64,1,7,7) */

/* What differs between two checkpoints besides their tensors and place in time, a line each: knobs
 * of the campaign, space, data set, program, device. Appends. */
void view_changes(const struct checkpoint *old, const struct checkpoint *now, struct text *lines);

/* The command line of one reference and --json; argv[optind] is the reference then. ERR_USAGE says
 * what is wanted. */
MUST_CHECK enum err view_options(int argc, char **argv, const char *wanted, bool *has_json);

#endif
