/* Sums over the blocks of a group: each writes its part, and the last of them has all, added in the
 * order of the blocks. Many parts are added in two storeys, sets of blocks first, so that no single
 * block has all of them to read; how they are cut only their number decides. */
#ifndef KERNELS_CUDA_PARTIALS_CUH
#define KERNELS_CUDA_PARTIALS_CUH

#include "kernels/cuda/last_block.cuh"

template <typename T> struct partials {
    int blocks, set_blocks, sets; /* of the group; of a set; partials_sets() */
    size_t count;                 /* elements of a part */
    T *of_blocks, *of_sets;       /* (blocks,count), (sets,count): scratch */
    unsigned *tickets;            /* partials_tickets(); zeros */
};

/* About as many sets as blocks in a set. */
static inline int partials_set_blocks(int blocks)
{
    int side = 1;
    while (side * side < blocks)
        side++;
    return blocks <= 16 ? blocks : side;
}

static inline int partials_sets(int blocks)
{
    return (blocks + partials_set_blocks(blocks) - 1) / partials_set_blocks(blocks);
}

static inline int partials_tickets(int blocks)
{
    return partials_sets(blocks) + 1;
}

static inline size_t partials_elements(int blocks, size_t count)
{
    return (size_t)(blocks + partials_sets(blocks)) * count;
}

/* memory: partials_elements(). */
template <typename T>
static struct partials<T> partials_make(int blocks, size_t count, T *memory, unsigned *tickets) {
    struct partials<T> parts = {
        blocks, partials_set_blocks(blocks),
            partials_sets(blocks), count, memory, memory + (size_t)blocks *count, tickets
    };
    return parts;
}

/* The same of another group that lies `group` groups behind this one. */
template <typename T>
static __device__ __forceinline__ partials<T> partials_of(const partials<T> &first, int group)
{
    partials<T> parts = first;
    size_t behind = (size_t)group * (size_t)(first.blocks + first.sets) * first.count;
    parts.of_blocks += behind;
    parts.of_sets += behind;
    parts.tickets += group * (first.sets + 1);
    return parts;
}

template <typename T>
static __device__ __forceinline__ T *partials_part(const partials<T> &parts, int block)
{
    return parts.of_blocks + (size_t)block * parts.count;
}

template <typename T>
static __device__ __forceinline__ T partials_add(const T *parts, int first, int last, size_t count,
                                                 size_t i)
{
    T sum = 0;
#pragma unroll 8
    for (int part = first; part < last; part++)
        sum += gpu_load_fresh(parts + (size_t)part * count + i);
    return sum;
}

/* The blocks of this one's set. */
struct partials_set {
    int number, first, last;
};

template <typename T>
static __device__ __forceinline__ partials_set partials_set_of(const partials<T> &parts, int block)
{
    int number = block / parts.set_blocks, first = number * parts.set_blocks;
    int last = first + parts.set_blocks < parts.blocks ? first + parts.set_blocks : parts.blocks;
    partials_set set = {number, first, last};
    return set;
}

/* All threads of a block call it when the block's part is written. True in a set's last block. */
template <typename T>
static __device__ __forceinline__ bool partials_end_block(const partials<T> &parts, int block)
{
    partials_set set = partials_set_of(parts, block);
    if (parts.blocks > 1)
        return gpu_is_last_block(parts.tickets + set.number, (unsigned)(set.last - set.first));
    __syncthreads();
    return true;
}

/* Then, where there are several sets, it adds up element i of its set, each that is wanted. */
template <typename T>
static __device__ __forceinline__ void partials_add_set(const partials<T> &parts, int block,
                                                        size_t i)
{
    partials_set set = partials_set_of(parts, block);
    gpu_store(parts.of_sets + (size_t)set.number * parts.count + i,
              partials_add(parts.of_blocks, set.first, set.last, parts.count, i));
}

/* And calls this. True in the last block of all: partials_sum() is the sum. */
template <typename T>
static __device__ __forceinline__ bool partials_end_set(const partials<T> &parts)
{
    return parts.sets == 1 || gpu_is_last_block(parts.tickets + parts.sets, (unsigned)parts.sets);
}

/* All of that for all elements of a part. */
template <typename T>
static __device__ __forceinline__ bool partials_are_whole(const partials<T> &parts, int block)
{
    if (!partials_end_block(parts, block))
        return false;
    for (size_t i = threadIdx.x; parts.sets > 1 && i < parts.count; i += blockDim.x)
        partials_add_set(parts, block, i);
    return partials_end_set(parts);
}

template <typename T>
static __device__ __forceinline__ T partials_sum(const partials<T> &parts, size_t i)
{
    return parts.sets == 1 ? partials_add(parts.of_blocks, 0, parts.blocks, parts.count, i)
                           : partials_add(parts.of_sets, 0, parts.sets, parts.count, i);
}

#endif
