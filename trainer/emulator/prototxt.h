/* Protobuf's text format, as Caffe's prototxt is written in it: a tree of fields with the lines
 * they stand on. No schema: what a field means is the reader's business (read_caffe.c). Comments,
 * both quotes and an optional colon before a brace are read; escapes in strings, lists in brackets
 * and extensions are refused. Pure. */
#ifndef TRAINER_EMULATOR_PROTOTXT_H
#define TRAINER_EMULATOR_PROTOTXT_H

#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stddef.h>

enum { PROTOTXT_MAX_NESTING = 16 };

struct prototxt { /* one field, and those behind it in the same message */
    char *name;
    char *text;             /* of a scalar: a word, a number or a string without its quotes */
    struct prototxt *first; /* of a message: its fields */
    bool is_message, is_string;
    int line;
    struct prototxt *next;
};

/* The fields of the whole file, living in the arena; NULL for an empty one. ERR_DATA with the line.
 */
MUST_CHECK enum err prototxt_parse(const char *bytes, size_t size_bytes, struct arena *arena,
                                   struct prototxt **first);

/* The first field of this name from `at` on, or NULL: prototxt_find(found->next, name) goes on. */
const struct prototxt *prototxt_find(const struct prototxt *at, const char *name);

#endif
