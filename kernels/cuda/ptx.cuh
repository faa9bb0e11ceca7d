/* The few instructions that CUDA C++ has no word for. With the emulator each is a function of the
 * whole warp that follows PTX's layout of fragments, so that the kernels themselves run there, not
 * a twin of them. Source: PTX ISA 8, "Warp Level Matrix Multiply-Accumulate", "ldmatrix",
 * "cp.async". All lanes of a warp call them together, but for copies. */
#ifndef KERNELS_CUDA_PTX_CUH
#define KERNELS_CUDA_PTX_CUH

#include "kernels/cuda/gpu.cuh"

struct bf16; /* map.cuh */

#ifndef GPU_EMULATED

/* Two bf16, the lower half first: to nearest, ties to even; a NaN becomes 0x7fff. */
static __device__ __forceinline__ uint32_t ptx_bf16_pair(float low, float high)
{
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

/* mma.sync.m16n8k16, row by column: d (16,8) += a (16,16) b (16,8); bf16 operands, two to a word,
 * fp32 sums. Lane l has, with g = l / 4 and t = l % 4: a[0] (g, 2t..), a[1] (g + 8, 2t..), a[2] (g,
 * 2t + 8..), a[3] (g + 8, 2t + 8..); b[0] (2t.., g), b[1] (2t + 8.., g); d[0], d[1] (g, 2t..),
 * d[2], d[3] (g + 8, 2t..). */
static __device__ __forceinline__ void ptx_mma(float (&d)[4], const uint32_t (&a)[4],
                                               const uint32_t (&b)[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

static __device__ __forceinline__ uint32_t ptx_shared_address(const void *in_shared)
{
    return (uint32_t)__cvta_generic_to_shared(in_shared);
}

/* Four 8x8 matrices of bf16: lane l gives the address of row l % 8 of matrix l / 8 (16 bytes,
 * aligned) and gets of matrix i, in to[i], the elements 2 (l % 4) and the one behind it of row l
 * / 4.
 */
static __device__ __forceinline__ void ptx_ldmatrix(uint32_t (&to)[4], shared<bf16> row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(ptx_shared_address(row))
                 : "memory");
}

/* The same, each matrix transposed: of column l / 4 the rows 2 (l % 4) and the one behind it. */
static __device__ __forceinline__ void ptx_ldmatrix_transposed(uint32_t (&to)[4], shared<bf16> row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(ptx_shared_address(row))
                 : "memory");
}

/* 16 bytes from device memory to shared memory, both aligned, behind the thread's back: there when
 * the group they were committed to has been waited for. is_there false: zeros, and `from` is not
 * read. */
static __device__ __forceinline__ void ptx_copy_async(shared<unsigned char> to, const void *from,
                                                      bool is_there)
{
    int read_bytes = is_there ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(ptx_shared_address(to)),
                 "l"(from), "r"(read_bytes)
                 : "memory");
}

/* What this thread copied since the last commit is one group. */
static __device__ __forceinline__ void ptx_copy_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until at most `pending` of this thread's newest groups are on their way. Other threads' copies
 * need a __syncthreads() behind it. */
template <int pending> static __device__ __forceinline__ void ptx_copy_wait(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

#endif
#endif
