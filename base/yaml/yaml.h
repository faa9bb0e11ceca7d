/* A YAML document as a tree in which every node knows where it was written. This is libfyaml's
 * jail: nobody else includes it. Configuration files need no anchors, aliases, tags or second
 * documents, so these are refused, and with them every bomb they can build; size, depth and the
 * number of nodes are bounded. Schemas over such trees: base/yaml/schema.h. A document belongs to
 * one thread at a time. */
#ifndef BASE_YAML_YAML_H
#define BASE_YAML_YAML_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

#define YAML_MAX_BYTES (1024 * 1024)
#define YAML_MAX_DEPTH 32
#define YAML_MAX_NODES 65536

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    const char *source;       /* the file as named by the caller, or "--set key=value" */
    int line, column;         /* from 1; line 0: not from a file */
    bool is_quoted;           /* scalar: written as text on purpose, never a number or null */
    const char *text;         /* scalar, never NULL */
    int count;                /* list, map */
    struct yaml_node **keys;  /* (count) map: scalars, duplicates possible */
    struct yaml_node **items; /* (count) list items, or the values of a map */
};

struct yaml; /* the tree and its memory */

/* Reads a file. ERR_NOT_FOUND, ERR_IO; ERR_CONFIG with file, line and column when it is not YAML,
 * too big, or uses what is refused. Returns owned. */
MUST_CHECK enum err yaml_open(const char *path, struct yaml **yaml);
/* The same from memory; `source` is the name errors show. */
MUST_CHECK enum err yaml_parse(const char *source, const char *bytes, size_t size_bytes,
                               struct yaml **yaml);
void yaml_close(struct yaml **yaml); /* accepts NULL */

struct yaml_node *yaml_root(const struct yaml *yaml); /* an empty document: an empty map */

/* The value under a dotted path ("batch.micro"), or NULL. Of duplicate keys the last one. */
const struct yaml_node *yaml_find(const struct yaml_node *map, const char *path);
/* The node for an error about a path: the value, or the nearest enclosing node that was written. */
const struct yaml_node *yaml_nearest(const struct yaml_node *map, const char *path);

/* Puts a value (itself YAML: "3", "[a, b]", "{from: x}") under a dotted path, making the maps on
 * the way: what --set does. ERR_USAGE when the path or the value is malformed or leads through
 * something that is not a map. */
MUST_CHECK enum err yaml_set(struct yaml *yaml, const char *path, const char *value);

/* Written without a value: "key:", "~" or "null". */
bool yaml_is_null(const struct yaml_node *node);

#endif
