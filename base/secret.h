/* A short secret (a token, a key) in a file of its own. It comes from there or from the
 * environment, never from a command line, which every user of a machine can read. Any thread may
 * call. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

/* The file's one line, without its end; at most room - 1 bytes. ERR_CONFIG says what is wrong: a
 * link, not a file, somebody else's, open to others (mode 0600 is asked for), empty, too long, or
 * more than a line. ERR_NOT_FOUND, ERR_IO. No error names what the file holds. */
MUST_CHECK enum err secret_read(const char *path, char *secret, size_t room);

/* `secret`, one line without its end, into a file of mode 0600, written beside and renamed. ERR_IO,
 * ERR_FULL. */
MUST_CHECK enum err secret_write(const char *path, const char *secret);

#define SECRET_HEX_BYTES 65
/* A new one: 64 hexadecimal digits. ERR_IO: there is no randomness. */
MUST_CHECK enum err secret_draw(char secret[SECRET_HEX_BYTES]);
/* In a time that does not depend on where they differ. */
bool secret_equal(const char *secret, const char *given);

#endif
