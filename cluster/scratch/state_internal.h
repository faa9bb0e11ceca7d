/* What the files that make, describe and bring back published states share. Nobody else includes
 * it.
 */
#ifndef CLUSTER_SCRATCH_STATE_INTERNAL_H
#define CLUSTER_SCRATCH_STATE_INTERNAL_H

#include "cluster/scratch/state.h"

/* manifest.c */
void manifest_init(struct state_manifest *manifest);
/* Into the folder of the state. ERR_IO, ERR_FULL. */
MUST_CHECK enum err manifest_write(const char *folder, const struct state_manifest *manifest);

/* state_check.c */
/* How many checkpoints the copied journal counts on that the copied checkpoints do not have, and a
 * hash of which. ERR_DATA: a copy is damaged. */
MUST_CHECK enum err state_find_missing(const char *folder, const struct state_manifest *manifest,
                                       int *count, struct hash *which);

/* state_restore.c */
struct state_reading { /* borrowed */
    const char *path, *to_path;
    int to;                       /* < 0: what is read is only hashed */
    enum err (*check)(void *own); /* before each block; NULL: nothing is asked */
    void *own;
    bool has_failed; /* out: the error is of reading `path` */
};
/* Reads a file to its end. size and hash of what was read. ERR_IO, ERR_FULL, those of the check. */
MUST_CHECK enum err state_read_through(struct state_reading *reading, struct state_file *file);

#endif
