/* found.json: what found.h has of a camera, as text. Reading takes any bytes. Pure. */
#ifndef CAMERA_FOUND_JSON_H
#define CAMERA_FOUND_JSON_H

#include "camera/found.h"

#define FOUND_FILE       "found.json"
#define FOUND_MOST_BYTES ((size_t)1 << 20)

char *found_json_write(const struct found_state *state); /* returns owned */
/* Fills all but the folder. ERR_DATA: not what the above writes. */
MUST_CHECK enum err found_json_read(const char *bytes, size_t size_bytes,
                                    struct found_state *state);

#endif
