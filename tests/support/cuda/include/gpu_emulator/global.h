/* Memory of the device. Its addresses are handles that the host cannot touch; the bytes lie
 * GPU_SPACE_BYTES further. Each access is checked against what is allocated, and for alignment. */
#ifndef TESTS_SUPPORT_CUDA_GLOBAL_H
#define TESTS_SUPPORT_CUDA_GLOBAL_H

#include "thread.h"
#include <string.h>

#define GPU_SPACE_BYTES (UINT64_C(1) << 40)
#define GPU_CHUNK_BYTES                                                                            \
    (UINT64_C(1) << 16) /* an allocation begins with one, and has them alone                       \
                         */

struct gpu_allocation;

struct gpu_extent { /* of the allocation that has a chunk, from the space's start on */
    uint64_t begin, end;
    struct gpu_allocation *of;
};

struct gpu_space {
    uintptr_t base;
    struct gpu_extent *const *chunks;    /* by chunk; NULL: nothing there */
    uint64_t loaded_bytes, stored_bytes; /* by the launch that runs */
    bool is_watched;                     /* somebody wants to know of each access */
};

extern struct gpu_space gpu_space;

enum gpu_access { GPU_LOAD, GPU_LOAD_FRESH, GPU_STORE, GPU_ATOMIC };

/* Ends the process. */
[[noreturn]] void gpu_refuse_access(enum gpu_access access, const void *at, size_t size_bytes);

void gpu_watch_access(enum gpu_access access, const void *at, size_t size_bytes);

template <size_t size_bytes>
static inline __attribute__((always_inline)) void gpu_check(enum gpu_access access, const void *at)
{
    static_assert(size_bytes == 1 || size_bytes == 2 || size_bytes == 4 || size_bytes == 8 ||
                      size_bytes == 16,
                  "an access is of 1, 2, 4, 8 or 16 bytes");
    uint64_t from = (uintptr_t)at - gpu_space.base;
    const struct gpu_extent *in = NULL;
    if (__builtin_expect(from < GPU_SPACE_BYTES && from % size_bytes == 0, 1))
        in = gpu_space.chunks[from / GPU_CHUNK_BYTES];
    if (__builtin_expect(!in || from + size_bytes > in->end, 0))
        gpu_refuse_access(access, at, size_bytes);
}

/* Where the bytes are. */
template <size_t size_bytes>
static inline __attribute__((always_inline)) void *gpu_reach(enum gpu_access access, const void *at)
{
    gpu_check<size_bytes>(access, at);
    if (__builtin_expect(gpu_space.is_watched, 0))
        gpu_watch_access(access, at, size_bytes);
    return (void *)((uintptr_t)at + GPU_SPACE_BYTES);
}

template <typename T> static inline __attribute__((always_inline)) T gpu_load(const T *from)
{
    T value;
    memcpy(&value, gpu_reach<sizeof(T)>(GPU_LOAD, from), sizeof value);
    gpu_space.loaded_bytes += sizeof value;
    return value;
}

template <typename T> static inline __attribute__((always_inline)) T gpu_load_fresh(const T *from)
{
    static_assert(sizeof(T) >= 4, "as __ldcg");
    T value;
    memcpy(&value, gpu_reach<sizeof(T)>(GPU_LOAD_FRESH, from), sizeof value);
    gpu_space.loaded_bytes += sizeof value;
    return value;
}

template <typename T> static inline __attribute__((always_inline)) void gpu_store(T *to, T value)
{
    memcpy(gpu_reach<sizeof(T)>(GPU_STORE, to), &value, sizeof value);
    gpu_space.stored_bytes += sizeof value;
}

template <typename T> static inline T *gpu_reach_atomic(T *at)
{
    return static_cast<T *>(gpu_reach<sizeof(T)>(GPU_ATOMIC, at));
}

static inline unsigned atomicAdd(unsigned *at, unsigned value)
{
    unsigned *word = gpu_reach_atomic(at), before = *word;
    *word = before + value;
    return before;
}

static inline int atomicAdd(int *at, int value)
{
    return (int)atomicAdd(reinterpret_cast<unsigned *>(at), (unsigned)value);
}

static inline unsigned long long atomicAdd(unsigned long long *at, unsigned long long value)
{
    unsigned long long *word = gpu_reach_atomic(at), before = *word;
    *word = before + value;
    return before;
}

/* 0 behind `last`. */
static inline unsigned atomicInc(unsigned *at, unsigned last)
{
    unsigned *word = gpu_reach_atomic(at), before = *word;
    *word = before >= last ? 0 : before + 1;
    return before;
}

#define GPU_ATOMIC_UPDATE(name, T, expression)                                                     \
    static inline T name(T *at, T value)                                                           \
    {                                                                                              \
        T *word = gpu_reach_atomic(at), before = *word;                                            \
        *word = expression;                                                                        \
        return before;                                                                             \
    }
GPU_ATOMIC_UPDATE(atomicMin, unsigned, before < value ? before : value)
GPU_ATOMIC_UPDATE(atomicMin, unsigned long long, before < value ? before : value)
GPU_ATOMIC_UPDATE(atomicMax, unsigned, before > value ? before : value)
GPU_ATOMIC_UPDATE(atomicMax, unsigned long long, before > value ? before : value)
GPU_ATOMIC_UPDATE(atomicOr, unsigned, before | value)
GPU_ATOMIC_UPDATE(atomicExch, unsigned, value)
#undef GPU_ATOMIC_UPDATE

#endif
