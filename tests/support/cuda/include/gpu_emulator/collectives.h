/* What lanes of a warp do together: shuffles and votes. All lanes that the mask names must come,
 * with the same mask, to the same kind. */
#ifndef TESTS_SUPPORT_CUDA_COLLECTIVES_H
#define TESTS_SUPPORT_CUDA_COLLECTIVES_H

#include "thread.h"
#include <string.h>

enum gpu_shuffle { GPU_SHUFFLE_INDEX, GPU_SHUFFLE_UP, GPU_SHUFFLE_DOWN, GPU_SHUFFLE_XOR };

/* The value of the lane that `kind` and `by` say, among `width` lanes (a power of 2). */
uint64_t gpu_shuffle(enum gpu_shuffle kind, uint32_t lanes, uint64_t value, unsigned by,
                     unsigned width);
/* Bit l: lane l is in the mask and said yes. */
uint32_t gpu_vote(uint32_t lanes, bool says_yes);

template <typename T>
static inline T gpu_shuffle_any(enum gpu_shuffle kind, uint32_t lanes, T value, unsigned by,
                                int width)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles are of 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = gpu_shuffle(kind, lanes, bits, by, (unsigned)width);
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <typename T> static inline T __shfl_sync(uint32_t lanes, T value, int from, int width = 32)
{
    return gpu_shuffle_any(GPU_SHUFFLE_INDEX, lanes, value, (unsigned)from, width);
}

template <typename T>
static inline T __shfl_up_sync(uint32_t lanes, T value, unsigned by, int width = 32)
{
    return gpu_shuffle_any(GPU_SHUFFLE_UP, lanes, value, by, width);
}

template <typename T>
static inline T __shfl_down_sync(uint32_t lanes, T value, unsigned by, int width = 32)
{
    return gpu_shuffle_any(GPU_SHUFFLE_DOWN, lanes, value, by, width);
}

template <typename T>
static inline T __shfl_xor_sync(uint32_t lanes, T value, int by, int width = 32)
{
    return gpu_shuffle_any(GPU_SHUFFLE_XOR, lanes, value, (unsigned)by, width);
}

static inline unsigned __ballot_sync(uint32_t lanes, int says_yes)
{
    return gpu_vote(lanes, says_yes != 0);
}

static inline int __any_sync(uint32_t lanes, int says_yes)
{
    return gpu_vote(lanes, says_yes != 0) != 0;
}

static inline int __all_sync(uint32_t lanes, int says_yes)
{
    return gpu_vote(lanes, says_yes != 0) == lanes;
}

#endif
