#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/store/store.h"
#include "cluster/scratch/state_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)1 << 20)
#define MAX_STATES  16 /* more than ever stay */

static enum err fail(const char *verb, const char *path)
{
    return err_set(errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, "cannot %s %s: %s", verb,
                   path, strerror(errno));
}

static enum err write_all(int file, const char *path, const char *bytes, size_t size)
{
    enum err err = ERR_OK;
    for (size_t done = 0; done < size;) {
        ssize_t put = write(file, bytes + done, size - done);
        if (put < 0 && errno != EINTR)
            TRY(fail("write", path));
        done += put > 0 ? (size_t)put : 0;
    }
out:
    return err;
}

static enum err read_block(struct state_reading *reading, int from, char *block, ssize_t *got)
{
    do
        *got = FAULT("state.read") == ERR_OK ? read(from, block, BLOCK_BYTES) : (errno = EIO, -1);
    while (*got < 0 && errno == EINTR);
    reading->has_failed = *got < 0;
    return *got < 0 ? fail("read", reading->path) : ERR_OK;
}

static enum err open_from(struct state_reading *reading, int *from)
{
    enum err err = file_open_regular(reading->path, from);
    reading->has_failed = err == ERR_IO;
    return err;
}

enum err state_read_through(struct state_reading *reading, struct state_file *file)
{
    enum err err = ERR_OK;
    struct hasher hasher;
    int from = -1;
    char *block = mem_alloc(BLOCK_BYTES);
    hasher_init(&hasher);
    file->size_bytes = 0;
    TRY(open_from(reading, &from));
    for (ssize_t got = 1; got > 0; file->size_bytes += (uint64_t)got) {
        if (reading->check)
            TRY(reading->check(reading->own));
        TRY(read_block(reading, from, block, &got));
        hasher_add(&hasher, block, (size_t)got);
        if (reading->to >= 0)
            TRY(write_all(reading->to, reading->to_path, block, (size_t)got));
    }
    struct hash hash = hasher_end(&hasher);
    hash_hex(&hash, file->hash);
out:
    if (from >= 0)
        close(from);
    mem_free(block);
    return err;
}

struct restoring { /* one state */
    const struct restore_cfg *cfg;
    const struct published_state *state;
    bool is_unreadable; /* the error is of reading what was published */
};

static enum err copy_bytes(struct restoring *restoring, struct state_reading *reading,
                           const struct state_file *wanted)
{
    enum err err = ERR_OK;
    struct state_file found = {.store = wanted->store};
    reading->check = restoring->cfg->check;
    reading->own = restoring->cfg->own;
    err = state_read_through(reading, &found);
    restoring->is_unreadable = reading->has_failed;
    TRY(err);
    if (found.size_bytes != wanted->size_bytes || strcmp(found.hash, wanted->hash) != 0)
        TRY(err_set(ERR_DATA, "%s is damaged: it has %llu bytes of %llu, of another hash",
                    reading->path, (unsigned long long)found.size_bytes,
                    (unsigned long long)wanted->size_bytes));
out:
    return err;
}

static enum err copy_file(struct restoring *restoring, const char *from, const char *to,
                          const struct state_file *wanted)
{
    enum err err = ERR_OK;
    int file = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct state_reading reading = {.path = from, .to = file, .to_path = to};
    if (file < 0)
        TRY(fail("create", to));
    TRY(FAULT("restore.copy"));
    TRY(copy_bytes(restoring, &reading, wanted));
    if (fsync(file) != 0)
        TRY(fail("sync", to));
out:
    if (file >= 0)
        close(file);
    return err;
}

static enum err copy_store(struct restoring *restoring, const struct state_file *wanted)
{
    enum err err = ERR_OK;
    const struct restore_cfg *cfg = restoring->cfg;
    char *folder = file_join(cfg->into, wanted->store), *to = file_join(folder, STORE_FILE);
    char *store = published_path(cfg->run_folder, restoring->state, wanted->store);
    char *from = file_join(store, STORE_FILE);
    TRY(file_make_private(folder));
    TRY(copy_file(restoring, from, to, wanted));
    file_sync_folder(folder);
out:
    mem_free(from);
    mem_free(store);
    mem_free(to);
    mem_free(folder);
    return err;
}

static enum err read_manifest(struct restoring *restoring, struct state_manifest *manifest)
{
    enum err err = state_read_manifest(restoring->cfg->run_folder, restoring->state, manifest);
    restoring->is_unreadable = err == ERR_IO;
    return err;
}

static enum err restore_one(struct restoring *restoring)
{
    enum err err = ERR_OK;
    const char *into = restoring->cfg->into;
    struct state_manifest manifest;
    TRY(read_manifest(restoring, &manifest));
    TRY(file_remove_folder(into));
    TRY(file_make_private(into));
    for (int i = 0; i < STATE_FILES; i++)
        if (manifest.files[i].is_there)
            TRY(copy_store(restoring, &manifest.files[i]));
    file_sync_folder(into);
out:
    return err;
}

/* Of the copy, not of the disk that it goes to. */
static bool is_damage(const struct restoring *restoring, enum err err)
{
    return restoring->is_unreadable || err == ERR_DATA || err == ERR_NOT_FOUND;
}

static enum err none_is_whole(const struct restore_cfg *cfg, const struct text *damage,
                              bool may_be_read_later)
{
    if (may_be_read_later)
        return err_set(ERR_IO,
                       "of what was published in %s nothing can be read whole:\n%sthe same command "
                       "tries again",
                       cfg->run_folder, text_get(damage));
    return err_set(ERR_DATA,
                   "nothing that was published in %s is whole:\n%sthe run can begin anew in "
                   "another folder (--run-folder), or here once published/ was moved away",
                   cfg->run_folder, text_get(damage));
}

enum err state_restore(const struct restore_cfg *cfg, struct published_state *name,
                       struct text *damage)
{
    struct published_state states[MAX_STATES];
    bool may_be_read_later = false;
    int count = published_list(cfg->run_folder, states, MAX_STATES);
    if (count == 0)
        return err_set(ERR_NOT_FOUND, "nothing was published in %s", cfg->run_folder);
    for (int i = 0; i < count; i++) {
        struct restoring restoring = {.cfg = cfg, .state = &states[i]};
        enum err err = restore_one(&restoring);
        if (restoring.is_unreadable) /* a server that was away may answer now */
            err = restore_one(&restoring);
        *name = states[i];
        if (err == ERR_OK || !is_damage(&restoring, err))
            return err;
        may_be_read_later = may_be_read_later || restoring.is_unreadable;
        text_add(damage, "%s\n", err_text());
    }
    return none_is_whole(cfg, damage, may_be_read_later);
}
