/* A CURVE pair in files: PATH, of mode 0600, holds both keys; PATH.pub holds the public one alone,
 * for whoever has to know it. Any thread may call. */
#ifndef BASE_WIRE_KEY_FILE_H
#define BASE_WIRE_KEY_FILE_H

#include "base/err.h"
#include "base/wire/curve.h"

struct key_pair {
    char public_key[WIRE_KEY_BYTES], secret_key[WIRE_KEY_BYTES];
};

/* A new pair. ERR_CONFIG: PATH is there already, and stays; ERR_IO, ERR_FULL, ERR_UNAVAILABLE (no
 * CURVE in the library). Durable when it returns; half of it is none. */
MUST_CHECK enum err key_file_make(const char *path, struct key_pair *pair);
/* ERR_NOT_FOUND; ERR_CONFIG: not to be believed (secret_read()), or not a pair of keys; ERR_IO. */
MUST_CHECK enum err key_file_read(const char *path, struct key_pair *pair);
/* Of PATH.pub. ERR_NOT_FOUND, ERR_CONFIG, ERR_IO. */
MUST_CHECK enum err key_file_read_public(const char *path, char key[WIRE_KEY_BYTES]);

#endif
