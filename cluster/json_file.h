/* JSON files of a run's folder: that may be anybody's, so no link is followed, nothing but a file
 * is opened, and a size bounds what is read. Any thread may call. */
#ifndef CLUSTER_JSON_FILE_H
#define CLUSTER_JSON_FILE_H

#include "base/err.h"
#include <jansson.h>

/* ERR_NOT_FOUND; ERR_DATA: no file (a link, a FIFO), larger than that, or, with its line, no JSON
 * or a name twice in one object; ERR_IO. *json: returns owned (json_decref). */
MUST_CHECK enum err json_file_read(const char *path, size_t most_bytes, json_t **json);

/* The same of its text; `path` is what errors say. ERR_DATA. */
MUST_CHECK enum err json_file_parse(const char *path, const char *bytes, size_t size_bytes,
                                    json_t **json);

/* Written beside and renamed (base/file.h); takes json, which may be NULL where jansson could not
 * make it. ERR_IO, ERR_FULL, ERR_MEMORY. */
MUST_CHECK enum err json_file_write(const char *path, json_t *json);

#endif
