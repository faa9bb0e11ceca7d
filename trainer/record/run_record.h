/* Where a run writes what it found, and what every result says about where it comes from. Borrowed
 * texts; rank 0 writes. */
#ifndef TRAINER_RECORD_RUN_RECORD_H
#define TRAINER_RECORD_RUN_RECORD_H

#include "base/text.h"
#include <stdint.h>

struct run_record {
    const char *folder;       /* the run's */
    uint64_t claim;           /* of the run's owner, whose results these are (base/fence.h) */
    const char *lineage;      /* program, host, device; rank 0 */
    const struct text *mixed; /* other devices that have a part in it (trainer/record/mixed.h) */
};

/* "<folder>/<sub>/<name><ending>"; makes the folder. Returns owned in *path. ERR_IO, ERR_FULL. */
MUST_CHECK enum err run_record_path(const struct run_record *record, const char *sub,
                                    const char *name, const char *ending, char **path);

#endif
