/* The one name of a place, wherever somebody is and through whatever links they name it. Any
 * thread. */
#ifndef CLUSTER_REAL_NAME_H
#define CLUSTER_REAL_NAME_H

#include "base/err.h"
#include <stddef.h>

/* From / on: the real name of what is there of it, and what is not there yet behind that. ERR_IO;
 * ERR_CONFIG: it takes more than `room` bytes. */
MUST_CHECK enum err real_name(const char *path, char *resolved, size_t room);

#endif
