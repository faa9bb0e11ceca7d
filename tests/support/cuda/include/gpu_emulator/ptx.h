/* The instructions of kernels/cuda/ptx.cuh, which says what they do and how fragments lie. */
#ifndef TESTS_SUPPORT_CUDA_PTX_H
#define TESTS_SUPPORT_CUDA_PTX_H

#include "shared.h"

struct bf16; /* kernels/cuda/map.cuh */

void gpu_mma(float *d, const uint32_t *a, const uint32_t *b);
void gpu_ldmatrix(uint32_t *to, const void *row, bool is_transposed);
void gpu_copy_async(void *to, const void *from, bool is_there);
void gpu_copy_commit(void);
void gpu_copy_wait(int pending);

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
