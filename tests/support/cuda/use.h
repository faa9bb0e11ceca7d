/* Who used a place last, and whether that comes before what is done now.
 *
 * Time is a count of barriers. What a thread does has the time as its stamp; it comes before all
 * that follows a later barrier of the block, and before what lanes of its warp do behind a later
 * __syncwarp. What is ordered by neither, of two threads, one of them storing, is a race. */
#ifndef TESTS_SUPPORT_CUDA_USE_H
#define TESTS_SUPPORT_CUDA_USE_H

#include "tests/support/cuda/internal.h"

/* A stamp, who, and of loads: one thread, several of its warp, or of several warps. 0: nobody. */
typedef uint32_t use;
enum use_kind { USE_ONE, USE_WARP, USE_MANY };
enum { USE_THREAD_BITS = 10, USE_KIND_BITS = 2, USE_STAMP_SHIFT = USE_THREAD_BITS + USE_KIND_BITS };
static const uint32_t USE_LAST_STAMP = UINT32_MAX >> USE_STAMP_SHIFT; /* no time gets there */

static inline use use_make(enum use_kind kind, int thread)
{
    return gpu_block.time << USE_STAMP_SHIFT | (uint32_t)kind << USE_THREAD_BITS | (uint32_t)thread;
}

static inline uint32_t use_stamp(use of)
{
    return of >> USE_STAMP_SHIFT;
}

static inline int use_thread(use of)
{
    return (int)(of & ((1u << USE_THREAD_BITS) - 1));
}

static inline enum use_kind use_kind(use of)
{
    return (enum use_kind)(of >> USE_THREAD_BITS & ((1u << USE_KIND_BITS) - 1));
}

/* The least use behind the block's last barrier. */
static inline use use_since(void)
{
    return gpu_block.synced << USE_STAMP_SHIFT;
}

/* Whether what was done comes before all that this thread does now. */
static inline bool use_is_before(use done, const struct thread *mine)
{
    if (done < use_since())
        return true;
    if (use_kind(done) == USE_ONE && use_thread(done) == mine->number)
        return true;
    return use_kind(done) < USE_MANY && use_thread(done) / LANES == mine->warp->number &&
           use_stamp(done) < mine->warp->synced;
}

/* Who has loaded, now that this thread does, too. */
static inline use use_add_load(use before, const struct thread *mine)
{
    if (before < use_since())
        return use_make(USE_ONE, mine->number);
    if (use_kind(before) == USE_MANY)
        return before;
    if (use_thread(before) == mine->number)
        return use_make(use_kind(before), mine->number);
    return use_make(use_thread(before) / LANES == mine->warp->number ? USE_WARP : USE_MANY,
                    mine->number);
}

#endif
