#include "base/fence.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char *fence_path(const char *run_folder, uint64_t claim, const char *ending)
{
    char name[96];
    snprintf(name, sizeof name, "published/claim-%llu%s", (unsigned long long)claim, ending);
    return file_join(run_folder, name);
}

/* Making a name there does it; without the permission for that we believe what we know. */
void fence_refresh(const char *run_folder)
{
    char *path = file_join(run_folder, "published/.look-XXXXXX");
    int file = mkstemp(path);
    if (file >= 0) {
        close(file);
        unlink(path);
    }
    mem_free(path);
}

static _Atomic uint64_t renewed;

void fence_renew(uint64_t claim)
{
    atomic_store(&renewed, claim);
}

enum err fence_check(const struct fence *fence)
{
    uint64_t later = atomic_load(&renewed), claim = later > fence->claim ? later : fence->claim;
    if (fence->claim == 0)
        return ERR_OK;
    char *path = fence_path(fence->run_folder, claim + 1, "");
    fence_refresh(fence->run_folder);
    bool is_lost = file_exists(path);
    enum err err = is_lost ? err_set(ERR_AGAIN,
                                     "another runner has taken this run over (%s says which): "
                                     "nothing more is written here",
                                     path)
                           : ERR_OK;
    mem_free(path);
    return err;
}

uint64_t fence_given_claim(void)
{
    const char *text = getenv(FENCE_ENVIRONMENT);
    long claim = 0;
    return text && text_to_int(text, 1, 1L << 62, &claim) == ERR_OK ? (uint64_t)claim : 0;
}
