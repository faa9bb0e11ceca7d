/* A launch is queued on its stream with a copy of its argument. */
#ifndef TESTS_SUPPORT_CUDA_LAUNCH_H
#define TESTS_SUPPORT_CUDA_LAUNCH_H

#include "thread.h"

struct gpu_kernel {
    const char *name; /* outlives the launch */
    dim3 grid, block;
    size_t shared_bytes, most_shared_bytes; /* dynamic; with what the kernel declares */
    void (*kernel)(void);                   /* what run() casts to its own type */
    void (*run)(void (*kernel)(void), const void *argument);
};

cudaError_t gpu_queue_kernel(const struct gpu_kernel *kernel, const void *argument,
                             size_t argument_bytes, cudaStream_t stream);

template <typename A> static void gpu_run_kernel(void (*kernel)(void), const void *argument)
{
    reinterpret_cast<void (*)(A)>(kernel)(*static_cast<const A *>(argument));
}

/* 48 KB; 163, an A100's, or as many as the card has for who asks: gpu.cuh's gpu_launch() does above
 * L::WITHOUT_ASKING. L: struct launch of kernels/cuda/gpu.cuh. */
template <typename A, typename L>
static cudaError_t gpu_launch(void (*kernel)(A), const L *at, const A *argument)
{
    struct gpu_kernel queued = {at->name,
                                at->grid,
                                at->block,
                                at->shared_bytes,
                                (at->shared_bytes > L::WITHOUT_ASKING ? 163u : 48u) << 10,
                                reinterpret_cast<void (*)(void)>(kernel),
                                gpu_run_kernel<A>};
    return gpu_queue_kernel(&queued, argument, sizeof *argument, at->stream);
}

#endif
