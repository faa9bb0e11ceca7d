/* The end of a log, and what is added to it: as tail does. One thread. */
#ifndef CLUSTER_LOG_FILE_H
#define CLUSTER_LOG_FILE_H

#include "base/err.h"
#include <stdio.h>
#include <sys/types.h>

struct log_file {
    int file; /* -1: none */
    off_t at; /* shown up to here */
};

/* Opens RUN/logs/... where its last `lines` lines begin. ERR_DATA: the name leads elsewhere, or
 * what is there is a link or no file; ERR_NOT_FOUND, ERR_IO. */
MUST_CHECK enum err log_file_open(const char *run_folder, const char *name, long lines,
                                  struct log_file *log);
/* Writes what has come since. ERR_IO. */
MUST_CHECK enum err log_file_copy(struct log_file *log, FILE *out);
/* The last line of any log that is not empty, safe to print; "": there is none. */
void log_file_last_line(const char *path, char *line, size_t room);
void log_file_close(struct log_file *log); /* accepts one that is closed, file -1 */

#endif
