#include "base/file.h"
#include "base/mem.h"
#include "base/store/internal.h"
#include "base/store/place.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_MAP_BYTES ((size_t)64 << 20)
#define MAX_READERS     4096 /* of all processes of the machine: ranks times loader threads */
/* Pages at the end of the file that a transaction took and gave back unwritten; see extend_file()
 * in store.c. */
#define UNWRITTEN_PAGES 16

struct format {
    struct store *store;
    const struct store_cfg *cfg;
};

#define FORMAT_TABLE "store"
#define FORMAT_KEY   "format"

/* "glowworm checkpoints 1" */
static int print_format(const struct store_cfg *cfg, uint32_t version, char text[128])
{
    return snprintf(text, 128, "glowworm %s %u", cfg->kind, (unsigned)version);
}

static bool is_readable(const struct store_cfg *cfg, const char *record)
{
    char expected[128];
    for (uint32_t version = cfg->oldest > 0 ? cfg->oldest : cfg->version; version <= cfg->version;
         version++) {
        print_format(cfg, version, expected);
        if (strcmp(record, expected) == 0)
            return true;
    }
    return false;
}

static enum err compare_format(const struct format *format, MDB_val found)
{
    char expected[128], record[128];
    size_t size = found.mv_size < sizeof record ? found.mv_size : sizeof record - 1;
    memcpy(record, found.mv_data, size);
    record[size] = '\0';
    if (is_readable(format->cfg, record))
        return ERR_OK;
    print_format(format->cfg, format->cfg->version, expected);
    return err_set(ERR_DATA,
                   "%s holds \"%s\", but this program expected \"%s\": use the version that wrote "
                   "it, or another folder",
                   format->store->folder, record, expected);
}

static enum err write_format(const struct format *format, MDB_txn *txn, MDB_dbi table)
{
    char text[128];
    MDB_val key = {strlen(FORMAT_KEY), FORMAT_KEY};
    MDB_val value = {(size_t)print_format(format->cfg, format->cfg->version, text), text};
    return store_translate(format->store, mdb_put(txn, table, &key, &value, 0), "write");
}

/* Nothing is in it but the table that was just made. */
static bool is_new(MDB_txn *txn)
{
    MDB_dbi table_of_tables;
    MDB_stat stat;
    return mdb_dbi_open(txn, NULL, 0, &table_of_tables) == MDB_SUCCESS &&
           mdb_stat(txn, table_of_tables, &stat) == MDB_SUCCESS && stat.ms_entries <= 1;
}

static enum err check_format(const struct format *format, struct store_txn *txn)
{
    MDB_dbi *table = &format->store->format_table;
    MDB_val key = {strlen(FORMAT_KEY), FORMAT_KEY}, found;
    int code = mdb_dbi_open(txn->mdb, FORMAT_TABLE, txn->is_writing ? MDB_CREATE : 0, table);
    if (code == MDB_SUCCESS)
        code = mdb_get(txn->mdb, *table, &key, &found);
    if (code == MDB_SUCCESS) {
        enum err err = compare_format(format, found);
        bool is_older = err == ERR_OK && format->cfg->oldest > 0;
        return is_older && txn->is_writing ? write_format(format, txn->mdb, *table) : err;
    }
    if (code == MDB_NOTFOUND && txn->is_writing && is_new(txn->mdb))
        return write_format(format, txn->mdb, *table);
    if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE)
        return err_set(ERR_DATA, "%s is no store of %s: name another folder", format->store->folder,
                       format->cfg->kind);
    return store_translate(format->store, code, "open");
}

