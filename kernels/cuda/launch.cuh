/* How a .cu file launches: on the device's stream, what fails is left for whoever waits. */
#ifndef KERNELS_CUDA_LAUNCH_CUH
#define KERNELS_CUDA_LAUNCH_CUH

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/gpu.cuh"

/* blocks and threads along x, y, z: dim3. Nothing is launched for a grid of 0 blocks. */
template <typename A>
static void cuda_launch(struct cuda *cuda, const char *name, void (*kernel)(A), dim3 grid,
                        dim3 block, size_t shared_bytes, const A *arguments)
{
    struct launch at = {name, grid, block, shared_bytes, cuda->stream};
    if (cuda->err != ERR_OK || grid.x == 0 || grid.y == 0 || grid.z == 0)
        return;
    cuda_note(cuda, name, gpu_launch(kernel, &at, arguments));
}

#endif
