/* What the kernels of this device are written in: CUDA's own words, and a few of ours where plain
 * C++ would hide from the emulator what a kernel does. nvcc compiles it for GPUs; g++ compiles the
 * same source for the GPU that tests/support/cuda emulates (GPU_EMULATED), which brings headers of
 * CUDA's names and all of the below once more.
 *
 *   - Memory of the device is read by gpu_load() and written by gpu_store(), never by a plain *p:
 *     the emulator counts bytes and sectors and finds what lies outside an allocation.
 *   - Shared memory is declared by GPU_SHARED() or GPU_SHARED_DYNAMIC(), handed on as shared<T>,
 *     and used by [], shared_load() and shared_store(): the emulator finds races and bank
 *     conflicts, and has it full of NaN when a block begins.
 *   - A kernel has one argument, a struct by value, and is launched by gpu_launch() alone.
 *   - Nothing adds floats atomically, and "I am the last block" is asked in last_block.cuh alone.
 *
 * Work is cut by shape, never by the number of multiprocessors, so that a card gives the same bits
 * as another of its architecture. */
#ifndef KERNELS_CUDA_GPU_CUH
#define KERNELS_CUDA_GPU_CUH

#include <stddef.h>
#include <stdint.h>

#ifdef GPU_EMULATED

#include <gpu_emulator.h>

#else

#include <cuda_runtime.h>

/* T: 1, 2, 4, 8 or 16 bytes, aligned to its size. */
template <typename T> static __device__ __forceinline__ T gpu_load(const T *from)
{
    return *from;
}

/* What another block of this launch wrote (in front of last_block.cuh's fence): past the
 * multiprocessor's own cache. T: 4, 8 or 16 bytes. */
template <typename T> static __device__ __forceinline__ T gpu_load_fresh(const T *from)
{
    return __ldcg(from);
}

template <typename T> static __device__ __forceinline__ void gpu_store(T *to, T value)
{
    *to = value;
}

/* A pointer into shared memory. With the emulator it is a type of its own, and an element is a
 * reference to it: write `float x = tile[i]`, not `auto`. */
template <typename T> using shared = T *;

/* count elements, a constant. */
#define GPU_SHARED(T, name, count) __shared__ T name[count]
/* What the launch asked for, all of it, 16-aligned; one of these in a kernel. Cut it up by
 * shared_cast<>(). */
#define GPU_SHARED_DYNAMIC(name)   extern __shared__ __align__(16) unsigned char name[]

/* The same memory as elements of another type; `from` is aligned for it. */
template <typename T, typename F> static __device__ __forceinline__ shared<T> shared_cast(F *from)
{
    return reinterpret_cast<T *>(from);
}

/* sizeof V bytes at once, aligned to them: float4 of a shared<float>. */
template <typename V, typename T> static __device__ __forceinline__ V shared_load(const T *from)
{
    return *reinterpret_cast<const V *>(from);
}

template <typename V, typename T>
static __device__ __forceinline__ void shared_store(T *to, V value)
{
    *reinterpret_cast<V *>(to) = value;
}

#endif

struct launch {
    /* Dynamic shared memory: of 48 KB, of which the kernel may have declared some. */
    enum { WITHOUT_ASKING = 32 << 10 };
    const char *name; /* of the kernel, for messages and counts */
    dim3 grid, block;
    size_t shared_bytes; /* dynamic */
    cudaStream_t stream;
};

#ifndef GPU_EMULATED

template <typename A>
static cudaError_t gpu_launch(void (*kernel)(A), const struct launch *at, const A *arguments)
{
    void *list[] = {const_cast<A *>(arguments)};
    const void *function = reinterpret_cast<const void *>(kernel);
    cudaError_t error = cudaSuccess;
    if (at->shared_bytes > launch::WITHOUT_ASKING)
        error = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     (int)at->shared_bytes);
    if (error == cudaSuccess)
        error = cudaLaunchKernel(function, at->grid, at->block, list, at->shared_bytes, at->stream);
    return error;
}

#endif

enum { GPU_WARP = 32 };
#define GPU_WHOLE_WARP 0xffffffffu

#endif
