/* The one place where a block learns that all others of its group have written what they had: what
 * they wrote in front of the call is then read by gpu_load_fresh(). */
#ifndef KERNELS_CUDA_LAST_BLOCK_CUH
#define KERNELS_CUDA_LAST_BLOCK_CUH

#include "kernels/cuda/gpu.cuh"

/* Every thread of every block of the group calls it, once, with the group's ticket (device memory,
 * 0 in front of the launch, and again behind it) and the number of its blocks. True in all threads
 * of the last of them. */
static __device__ __forceinline__ bool gpu_is_last_block(unsigned *ticket, unsigned blocks)
{
    GPU_SHARED(unsigned, taken, 1);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0)
        taken[0] = atomicInc(ticket, blocks - 1); /* the last one sets it to 0 */
    __syncthreads();
    unsigned mine = taken[0];
    if (mine == blocks - 1)
        __threadfence();
    return mine == blocks - 1;
}

#endif
