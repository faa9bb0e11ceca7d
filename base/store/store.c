#include "base/fault.h"
#include "base/log.h"
#include "base/room.h"
#include "base/store/internal.h"
#include "base/store/place.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST_STEP_BYTES ((size_t)8 << 30) /* the map doubles up to here, then grows by it */
enum err store_translate(const struct store *store, int code, const char *verb)
{
    if (code == MDB_SUCCESS)
        return ERR_OK;
    const char *folder = store->folder;
    unsigned long long free_bytes = place_free_bytes(folder);
    switch (code) {
    case ENOSPC:
    case EDQUOT:
        return err_set(ERR_FULL,
                       "cannot %s %s: no space left on its disk (%llu MiB free): make room there; "
                       "what was there is intact",
                       verb, folder, free_bytes >> 20);
    case EIO: /* LMDB says this of a write that was cut short too */
        if (room_check(folder, ROOM_BYTES) == ERR_FULL)
            return store_translate(store, ENOSPC, verb);
        break;
    case ENOMEM:
        return err_set(ERR_MEMORY,
                       "cannot %s %s: out of memory; end other programs, or take a larger machine",
                       verb, folder);
    case MDB_MAP_FULL:
        return err_set(ERR_FULL, "cannot %s %s: the map is full", verb, folder);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return err_set(
            ERR_DATA,
            "cannot %s %s: it is damaged or not a store (%s); a copy of the folder is needed", verb,
            folder, mdb_strerror(code));
    case MDB_BAD_TXN: /* LMDB ends a transaction at the first damage */
        return err_set(ERR_DATA,
                       "cannot %s %s: it is damaged, the same transaction came upon it before; a "
                       "copy of the folder is needed",
                       verb, folder);
    }
    return err_set(ERR_IO, "cannot %s %s: %s", verb, folder, mdb_strerror(code));
}

/* Under the write lock of store->map: no transaction of this process runs. */
static enum err set_map(struct store *store, size_t map_bytes)
{
    return store_translate(store, mdb_env_set_mapsize(store->env, map_bytes), "map");
}

enum err store_follow_map(struct store *store)
{
    pthread_rwlock_wrlock(&store->map);
    enum err err = set_map(store, 0);
    pthread_rwlock_unlock(&store->map);
    return err;
}

