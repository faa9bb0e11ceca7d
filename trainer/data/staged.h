/* A data set's copy on a local disk, so that every node of a run reads its own: made once a node,
 * whoever comes first, under a name made of its content, and believed only where every record has
 * the hash that was imported. Any process may call, one thread each. */
#ifndef TRAINER_DATA_STAGED_H
#define TRAINER_DATA_STAGED_H

#include "base/err.h"
#include "base/text.h"

/* The copy of the data set at `path` below `scratch` (scratch_expand()): its path is added to
 * *staged. Waits for whoever makes it. Where the disk has no room it is said, and the data set is
 * read where it lies. Errors of dataset_open(); ERR_DATA: the copy is not what was imported, and is
 * removed; ERR_CONFIG, ERR_IO: of scratch_folder_named(), and of the disk. */
MUST_CHECK enum err dataset_stage(const char *path, const char *scratch, struct text *staged);

#endif
