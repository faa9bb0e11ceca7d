#include "base/fault.h"
#include "base/mem.h"
#include "base/store/internal.h"
#include "base/store/place.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A whole, durable copy with the old file's permissions. One that a crash left behind is replaced.
 */
static enum err write_copy(struct store *store, const char *copy)
{
    enum err err = ERR_OK;
    struct stat old;
    int file = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0 || stat(store->file, &old) != 0 || fchmod(file, old.st_mode & 07777) != 0)
        TRY(store_translate(store, errno, "compact"));
    TRY(FAULT("store.compact"));
    TRY(store_translate(store, mdb_env_copyfd2(store->env, file, MDB_CP_COMPACT), "compact"));
    if (fsync(file) != 0)
        TRY(store_translate(store, errno, "compact"));
out:
    place_unlock(&file); /* closes it */
    return err;
}

/* With our environment closed and the gate shut nobody can open the old file any more. Whoever has
 * it open shares the table of readers with those to come, whose file is another: not then. */
static enum err replace_file(struct store *store, const char *copy)
{
    enum err err = ERR_OK;
    int gate = -1;
    long user = 0;
    TRY(place_shut_gate(store->folder, &gate));
    TRY(place_find_user(store->folder, &user));
    if (user != 0)
        TRY(err_set(ERR_AGAIN, "%s is open in process %ld", store->folder, user));
    TRY(FAULT("store.replace"));
    if (rename(copy, store->file) != 0)
        TRY(store_translate(store, errno, "compact"));
    fsync(gate); /* the rename; some file systems refuse to sync a folder */
out:
    place_unlock(&gate);
    return err;
}

enum err store_compact(struct store **compacted, uint64_t *freed_bytes)
{
    enum err err = ERR_OK;
    struct store *store = *compacted;
    uint64_t used_bytes, before_bytes;
    struct stat status;
    struct text copy;
    text_init(&copy);
    text_add(&copy, "%s.compacting", store->file);
    if (store->mode != STORE_WRITE)
        BUG("%s is open for reading only", store->folder);
    TRY(store_measure(store, &used_bytes, &before_bytes));
    TRY(write_copy(store, text_get(&copy)));
    mdb_env_close(store->env);
    store->env = NULL;
    TRY(replace_file(store, text_get(&copy)));
    if (stat(store->file, &status) != 0)
        TRY(store_translate(store, errno, "look at"));
    uint64_t after_bytes = (uint64_t)status.st_size;
    *freed_bytes = before_bytes > after_bytes ? before_bytes - after_bytes : 0;
out:
    if (err != ERR_OK)
        unlink(text_get(&copy));
    text_fini(&copy);
    store_close(compacted);
    return err;
}
