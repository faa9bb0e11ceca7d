#include "base/fault.h"
#include "base/file.h"
#include "base/store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* The disk that fails may be the copy's. */
static enum err translate(const struct store *store, const char *path, int code)
{
    if (code == ENOSPC || code == EDQUOT)
        return err_set(ERR_FULL, "cannot copy %s to %s: no space left on its disk: make room there",
                       store->folder, path);
    return store_translate(store, code, "copy");
}

/* LMDB begins a transaction of its own for it, and another process may have grown the map. */
static enum err copy_to(struct store *store, const char *path, int file)
{
    enum err err = ERR_OK;
    for (int code = MDB_MAP_RESIZED; code == MDB_MAP_RESIZED;) {
        pthread_rwlock_rdlock(&store->map);
        code = mdb_env_copyfd2(store->env, file, MDB_CP_COMPACT);
        pthread_rwlock_unlock(&store->map);
        TRY(code == MDB_MAP_RESIZED ? store_follow_map(store) : translate(store, path, code));
    }
out:
    return err;
}

enum err store_copy(struct store *store, const char *path)
{
    enum err err = ERR_OK;
    bool is_ours = false;
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        TRY(translate(store, path, errno));
    is_ours = true;
    TRY(FAULT("store.copy"));
    TRY(copy_to(store, path, file));
    TRY(FAULT("store.copied"));
    if (fsync(file) != 0)
        TRY(translate(store, path, errno));
out:
    if (file >= 0)
        close(file);
    if (err != ERR_OK && is_ours)
        unlink(path);
    return err;
}
