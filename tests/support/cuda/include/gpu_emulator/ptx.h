/* The instructions of kernels/cuda/ptx.cuh, which says what they do and how fragments lie. */
#ifndef TESTS_SUPPORT_CUDA_PTX_H
#define TESTS_SUPPORT_CUDA_PTX_H

#include "numbers.h"
#include "shared.h"

struct bf16; /* kernels/cuda/map.cuh */

void gpu_mma(float *d, const uint32_t *a, const uint32_t *b);
void gpu_ldmatrix(uint32_t *to, const void *row, bool is_transposed);
void gpu_copy_async(void *to, const void *from, bool is_there);
void gpu_copy_commit(void);
void gpu_copy_wait(int pending);

static inline uint32_t gpu_bf16(float value)
{
    uint32_t bits = __float_as_uint(value);
    bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    return is_nan ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}

static inline uint32_t ptx_bf16_pair(float low, float high)
{
    return gpu_bf16(high) << 16 | gpu_bf16(low);
}

static inline void ptx_mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    gpu_mma(d, a, b);
}

static inline void ptx_ldmatrix(uint32_t (&to)[4], shared<bf16> row)
{
    gpu_ldmatrix(to, row.at, false);
}

static inline void ptx_ldmatrix_transposed(uint32_t (&to)[4], shared<bf16> row)
{
    gpu_ldmatrix(to, row.at, true);
}

static inline void ptx_copy_async(shared<unsigned char> to, const void *from, bool is_there)
{
    gpu_copy_async(to.at, from, is_there);
}

static inline void ptx_copy_commit(void)
{
    gpu_copy_commit();
}

template <int pending> static inline void ptx_copy_wait(void)
{
    gpu_copy_wait(pending);
}

#endif
