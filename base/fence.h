/* Who owns a run that several machines may see. An owner makes RUN/published/claim-N, where no
 * claim N was; it owns the run until claim N + 1 is there. So whoever writes what others believe
 * looks first, and one that was slow, or cut off, writes nothing over its successor. What it writes
 * begins beside its place, under a name with the mark of its claim; then it looks, then it renames.
 * A new owner removes what is marked with earlier claims before it writes anything: one that stood
 * still behind its look has nothing left to rename. Any thread, any process of the owner. */
#ifndef BASE_FENCE_H
#define BASE_FENCE_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

#define FENCE_ENVIRONMENT "GLOWWORM_CLAIM" /* what processes of an owner find their claim by */
#define FENCE_MARK        48

struct fence { /* borrowed */
    const char *run_folder;
    uint64_t claim; /* 0: the run has no claims, and is never lost */
};

/* ERR_AGAIN: another runner has taken the run over. Looks at the folder itself, not at what this
 * machine remembers of it. */
MUST_CHECK enum err fence_check(const struct fence *fence);

/* The end of a name beside, "-of-claim-7"; "" where the run has no claims. */
void fence_mark(const struct fence *fence, char mark[FENCE_MARK]);
/* A whole file that others believe, as above. ERR_AGAIN as fence_check(), errors of file_write().
 */
MUST_CHECK enum err fence_write(const struct fence *fence, const char *path, const void *bytes,
                                size_t size_bytes);
/* Of a rename: its error, or ERR_AGAIN where a later owner has taken away what was to be renamed.
 */
MUST_CHECK enum err fence_judge(const struct fence *fence, enum err err);
/* For a new owner: removes what is marked with lower claims in the folders of a run that have such,
 * and takes back half a folder_replace() of theirs. */
void fence_sweep(const char *run_folder, uint64_t claim);

/* A client of a network file system remembers for a minute what names a folder has: makes it ask
 * the server for those in RUN/published again. */
void fence_refresh(const char *run_folder);

/* "RUN/published/claim-N" and an ending ("" or ".ended"); returns owned. */
char *fence_path(const char *run_folder, uint64_t claim, const char *ending);

/* This process serves a later owner now, who took it over with all that it has begun: its claims
 * count as this one. */
void fence_renew(uint64_t claim);

/* Of the environment; 0: none is given. */
uint64_t fence_given_claim(void);

#endif
