/* The mask of dropout: base/rng.c's draws, bit for bit. */
#include "kernels/cuda/launch.cuh"

extern "C" {
#include "base/rng.h"
}

enum { THREADS = 256 };

struct dropout {
    size_t count;
    double rate;
    float kept; /* 1 / (1 - rate) */
    uint64_t seed, step, first;
    float *mask;
};

/* SplitMix64, as base/rng.c has it and says where it is from. */
static __device__ __forceinline__ uint64_t descend(uint64_t state, uint64_t word)
{
    uint64_t x = state + (word + 1) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static __global__ void dropout_kernel(struct dropout op)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= op.count)
        return;
    uint64_t epoch = descend(descend(op.seed, RNG_DROPOUT), 0);
    uint64_t draw = descend(descend(epoch, op.step), op.first + i);
    double unit = (double)(draw >> 11) * 0x1.0p-53;
    gpu_store(op.mask + i, unit < op.rate ? 0.0f : op.kept);
}

void cuda_dropout_mask(struct device *device, int N, int C, float rate, uint64_t seed,
                       uint64_t step, uint64_t first, float *mask)
{
    size_t count = (size_t)N * (size_t)C;
    struct dropout op = {count, (double)rate, 1 / (1 - rate), seed, step, first, mask};
    cuda_launch(cuda_of(device), "dropout_mask", dropout_kernel,
                dim3((unsigned)((count + THREADS - 1) / THREADS)), dim3(THREADS), 0, &op);
}