static enum err open_tables(struct store_txn *txn, void *argument)
{
    const struct format *format = argument;
    struct store *store = format->store;
    enum err err = ERR_OK;
    TRY(check_format(format, txn));
    for (int i = 0; format->cfg->tables[i]; i++) {
        int code = mdb_dbi_open(txn->mdb, format->cfg->tables[i], txn->is_writing ? MDB_CREATE : 0,
                                &store->tables[i]);
        bool is_added = format->cfg->first_added > 0 && i >= format->cfg->first_added;
        store->lacks[i] = code == MDB_NOTFOUND && is_added;
        if (store->lacks[i])
            continue;
        if (code == MDB_NOTFOUND)
            TRY(err_set(ERR_DATA, "%s has no table \"%s\"", store->folder, format->cfg->tables[i]));
        TRY(store_translate(store, code, "open"));
    }
out:
    return err;
}

/* Reading tables keeps their handles only when the transaction is committed. */
static enum err open_tables_to_read(struct store *store, struct format *format)
{
    struct store_txn txn;
    enum err err = store_begin(store, MDB_RDONLY, &txn);
    if (err != ERR_OK)
        return err;
    err = open_tables(&txn, format);
    if (err == ERR_OK) {
        err = store_translate(store, mdb_txn_commit(txn.mdb), "open");
        txn.mdb = NULL;
    }
    store_abort(&txn);
    return err;
}

/* The data can be read, so it is LMDB's table of readers that cannot be written. Without an entry
 * in it a writer reuses the pages that we are looking at. */
static enum err refuse_unlocked(const struct store *store, int code)
{
    return err_set(ERR_IO,
                   "cannot open %s to read: its table of readers %s/lock.mdb cannot be written "
                   "(%s), and reading without it is not safe while another process writes. Ask its "
                   "owner for \"chmod a+w\" of that file (of the folder where it is missing), or "
                   "read a copy of the folder",
                   store->folder, store->folder, strerror(code));
}

/* On a read-only file system, and only there, LMDB does without a table of readers: nobody writes.
 */
static enum err open_env(struct store *store, const struct store_cfg *cfg)
{
    enum err err = ERR_OK;
    unsigned flags = MDB_NOTLS | (cfg->mode == STORE_READ ? MDB_RDONLY : 0) |
                     (store->is_sealed ? MDB_NOLOCK : 0);
    TRY(store_translate(store, mdb_env_create(&store->env), "open"));
    mdb_env_set_maxdbs(store->env, STORE_MAX_TABLES + 1);
    mdb_env_set_maxreaders(store->env, MAX_READERS);
    mdb_env_set_mapsize(store->env, cfg->map_bytes ? cfg->map_bytes : FIRST_MAP_BYTES);
    int code = mdb_env_open(store->env, store->folder, flags, 0666);
    if (code != MDB_SUCCESS) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
    if ((code == EACCES || code == EPERM) && cfg->mode == STORE_READ &&
        faccessat(AT_FDCWD, store->file, R_OK, AT_EACCESS) == 0)
        TRY(refuse_unlocked(store, code));
    TRY(store_translate(store, code, "open"));
out:
    return err;
}

static enum err check_length(struct store *store)
{
    enum err err = ERR_OK;
    uint64_t used_bytes, file_bytes;
    TRY(store_measure(store, &used_bytes, &file_bytes));
    if (file_bytes + UNWRITTEN_PAGES * 4096u < used_bytes)
        TRY(err_set(ERR_DATA, "%s is cut short: it has %llu bytes of %llu; a whole copy is needed",
                    store->file, (unsigned long long)file_bytes, (unsigned long long)used_bytes));
out:
    return err;
}

static void init_store(struct store *store, const struct store_cfg *cfg)
{
    store->folder = mem_string(cfg->path);
    store->file = file_join(cfg->path, STORE_FILE);
    store->mode = cfg->mode;
    store->lock = -1;
    for (; cfg->tables[store->table_count]; store->table_count++) {
        if (store->table_count == STORE_MAX_TABLES)
            BUG("more than %d tables in %s", STORE_MAX_TABLES, cfg->path);
        store->table_names[store->table_count] = mem_string(cfg->tables[store->table_count]);
    }
    pthread_rwlockattr_t map;
    pthread_rwlockattr_init(&map);
    /* Growing must not starve behind readers that come one after the other. */
    pthread_rwlockattr_setkind_np(&map, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&store->map, &map);
    pthread_rwlockattr_destroy(&map);
    pthread_mutexattr_t updating;
    pthread_mutexattr_init(&updating);
    pthread_mutexattr_settype(&updating, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&store->updating, &updating);
    pthread_mutexattr_destroy(&updating);
}

