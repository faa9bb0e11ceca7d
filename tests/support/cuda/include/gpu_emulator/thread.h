/* Where a thread is, and barriers. */
#ifndef TESTS_SUPPORT_CUDA_THREAD_H
#define TESTS_SUPPORT_CUDA_THREAD_H

#include "../cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__  inline __attribute__((always_inline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)

extern const uint3 *gpu_thread_index; /* of the thread that runs */
extern uint3 gpu_block_index;
extern dim3 gpu_block_shape, gpu_grid_shape;

#define threadIdx (*gpu_thread_index)
#define blockIdx  gpu_block_index
#define blockDim  gpu_block_shape
#define gridDim   gpu_grid_shape

void gpu_block_barrier(void);
/* The lanes of the mask meet. */
void gpu_warp_barrier(uint32_t lanes);
void gpu_fence(void);

static inline void __syncthreads(void)
{
    gpu_block_barrier();
}

static inline void __syncwarp(uint32_t lanes = 0xffffffffu)
{
    gpu_warp_barrier(lanes);
}

static inline void __threadfence(void)
{
    gpu_fence();
}

static inline void __threadfence_block(void)
{
}

#endif
