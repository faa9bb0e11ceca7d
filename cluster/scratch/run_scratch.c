#include "cluster/scratch/run_scratch.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fence.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scratch_folder.h"
#include "cluster/scratch/state.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct run_scratch {
    char *run_folder, *folder, *stores, *made; /* made: what will be stores */
    struct claim *claim;
    const volatile sig_atomic_t *stop_asked;
    int lock; /* of the stores; -1: none is held */
};

/* What takes long asks now and then. */
static enum err may_go_on(void *own)
{
    const struct run_scratch *scratch = own;
    if (scratch->stop_asked && *scratch->stop_asked > 0)
        return err_set(ERR_INTERRUPTED, "stopped; the same command continues");
    return claim_check(scratch->claim);
}

static enum err check_fence(const struct run_scratch *scratch)
{
    return fence_check(&(struct fence){scratch->run_folder, claim_number(scratch->claim)});
}

static bool is_link(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

/* A run has its stores in one place all its life, until somebody moves them. */
static enum err check_same_place(const char *run_folder, bool has_scratch)
{
    struct published_state any;
    char *journal = file_join(run_folder, PUBLISHED_JOURNAL);
    bool is_inside = file_exists(journal) && !is_link(journal);
    bool is_outside = !is_inside && (is_link(journal) || published_list(run_folder, &any, 1) > 0);
    mem_free(journal);
    if (is_inside && has_scratch)
        return err_set(ERR_CONFIG,
                       "%s has its journal and checkpoints inside: go on without "
                       "resources.scratch, or begin in another folder (--run-folder)",
                       run_folder);
    if (is_outside && !has_scratch)
        return err_set(ERR_CONFIG,
                       "%s had its journal and checkpoints on scratch: name resources.scratch "
                       "again, e.g. --set resources.scratch=/tmp",
                       run_folder);
    return ERR_OK;
}

static enum err read_id(const char *stores, char id[CLAIM_ID])
{
    char *path = file_join(stores, "id"), *bytes = NULL;
    size_t size = 0;
    enum err err = file_read(path, 256, &bytes, &size);
    if (err == ERR_OK && size != CLAIM_ID - 1)
        err = err_set(ERR_DATA, "%s is damaged", path);
    if (err == ERR_OK)
        memcpy(id, bytes, CLAIM_ID);
    mem_free(bytes);
    mem_free(path);
    return err;
}

static enum err write_id(const char *stores, char id[CLAIM_ID])
{
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_set(ERR_IO, "no random numbers: %s", strerror(errno));
    for (int i = 0; i < 16; i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    char *path = file_join(stores, "id");
    enum err err = file_write(path, id, CLAIM_ID - 1);
    mem_free(path);
    return err;
}

/* What is on the last owner's scratch only is not lost, but it is not here. */
static void tell_restored(const struct run_scratch *scratch, uint64_t owner,
                          const struct published_state *name, const char *damage)
{
    struct claim_info info;
    bool is_known = owner > 0 && claim_read(scratch->run_folder, owner, &info) == ERR_OK;
    if (damage[0])
        log_warn("damaged, and passed over:\n%s", damage);
    fprintf(stderr, "going on from published/state-%llu-%llu", (unsigned long long)name->claim,
            (unsigned long long)name->sequence);
    if (is_known)
        fprintf(stderr, ", of the runner on %s", info.host);
    if (owner > 0 && claim_ending(scratch->run_folder, owner) != CLAIM_PUBLISHED)
        fprintf(stderr, "; what it did since then is done again");
    fprintf(stderr, "\n");
}

/* Beside, then in the place of what an earlier claim left there. */
static enum err bring_back(struct run_scratch *scratch, uint64_t owner, char id[CLAIM_ID])
{
    enum err err = ERR_OK;
    struct published_state name;
    struct text damage;
    text_init(&damage);
    const struct restore_cfg cfg = {.run_folder = scratch->run_folder,
                                    .into = scratch->made,
                                    .check = may_go_on,
                                    .own = scratch};
    err = state_restore(&cfg, &name, &damage);
    if (err == ERR_OK) {
        tell_restored(scratch, owner, &name, text_get(&damage));
    } else if (err == ERR_NOT_FOUND) {
        TRY(file_remove_folder(scratch->made));
        TRY(file_make_private(scratch->made));
        if (owner > 0)
            log_warn("the run begins anew: the last runner published nothing, and its scratch is "
                     "not here");
        err = ERR_OK;
    }
    TRY(err);
    TRY(write_id(scratch->made, id));
    TRY(FAULT("scratch.made"));
    TRY(check_fence(scratch));
    TRY(folder_replace(scratch->made, scratch->stores));
    TRY(FAULT("scratch.replaced"));
out:
    text_fini(&damage);
    return err;
}

/* Of the claims before ours, whose stores are those that count? If they are these, they are as new
 * as can be; what was published came from them. */
static enum err settle(struct run_scratch *scratch)
{
    enum err err = ERR_OK;
    uint64_t owner = 0;
    char id[CLAIM_ID] = "", newest[CLAIM_ID];
    TRY(folder_recover(scratch->made, scratch->stores));
    claim_newest_stores(scratch->run_folder, &owner, newest);
    bool is_here = owner > 0 && read_id(scratch->stores, id) == ERR_OK && strcmp(id, newest) == 0;
    if (!is_here)
        TRY(bring_back(scratch, owner, id));
    TRY(claim_tell_stores(scratch->run_folder, claim_number(scratch->claim), id));
    TRY(FAULT("scratch.told"));
out:
    return err;
}

static enum err open_lock(const char *path, int *lock)
{
    *lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return *lock >= 0 ? ERR_OK
                      : err_set(errno == ENOSPC ? ERR_FULL : ERR_IO, "cannot open %s: %s", path,
                                strerror(errno));
}

/* An owner of this machine may be at the stores still: one that was replaced ends within seconds of
 * its sign. */
static enum err lock_stores(struct run_scratch *scratch, double leaves_s)
{
    enum err err = ERR_OK;
    char *path = file_join(scratch->folder, "lock");
    double end = clock_seconds() + leaves_s;
    TRY(open_lock(path, &scratch->lock));
    while (flock(scratch->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            TRY(err_set(ERR_IO, "cannot lock %s: %s", path, strerror(errno)));
        TRY(may_go_on(scratch));
        if (clock_seconds() >= end)
            TRY(err_set(ERR_AGAIN,
                        "the stores of %s are being made ready by another process here: wait for "
                        "it to end, or stop it",
                        scratch->run_folder));
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
out:
    mem_free(path);
    return err;
}

void run_scratch_unlock(struct run_scratch *scratch)
{
    if (scratch->lock >= 0)
        close(scratch->lock);
    scratch->lock = -1;
}

/* For whoever looks at the run on this machine. */
static enum err link_store(const struct run_scratch *scratch, const char *store)
{
    enum err err = ERR_OK;
    const struct fence fence = {scratch->run_folder, claim_number(scratch->claim)};
    char name[128], mark[FENCE_MARK];
    fence_mark(&fence, mark);
    snprintf(name, sizeof name, ".%s-%ld%s", store, (long)getpid(), mark);
    char *target = file_join(scratch->stores, store);
    char *link = file_join(scratch->run_folder, store);
    char *beside = file_join(scratch->run_folder, name);
    unlink(beside);
    if (symlink(target, beside) != 0)
        TRY(err_set(ERR_IO, "cannot make the link %s: %s", beside, strerror(errno)));
    TRY(fence_check(&fence));
    if (rename(beside, link) != 0)
        TRY(fence_judge(&fence,
                        err_set(ERR_IO, "cannot make the link %s: %s", link, strerror(errno))));
out:
    mem_free(beside);
    mem_free(link);
    mem_free(target);
    return err;
}

static enum err find_places(const struct run_scratch_cfg *cfg, struct run_scratch *scratch)
{
    enum err err = ERR_OK;
    struct text path;
    text_init(&path);
    TRY(scratch_expand(cfg->campaign->resources.scratch, &path));
    TRY(scratch_folder_make(text_get(&path), cfg->run_folder, &scratch->folder));
    scratch->run_folder = mem_string(cfg->run_folder);
    scratch->stores = file_join(scratch->folder, "stores");
    scratch->made = file_join(scratch->folder, "stores.made");
out:
    text_fini(&path);
    return err;
}

enum err run_scratch_open(const struct run_scratch_cfg *cfg, struct run_scratch **opened)
{
    enum err err = ERR_OK;
    struct claim_info us;
    struct run_scratch *scratch = mem_alloc(sizeof *scratch);
    scratch->lock = -1;
    scratch->stop_asked = cfg->stop_asked;
    bool has_scratch = cfg->campaign->resources.scratch[0] != '\0';
    TRY(check_same_place(cfg->run_folder, has_scratch));
    if (!has_scratch)
        goto out;
    TRY(find_places(cfg, scratch));
    claim_info_of_us(&us);
    struct claim_cfg claim = {.run_folder = cfg->run_folder,
                              .us = &us,
                              .mode = cfg->mode,
                              .watch_s = cfg->watch_s,
                              .stop_asked = cfg->stop_asked};
    TRY(claim_take(&claim, &scratch->claim));
    TRY(lock_stores(scratch, cfg->leaves_s));
    TRY(settle(scratch));
    TRY(link_store(scratch, PUBLISHED_JOURNAL));
    TRY(link_store(scratch, PUBLISHED_CHECKPOINTS));
    *opened = scratch;
    scratch = NULL;
out:
    run_scratch_close(&scratch, CLAIM_ENDED);
    return err;
}

const char *run_scratch_stores(const struct run_scratch *scratch)
{
    return scratch->stores;
}

uint64_t run_scratch_claim(const struct run_scratch *scratch)
{
    return claim_number(scratch->claim);
}

enum err run_scratch_check(void *own)
{
    const struct run_scratch *scratch = own;
    return claim_check(scratch->claim);
}

void run_scratch_close(struct run_scratch **closed, enum claim_end end)
{
    struct run_scratch *scratch = *closed;
    if (!scratch)
        return;
    run_scratch_unlock(scratch); /* before the word that lets the next one in */
    claim_close(&scratch->claim, end);
    mem_free(scratch->run_folder);
    mem_free(scratch->folder);
    mem_free(scratch->stores);
    mem_free(scratch->made);
    mem_free(scratch);
    *closed = NULL;
}