/* Whoever made it was killed before it held anything. */
static bool is_empty(const char *file)
{
    struct stat status;
    return stat(file, &status) == 0 && status.st_size == 0;
}

static bool has_seal(const char *folder)
{
    char *seal = file_join(folder, STORE_SEALED);
    bool is_there = file_exists(seal);
    mem_free(seal);
    return is_there;
}

static enum err find_folder(struct store *store)
{
    enum err err = ERR_OK;
    bool is_writer = store->mode == STORE_WRITE;
    if (is_writer)
        TRY(file_make_folders(store->folder));
    else if (!file_exists(store->file))
        TRY(err_set(ERR_NOT_FOUND, "there is no store in %s", store->folder));
    else if (is_empty(store->file))
        TRY(err_set(ERR_NOT_FOUND, "there is no store in %s: its data.mdb is empty",
                    store->folder));
    store->is_sealed = has_seal(store->folder);
    if (store->is_sealed && is_writer)
        TRY(err_set(ERR_CONFIG,
                    "%s is a published copy, which nobody writes: name the run's own store",
                    store->folder));
    if (!store->is_sealed)
        TRY(place_check_local(store->folder, is_writer));
    TRY(place_check_open_once(store->file));
    if (is_writer)
        TRY(place_lock(store->folder, &store->lock));
out:
    return err;
}

enum err store_open(const struct store_cfg *cfg, struct store **opened)
{
    enum err err = ERR_OK;
    struct store *store = mem_alloc(sizeof *store);
    struct format format = {.store = store, .cfg = cfg};
    int gate = -1;
    init_store(store, cfg);
    TRY(find_folder(store));
    place_pass_gate(store->folder, &gate);
    TRY(open_env(store, cfg));
    place_unlock(&gate);
    TRY(check_length(store));
    if (cfg->mode == STORE_WRITE)
        TRY(store_update(store, open_tables, &format));
    else
        TRY(open_tables_to_read(store, &format));
    *opened = store;
    store = NULL;
out:
    place_unlock(&gate);
    store_close(&store);
    return err;
}

void store_close(struct store **closed)
{
    if (!closed || !*closed)
        return;
    struct store *store = *closed;
    if (store->env)
        mdb_env_close(store->env);
    place_unlock(&store->lock);
    pthread_rwlock_destroy(&store->map);
    pthread_mutex_destroy(&store->updating);
    for (int i = 0; i < store->table_count; i++)
        mem_free(store->table_names[i]);
    mem_free(store->folder);
    mem_free(store->file);
    mem_free(store);
    *closed = NULL;
}

const char *store_folder(const struct store *store)
{
    return store->folder;
}

static int count_reader(const char *line, void *argument)
{
    int *count = argument;
    *count += strncmp(line, "(no", 3) != 0; /* "(no active readers)" */
    return 0;
}

enum err store_info(struct store *store, struct store_info *info)
{
    enum err err = ERR_OK;
    MDB_envinfo env;
    struct store_info made = {0};
    int lines = 0;
    TRY(store_translate(store, mdb_env_info(store->env, &env), "look at"));
    TRY(store_measure(store, &made.used_bytes, &made.file_bytes));
    made.map_bytes = env.me_mapsize;
    made.last_write = (uint64_t)env.me_last_txnid;
    (void)mdb_reader_list(store->env, count_reader, &lines);
    made.readers = lines > 1 ? lines - 1 : 0; /* the first line is the heading */
    *info = made;
out:
    return err;
}
