#include "trainer/data/staged.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scratch_folder.h"
#include "base/store/store.h"
#include "trainer/data/dataset.h"
#include "trainer/data/record.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define NAME_DIGITS 16 /* of the content */
#define COPY_NAME   "dataset"
#define PIECE_BYTES ((size_t)4 << 20)
#define TELL_S      30.0 /* a word to people while it is copied, or waited for */

struct staging { /* all owned but path */
    const char *path;
    char *folder; /* of all that belongs to the copy */
    char *copy;   /* the data set in it */
    char *part;   /* where that is made */
    int lock;
};

static void name_folder(const struct hash *content, char *name, size_t room)
{
    char hex[HASH_HEX_BYTES];
    hash_hex(content, hex);
    snprintf(name, room, "glowworm-data-%.*s", NAME_DIGITS, hex);
}

static enum err begin(struct staging *staging, const char *scratch, const struct hash *content)
{
    enum err err = ERR_OK;
    char name[64];
    name_folder(content, name, sizeof name);
    TRY(scratch_folder_named(scratch, name, &staging->folder));
    staging->copy = file_join(staging->folder, COPY_NAME);
    staging->part = file_join(staging->folder, COPY_NAME ".part");
out:
    return err;
}

static void end(struct staging *staging)
{
    if (staging->lock >= 0)
        close(staging->lock);
    mem_free(staging->folder);
    mem_free(staging->copy);
    mem_free(staging->part);
}

/* As long as another rank of this node copies. */
static enum err take_lock(struct staging *staging)
{
    char *path = file_join(staging->folder, "lock");
    double told_s = clock_seconds();
    staging->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    mem_free(path);
    if (staging->lock < 0)
        return err_set(ERR_IO, "%s: %s", staging->folder, strerror(errno));
    while (flock(staging->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_set(ERR_IO, "%s: %s", staging->folder, strerror(errno));
        if (clock_seconds() - told_s > TELL_S) {
            log_info("waiting for the copy of the dataset %s on this node", staging->path);
            told_s = clock_seconds();
        }
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return ERR_OK;
}

/* True: the content of the data set that lies there, as it says itself, is this one. */
static bool is_there(const char *copy, const struct hash *content)
{
    struct dataset *dataset = NULL;
    bool is_same = dataset_open(copy, &dataset) == ERR_OK &&
                   hash_equal(&dataset_info(dataset)->content, content);
    dataset_close(&dataset);
    return is_same;
}

static enum err copy_bytes(const struct staging *staging, int from, struct file_update *to)
{
    enum err err = ERR_OK;
    char *bytes = mem_alloc(PIECE_BYTES);
    unsigned long long done = 0;
    double told_s = clock_seconds();
    for (ssize_t got; (got = read(from, bytes, PIECE_BYTES)) != 0;) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            TRY(err_set(ERR_IO, "the dataset %s: %s", staging->path, strerror(errno)));
        TRY(file_append(to, bytes, (size_t)got));
        done += (unsigned long long)got;
        if (clock_seconds() - told_s > TELL_S) {
            log_info("copying the dataset %s to this node: %llu MiB so far", staging->path,
                     done >> 20);
            told_s = clock_seconds();
        }
    }
out:
    mem_free(bytes);
    return err;
}

/* A data set is never written again: its one file is what it is. */
static enum err copy_store(const struct staging *staging)
{
    enum err err = ERR_OK;
    char *from = file_join(staging->path, STORE_FILE), *to = file_join(staging->part, STORE_FILE);
    char *seal = file_join(staging->part, STORE_SEALED);
    struct file_update *update = NULL;
    int file = -1;
    TRY(file_remove_folder(staging->part));
    TRY(file_make_private(staging->part));
    TRY(file_open_regular(from, &file));
    TRY(file_begin(to, &update));
    TRY(copy_bytes(staging, file, update));
    TRY(file_commit(&update, FILE_REPLACE));
    TRY(file_write(seal, "", 0));
out:
    file_abort(&update);
    if (file >= 0)
        close(file);
    mem_free(from);
    mem_free(to);
    mem_free(seal);
    return err;
}

static enum err add_hash(uint32_t index, const struct record *record, void *own)
{
    struct hash hash = record_hash(record->stored, record->stored_bytes);
    (void)index;
    hasher_add(own, hash.bytes, HASH_BYTES);
    return ERR_OK;
}

static enum err hash_content(const struct dataset *dataset, struct hash *content)
{
    enum err err = ERR_OK;
    const struct dataset_info *info = dataset_info(dataset);
    uint32_t count = info->train_count + info->test_count;
    uint32_t *all = mem_array(count, sizeof *all);
    struct hasher hasher;
    for (uint32_t i = 0; i < count; i++)
        all[i] = i;
    record_begin_content(&hasher, info);
    TRY(dataset_visit(dataset, all, count, add_hash, &hasher));
    *content = hasher_end(&hasher);
out:
    mem_free(all);
    return err;
}

static enum err check_copy(const struct staging *staging, const struct hash *content)
{
    enum err err = ERR_OK;
    struct dataset *dataset = NULL;
    struct hash found;
    TRY(dataset_open(staging->part, &dataset));
    TRY(hash_content(dataset, &found));
    if (!hash_equal(&found, content))
        err = ERR_DATA;
out:
    dataset_close(&dataset);
    if (err == ERR_DATA)
        err_set(err,
                "the copy of the dataset %s in %s is not what was imported; \"glowworm dataset "
                "verify\" tells whether the dataset itself is damaged, else a disk is",
                staging->path, staging->folder);
    return err;
}

static enum err make_copy(struct staging *staging, const struct hash *content)
{
    enum err err = ERR_OK;
    double start_s = clock_seconds();
    TRY(copy_store(staging));
    TRY(check_copy(staging, content));
    TRY(file_remove_folder(staging->copy));
    if (rename(staging->part, staging->copy) != 0)
        TRY(err_set(ERR_IO, "%s: %s", staging->copy, strerror(errno)));
    file_sync_folder(staging->folder);
    log_info("the dataset %s is copied to %s, in %.1f s", staging->path, staging->copy,
             clock_seconds() - start_s);
out:
    return err;
}

/* *err of a copy that was not made; true: it can do without one. */
static bool can_do_without(const struct staging *staging, enum err err)
{
    char *text = mem_string(err_text());
    if (file_remove_folder(staging->part) != ERR_OK)
        log_warn("%s is left behind: %s", staging->part, err_text());
    if (err == ERR_FULL)
        log_warn("the dataset %s is read where it lies: %s", staging->path, text);
    else
        err_set(err, "%s", text);
    mem_free(text);
    return err == ERR_FULL;
}

enum err dataset_stage(const char *path, const char *scratch, struct text *staged)
{
    enum err err = ERR_OK;
    struct staging staging = {.path = path, .lock = -1};
    struct dataset *dataset = NULL;
    TRY(dataset_open(path, &dataset));
    struct hash content = dataset_info(dataset)->content;
    dataset_close(&dataset);
    TRY(begin(&staging, scratch, &content));
    TRY(take_lock(&staging));
    const char *found = staging.copy;
    if (!is_there(staging.copy, &content) && (err = make_copy(&staging, &content)) != ERR_OK) {
        if (!can_do_without(&staging, err))
            goto out;
        err = ERR_OK;
        found = path;
    }
    text_add(staged, "%s", found);
out:
    dataset_close(&dataset);
    end(&staging);
    return err;
}
