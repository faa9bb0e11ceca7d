#include "base/clock.h"
#include "base/fault.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/store/store.h"
#include "cluster/scratch/state_internal.h"
#include "scheduler/journal.h"
#include "trainer/checkpoint/checkpoint.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRIES      4
#define MAX_STATES 64
#define BESIDE     "published/.state-" /* being made, or being removed */

struct making {
    const struct publish_cfg *cfg;
    struct state_manifest manifest;
    char *folder; /* where it is made */
};

static enum err copy_journal(const char *from, const char *to, uint64_t *last_write)
{
    enum err err = ERR_OK;
    struct journal *journal = NULL;
    TRY(journal_open(from, JOURNAL_READ, &journal));
    TRY(journal_copy(journal, to, last_write));
out:
    journal_close(&journal);
    return err;
}

static enum err copy_checkpoints(const char *from, const char *to, uint64_t *last_write)
{
    enum err err = ERR_OK;
    struct checkpoint_store *store = NULL;
    struct checkpoint_store_cfg cfg = {.path = from, .keep = 1};
    TRY(checkpoint_store_open(&cfg, &store));
    TRY(checkpoint_store_copy(store, to, last_write));
out:
    checkpoint_store_close(&store);
    return err;
}

typedef enum err copy_store(const char *from, const char *to, uint64_t *last_write);
static copy_store *const copies[STATE_FILES] = {copy_journal, copy_checkpoints};

/* Of the store before it is copied: what is written meanwhile is published the next time. Where
 * nobody has trained yet there are no checkpoints. */
static enum err copy_one(struct making *making, int i)
{
    enum err err = ERR_OK;
    struct state_file *file = &making->manifest.files[i];
    struct state_reading reading = {.to = -1};
    char *from = file_join(making->cfg->stores, file->store);
    char *folder = file_join(making->folder, file->store);
    char *to = file_join(folder, STORE_FILE), *seal = file_join(folder, STORE_SEALED);
    TRY(file_make_folders(folder));
    unlink(to); /* of a try before */
    err = copies[i](from, to, &file->last_write);
    file->is_there = err == ERR_OK;
    if (err == ERR_NOT_FOUND && i > 0) {
        rmdir(folder);
        err = ERR_OK;
        goto out;
    }
    TRY(err);
    reading.path = to;
    TRY(state_read_through(&reading, file));
    TRY(file_write(seal, "", 0));
out:
    mem_free(seal);
    mem_free(to);
    mem_free(folder);
    mem_free(from);
    return err;
}

/* The journal first: every checkpoint it counts on was durable before, and is in a copy made later
 * unless it was let go between. What is missing twice was gone before. */
static enum err copy_all(struct making *making)
{
    enum err err = ERR_OK;
    int missing = 0;
    struct hash which, before = {{0}};
    for (int i = 0; i < TRIES; i++) {
        for (int file = 0; file < STATE_FILES; file++)
            TRY(copy_one(making, file));
        TRY(FAULT("publish.copied"));
        TRY(state_find_missing(making->folder, &making->manifest, &missing, &which));
        if (missing == 0 || (i > 0 && hash_equal(&which, &before)))
            goto out;
        before = which;
    }
    TRY(err_set(ERR_AGAIN, "the checkpoints of %s change faster than they are copied",
                making->cfg->run_folder));
out:
    return err;
}

/* From the last word on it has its name, or not. */
static enum err commit(struct making *making)
{
    enum err err = ERR_OK;
    const struct fence fence = {making->cfg->run_folder, making->cfg->claim};
    char *path = published_path(making->cfg->run_folder, &making->manifest.name, "");
    making->manifest.written_ms = clock_wall_ms();
    TRY(manifest_write(making->folder, &making->manifest));
    TRY(FAULT("publish.made"));
    TRY(fence_check(&fence));
    if (rename(making->folder, path) != 0)
        TRY(err_set(ERR_IO, "cannot rename %s: %s", making->folder, strerror(errno)));
    TRY(FAULT("publish.renamed"));
    file_sync_parent(path);
out:
    mem_free(path);
    return err;
}

/* In sequence, so that half of one is never taken for a damaged one. */
static void remove_state(const char *run_folder, const struct published_state *state)
{
    char name[96];
    char *path = published_path(run_folder, state, "");
    snprintf(name, sizeof name, BESIDE "%llu-%llu-old", (unsigned long long)state->claim,
             (unsigned long long)state->sequence);
    char *beside = file_join(run_folder, name);
    if (rename(path, beside) != 0 || file_remove_folder(beside) != ERR_OK)
        log_warn("an old published state stays: %s", path);
    mem_free(beside);
    mem_free(path);
}

