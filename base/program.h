/* Where the program that runs lies, whatever it was called by and wherever it is called. Any
 * thread. */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

/* "/folder/program". ERR_UNAVAILABLE: the system does not say, or the path is longer than `room`.
 */
MUST_CHECK enum err program_path(char *path, size_t room);

/* "/folder/name": where a program lies that is installed beside this one. Errors as program_path().
 */
MUST_CHECK enum err program_beside(const char *name, char *path, size_t room);
/* The same; ERR_UNAVAILABLE as well where it is not there, or cannot be run. */
MUST_CHECK enum err program_find(const char *name, char *path, size_t room);

/* Whether a folder of PATH has it. */
bool program_is_in_path(const char *name);

#endif
