/* "next: glowworm logs RUN -f": what a person may want to type now. On standard error, and only
 * where that is a terminal: for people, never for scripts. */
#ifndef CLUSTER_NEXT_COMMAND_H
#define CLUSTER_NEXT_COMMAND_H

#include "base/err.h"

/* A line: the command and, behind it, what for. */
void next_command(const char *purpose, const char *format, ...) PRINTF_LIKE(2, 3);
/* A word of a command line, quoted for a shell where it has to be; a new copy (mem_free). */
char *next_command_word(const char *word);

#endif
