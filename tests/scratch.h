/* A folder for one test: made by scratch_make() in the setup, removed with all that is in it by
 * scratch_remove() in the teardown. cmocka's setup and teardown; *state is the path. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include "base/file.h"
#include "base/mem.h"
#include <stdlib.h>

static inline int scratch_make(void **state)
{
    const char *root = getenv("TMPDIR");
    char *folder = file_join(root ? root : "/tmp", "glowworm-test-XXXXXX");
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static inline int scratch_remove(void **state)
{
    enum err err = file_remove_folder(*state);
    mem_free(*state);
    return err == ERR_OK ? 0 : -1;
}

#endif