/* What owners that were killed have begun or not quite removed; never a later owner's. */
static void remove_parts(const struct publish_cfg *cfg)
{
    char *published = file_join(cfg->run_folder, "published");
    const char *beside = strrchr(BESIDE, '/') + 1;
    DIR *list = opendir(published);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        unsigned long long claim = 0;
        if (strncmp(entry->d_name, beside, strlen(beside)) != 0 ||
            sscanf(entry->d_name + strlen(beside), "%llu", &claim) != 1 || claim > cfg->claim)
            continue;
        char *path = file_join(published, entry->d_name);
        if (file_remove_folder(path) != ERR_OK)
            log_warn("half a published state stays: %s", err_text());
        mem_free(path);
    }
    if (list)
        closedir(list);
    mem_free(published);
}

static void remove_old(const struct publish_cfg *cfg)
{
    struct published_state states[MAX_STATES];
    int count = published_list(cfg->run_folder, states, MAX_STATES);
    for (int i = STATE_KEPT; i < count; i++)
        if (states[i].claim <= cfg->claim)
            remove_state(cfg->run_folder, &states[i]);
}

static enum err last_write(const struct publish_cfg *cfg, int i, uint64_t *number)
{
    enum err err = ERR_OK;
    char *path = file_join(cfg->stores, i == 0 ? PUBLISHED_JOURNAL : PUBLISHED_CHECKPOINTS);
    struct journal *journal = NULL;
    struct checkpoint_store *store = NULL;
    struct checkpoint_store_cfg store_cfg = {.path = path, .keep = 1};
    *number = 0;
    if (i == 0) {
        TRY(journal_open(path, JOURNAL_READ, &journal));
        TRY(journal_last_write(journal, number));
    } else {
        err = checkpoint_store_open(&store_cfg, &store);
        if (err == ERR_OK)
            err = checkpoint_store_last_write(store, number);
        err = err == ERR_NOT_FOUND ? ERR_OK : err;
    }
out:
    checkpoint_store_close(&store);
    journal_close(&journal);
    mem_free(path);
    return err;
}

/* The newest state was copied from these stores, and nothing was written to them since. */
static enum err find_unchanged(const struct making *making, struct published_state *name,
                               bool *is_unchanged)
{
    enum err err = ERR_OK;
    struct state_manifest newest;
    const struct publish_cfg *cfg = making->cfg;
    *is_unchanged = false;
    if (published_list(cfg->run_folder, name, 1) == 0 ||
        state_read_manifest(cfg->run_folder, name, &newest) != ERR_OK ||
        strcmp(newest.stores, making->manifest.stores) != 0)
        return ERR_OK;
    bool is_equal = true;
    for (int i = 0; i < STATE_FILES; i++) {
        uint64_t number = 0;
        TRY(last_write(cfg, i, &number));
        is_equal = is_equal && number == newest.files[i].last_write;
    }
    *is_unchanged = is_equal;
out:
    return err;
}

static enum err read_id(const char *stores, char id[CLAIM_ID])
{
    enum err err = ERR_OK;
    char *path = file_join(stores, "id"), *bytes = NULL;
    size_t size = 0;
    TRY(file_read(path, 256, &bytes, &size));
    if (size != CLAIM_ID - 1)
        TRY(err_set(ERR_DATA, "%s is damaged", path));
    memcpy(id, bytes, CLAIM_ID);
out:
    mem_free(bytes);
    mem_free(path);
    return err;
}

static uint64_t next_sequence(const struct publish_cfg *cfg)
{
    struct published_state states[MAX_STATES];
    int count = published_list(cfg->run_folder, states, MAX_STATES);
    for (int i = 0; i < count; i++)
        if (states[i].claim == cfg->claim)
            return states[i].sequence + 1;
    return 1;
}

static enum err make(struct making *making)
{
    enum err err = ERR_OK;
    char name[96];
    const struct publish_cfg *cfg = making->cfg;
    making->manifest.name = (struct published_state){cfg->claim, next_sequence(cfg)};
    snprintf(name, sizeof name, BESIDE "%llu-%llu", (unsigned long long)cfg->claim,
             (unsigned long long)making->manifest.name.sequence);
    making->folder = file_join(cfg->run_folder, name);
    remove_parts(cfg);
    TRY(file_make_private(making->folder));
    TRY(copy_all(making));
    TRY(commit(making));
    remove_old(cfg);
out:
    if (err != ERR_OK && making->folder)
        remove_parts(cfg);
    return err;
}

enum err state_publish(const struct publish_cfg *cfg, struct published_state *name, bool *is_new)
{
    enum err err = ERR_OK;
    bool is_unchanged = false;
    struct making making = {.cfg = cfg};
    const struct fence fence = {cfg->run_folder, cfg->claim};
    manifest_init(&making.manifest);
    TRY(fence_check(&fence));
    TRY(read_id(cfg->stores, making.manifest.stores));
    TRY(find_unchanged(&making, name, &is_unchanged));
    *is_new = !is_unchanged;
    if (!is_unchanged) {
        TRY(make(&making));
        *name = making.manifest.name;
    }
out:
    mem_free(making.folder);
    return err;
}
