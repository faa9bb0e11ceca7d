#include "base/fence.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK "-of-claim-"
#define OLD  ".old" /* folder_replace()'s */

char *fence_path(const char *run_folder, uint64_t claim, const char *ending)
{
    char name[96];
    snprintf(name, sizeof name, "published/claim-%llu%s", (unsigned long long)claim, ending);
    return file_join(run_folder, name);
}

/* Making a name there does it; without the permission for that we believe what we know. */
static void refresh(const char *folder)
{
    char *path = file_join(folder, ".look-XXXXXX");
    int file = mkstemp(path);
    if (file >= 0) {
        close(file);
        unlink(path);
    }
    mem_free(path);
}

void fence_refresh(const char *run_folder)
{
    char *folder = file_join(run_folder, "published");
    refresh(folder);
    mem_free(folder);
}

static _Atomic uint64_t renewed;

void fence_renew(uint64_t claim)
{
    atomic_store(&renewed, claim);
}

static uint64_t claim_of(const struct fence *fence)
{
    uint64_t later = atomic_load(&renewed);
    return later > fence->claim ? later : fence->claim;
}

enum err fence_check(const struct fence *fence)
{
    if (fence->claim == 0)
        return ERR_OK;
    char *path = fence_path(fence->run_folder, claim_of(fence) + 1, "");
    fence_refresh(fence->run_folder);
    bool is_lost = file_exists(path);
    enum err err = is_lost ? err_set(ERR_AGAIN,
                                     "another runner has taken this run over (%s says which): "
                                     "nothing more is written here",
                                     path)
                           : FAULT("fence.looked");
    mem_free(path);
    return err;
}

void fence_mark(const struct fence *fence, char mark[FENCE_MARK])
{
    mark[0] = '\0';
    if (fence->claim > 0)
        snprintf(mark, FENCE_MARK, MARK "%llu", (unsigned long long)claim_of(fence));
}

enum err fence_judge(const struct fence *fence, enum err err)
{
    if (err == ERR_OK)
        return err;
    char *text = mem_string(err_text());
    enum err lost = fence_check(fence);
    if (lost == ERR_OK)
        err_set(err, "%s", text);
    mem_free(text);
    return lost == ERR_OK ? err : lost;
}

enum err fence_write(const struct fence *fence, const char *path, const void *bytes,
                     size_t size_bytes)
{
    enum err err = ERR_OK;
    char mark[FENCE_MARK];
    struct file_update *update = NULL;
    fence_mark(fence, mark);
    TRY(file_begin_marked(path, mark, &update));
    TRY(file_append(update, bytes, size_bytes));
    TRY(fence_check(fence));
    TRY(fence_judge(fence, file_commit(&update, FILE_REPLACE)));
out:
    file_abort(&update);
    return err;
}

/* 0: it has none. */
static uint64_t marked_with(const char *name)
{
    const char *at = strstr(name, MARK);
    char *behind = NULL;
    uint64_t claim = at ? strtoull(at + strlen(MARK), &behind, 10) : 0;
    return behind && (*behind == '\0' || strcmp(behind, OLD) == 0) ? claim : 0;
}

/* "PLACE.word-of-claim-7", and where its names were changed in turn, what ends with OLD too. */
static void remove_begun(char *path)
{
    size_t size = strlen(path), old = strlen(OLD);
    if (unlink(path) == 0 || errno == ENOENT)
        return;
    if (size > old && strcmp(path + size - old, OLD) == 0)
        path[size - old] = '\0';
    char *place = mem_string(path), *dot = strrchr(place, '.');
    if (dot)
        *dot = '\0';
    if (folder_recover(path, place) != ERR_OK || file_remove_folder(path) != ERR_OK)
        log_warn("what an earlier owner of the run has begun stays: %s", err_text());
    mem_free(place);
}

static void sweep_folder(const char *folder, uint64_t claim)
{
    refresh(folder);
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        uint64_t theirs = marked_with(entry->d_name);
        if (theirs == 0 || theirs >= claim)
            continue;
        char *path = file_join(folder, entry->d_name);
        remove_begun(path);
        mem_free(path);
    }
    if (list)
        closedir(list);
}

void fence_sweep(const char *run_folder, uint64_t claim)
{
    static const char *const folders[] = {"", "published", "results", "metrics", "bundles"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *folder = file_join(run_folder, folders[i]);
        sweep_folder(folder, claim);
        mem_free(folder);
    }
}

uint64_t fence_given_claim(void)
{
    const char *text = getenv(FENCE_ENVIRONMENT);
    long claim = 0;
    return text && text_to_int(text, 1, 1L << 62, &claim) == ERR_OK ? (uint64_t)claim : 0;
}
