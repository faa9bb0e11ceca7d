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

enum err state_read_through(const char *path, int to, const char *to_path, struct state_file *file)
{
    enum err err = ERR_OK;
    struct hasher hasher;
    int from = -1;
    char *block = mem_alloc(BLOCK_BYTES);
    hasher_init(&hasher);
    file->size_bytes = 0;
    TRY(file_open_regular(path, &from));
    for (ssize_t got = 1; got > 0; file->size_bytes += (uint64_t)got) {
        got = read(from, block, BLOCK_BYTES);
        if (got < 0)
            TRY(fail("read", path));
        hasher_add(&hasher, block, (size_t)got);
        if (to >= 0)
            TRY(write_all(to, to_path, block, (size_t)got));
    }
    struct hash hash = hasher_end(&hasher);
    hash_hex(&hash, file->hash);
out:
    if (from >= 0)
        close(from);
    mem_free(block);
    return err;
}

static enum err copy_file(const char *from, const char *to, const struct state_file *wanted)
{
    enum err err = ERR_OK;
    struct state_file found = {.store = wanted->store};
    int file = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        TRY(fail("create", to));
    TRY(FAULT("restore.copy"));
    TRY(state_read_through(from, file, to, &found));
    if (found.size_bytes != wanted->size_bytes || strcmp(found.hash, wanted->hash) != 0)
        TRY(err_set(ERR_DATA, "%s is damaged: it has %llu bytes of %llu, of another hash", from,
                    (unsigned long long)found.size_bytes, (unsigned long long)wanted->size_bytes));
    if (fsync(file) != 0)
        TRY(fail("sync", to));
out:
    if (file >= 0)
        close(file);
    return err;
}

static enum err copy_store(const char *run_folder, const struct published_state *state,
                           const char *into, const struct state_file *wanted)
{
    enum err err = ERR_OK;
    char *folder = file_join(into, wanted->store), *to = file_join(folder, STORE_FILE);
    char *store = published_path(run_folder, state, wanted->store);
    char *from = file_join(store, STORE_FILE);
    TRY(file_make_private(folder));
    TRY(copy_file(from, to, wanted));
    file_sync_folder(folder);
out:
    mem_free(from);
    mem_free(store);
    mem_free(to);
    mem_free(folder);
    return err;
}

static enum err restore_one(const char *run_folder, const struct published_state *state,
                            const char *into)
{
    enum err err = ERR_OK;
    struct state_manifest manifest;
    TRY(state_read_manifest(run_folder, state, &manifest));
    TRY(file_remove_folder(into));
    TRY(file_make_private(into));
    for (int i = 0; i < STATE_FILES; i++)
        if (manifest.files[i].is_there)
            TRY(copy_store(run_folder, state, into, &manifest.files[i]));
    file_sync_folder(into);
out:
    return err;
}

/* Of the copy, not of the disk that it goes to. */
static bool is_damage(enum err err)
{
    return err == ERR_DATA || err == ERR_NOT_FOUND;
}

enum err state_restore(const char *run_folder, const char *into, struct published_state *name,
                       struct text *damage)
{
    struct published_state states[MAX_STATES];
    int count = published_list(run_folder, states, MAX_STATES);
    if (count == 0)
        return err_set(ERR_NOT_FOUND, "nothing was published in %s", run_folder);
    for (int i = 0; i < count; i++) {
        enum err err = restore_one(run_folder, &states[i], into);
        *name = states[i];
        if (!is_damage(err))
            return err;
        text_add(damage, "%s\n", err_text());
    }
    return err_set(ERR_DATA,
                   "nothing that was published in %s is whole:\n%sthe run can begin anew in "
                   "another folder (--run-folder), or here once published/ was moved away",
                   run_folder, text_get(damage));
}
