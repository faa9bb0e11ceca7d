/* Inside the schema walk: what schema.c and lists.c share. */
#ifndef BASE_YAML_SCHEMA_INTERNAL_H
#define BASE_YAML_SCHEMA_INTERNAL_H

#include "base/yaml/schema.h"

#define PATH_BYTES 256

struct walk { /* one struct being filled from one map */
    const struct schema *schema;
    struct yaml_errors *errors;
    char *into;
    const char *shown; /* what stands before a path in messages: "", "stages[2]." */
    bool *is_seen;     /* per knob */
};

/* Defaults, then the map, then what is missing; of a node that is no map the defaults only, and
 * false: the caller complains. Sets walk->is_seen for its duration. */
bool walk_fill(struct walk *walk, const struct yaml_node *node);

/* The list types; path is the one to show. */
void walk_ints(const struct walk *walk, const struct knob *knob, const char *path,
               const struct yaml_node *node);
void walk_words(const struct walk *walk, const struct knob *knob, const char *path,
                const struct yaml_node *node);
void walk_texts(const struct walk *walk, const struct knob *knob, const char *path,
                const struct yaml_node *node);
void walk_rows(const struct walk *walk, const struct knob *knob, const char *path,
               const struct yaml_node *node);

/* "is a list", for "...; expected a map". */
const char *walk_kind(const struct yaml_node *node);

#endif