static enum err grow_map(struct store *store)
{
    enum err err = ERR_OK;
    MDB_envinfo info;
    pthread_rwlock_wrlock(&store->map);
    TRY(FAULT("store.grow"));
    TRY(store_translate(store, mdb_env_info(store->env, &info), "look at"));
    size_t step = info.me_mapsize < LARGEST_STEP_BYTES ? info.me_mapsize : LARGEST_STEP_BYTES;
    size_t map_bytes = info.me_mapsize + step;
    /* LMDB gives the old map up before it makes the new one: see first that there is room for it.
     */
    void *trial =
        mmap(NULL, map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (trial == MAP_FAILED)
        TRY(err_set(ERR_FULL,
                    "cannot map %zu MiB for %s: %s; is the address space limited (ulimit -v)?",
                    map_bytes >> 20, store->folder, strerror(errno)));
    munmap(trial, map_bytes);
    TRY(set_map(store, map_bytes));
    log_debug("store=%s map_bytes=%zu", store->folder, map_bytes);
out:
    pthread_rwlock_unlock(&store->map);
    return err;
}

enum err store_measure(struct store *store, uint64_t *used_bytes, uint64_t *file_bytes)
{
    enum err err = ERR_OK;
    MDB_envinfo info;
    MDB_stat stat_of_env;
    struct stat status;
    TRY(store_translate(store, mdb_env_info(store->env, &info), "look at"));
    TRY(store_translate(store, mdb_env_stat(store->env, &stat_of_env), "look at"));
    if (stat(store->file, &status) != 0)
        TRY(store_translate(store, errno, "look at"));
    *used_bytes = (uint64_t)(info.me_last_pgno + 1) * stat_of_env.ms_psize;
    *file_bytes = (uint64_t)status.st_size;
out:
    return err;
}

/* A page that a transaction took at the end of the file and gave back is counted but not written.
 * Making the file as long as it says lets a reader tell a file that was cut short, which would
 * otherwise end it with SIGBUS. Only the one writer of all processes comes here. */
static enum err extend_file(struct store *store)
{
    enum err err = ERR_OK;
    uint64_t used_bytes, file_bytes;
    TRY(store_measure(store, &used_bytes, &file_bytes));
    if (file_bytes < used_bytes && truncate(store->file, (off_t)used_bytes) != 0)
        TRY(store_translate(store, errno, "extend"));
out:
    return err;
}

enum err store_begin(struct store *store, unsigned flags, struct store_txn *txn)
{
    *txn = (struct store_txn){.store = store, .is_writing = !(flags & MDB_RDONLY)};
    for (;;) {
        pthread_rwlock_rdlock(&store->map);
        int code = mdb_txn_begin(store->env, NULL, flags, &txn->mdb);
        if (code == MDB_SUCCESS)
            return ERR_OK;
        pthread_rwlock_unlock(&store->map);
        if (code == MDB_READERS_FULL)
            return err_set(ERR_AGAIN, "%s has too many readers at once: wait for some to end",
                           store->folder);
        enum err err =
            code == MDB_MAP_RESIZED ? store_follow_map(store) : store_translate(store, code, "use");
        if (err != ERR_OK)
            return err;
    }
}

void store_abort(struct store_txn *txn)
{
    if (txn->mdb)
        mdb_txn_abort(txn->mdb);
    txn->mdb = NULL;
    pthread_rwlock_unlock(&txn->store->map);
}

/* Takes the transaction, succeed or fail. */
static enum err commit_txn(struct store_txn *txn)
{
    enum err err = FAULT("store.commit");
    if (err == ERR_OK) {
        int code = mdb_txn_commit(txn->mdb);
        txn->mdb = NULL;
        txn->is_map_full |= code == MDB_MAP_FULL;
        err = store_translate(txn->store, code, "write");
    }
    store_abort(txn);
    return err;
}

enum err store_view(struct store *store, enum err (*body)(struct store_txn *, void *argument),
                    void *argument)
{
    struct store_txn txn;
    enum err err = FAULT("store.view");
    if (err == ERR_OK)
        err = store_begin(store, MDB_RDONLY, &txn);
    if (err != ERR_OK)
        return err;
    err = body(&txn, argument);
    store_abort(&txn);
    return err;
}

static enum err update_once(struct store *store, enum err (*body)(struct store_txn *, void *),
                            void *argument, bool *is_map_full)
{
    struct store_txn txn;
    enum err err = store_begin(store, 0, &txn);
    if (err != ERR_OK)
        return err;
    err = body(&txn, argument);
    if (err == ERR_OK && !txn.is_map_full)
        err = commit_txn(&txn);
    else
        store_abort(&txn);
    *is_map_full = txn.is_map_full;
    return err;
}

enum err store_update(struct store *store, enum err (*body)(struct store_txn *, void *argument),
                      void *argument)
{
    enum err err = ERR_OK;
    if (store->mode != STORE_WRITE)
        BUG("%s is open for reading only", store->folder);
    if (pthread_mutex_lock(&store->updating) != 0)
        BUG("store_update() of %s inside itself", store->folder);
    int dead_readers = 0; /* processes that died reading pin the pages they saw */
    TRY(store_translate(store, mdb_reader_check(store->env, &dead_readers), "look at"));
    for (bool is_map_full = true; is_map_full;) {
        is_map_full = false;
        err = update_once(store, body, argument, &is_map_full);
        if (is_map_full)
            TRY(grow_map(store));
    }
    if (err == ERR_OK)
        TRY(extend_file(store));
out:
    pthread_mutex_unlock(&store->updating);
    return err;
}

/* Any page will do: the first record of the format table is written again as it is. */
static enum err touch(struct store_txn *txn, void *argument)
{
    (void)argument;
    struct store *store = txn->store;
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    char copy[256];
    int code = mdb_cursor_open(txn->mdb, store->format_table, &cursor);
    if (code == MDB_SUCCESS)
        code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    if (code == MDB_SUCCESS && value.mv_size <= sizeof copy) {
        memcpy(copy, value.mv_data, value.mv_size);
        value.mv_data = copy;
        code = mdb_cursor_put(cursor, &key, &value, MDB_CURRENT);
    }
    if (cursor)
        mdb_cursor_close(cursor);
    txn->is_map_full = code == MDB_MAP_FULL;
    return store_translate(store, code, "write");
}

enum err store_reuse_pages(struct store *store)
{
    return store_update(store, touch, NULL);
}
