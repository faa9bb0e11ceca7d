/* One vector of floats as wide as the instruction set this file is compiled for: 4 (x86-64-v2), 8
 * (v3) or 16 (v4). Arithmetic is GCC's vector extension: + - * / and comparisons work on `vec` as
 * on a float, and gcc and clang both compile it. Memory is reached through vec_load and vec_store
 * (no alignment needed) and their _part forms, which touch only the first n floats. Pure. */
#ifndef KERNELS_CPU_VEC_H
#define KERNELS_CPU_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#if defined __AVX512F__
#define VEC_WIDTH 16
#elif defined __AVX2__
#define VEC_WIDTH 8
#else
#define VEC_WIDTH 4
#endif

#define VEC_INLINE static inline __attribute__((always_inline))

/* Before a loop of a constant count: unrolled, so that an array indexed in it lives in registers.
 */
#if defined __clang__
#define VEC_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VEC_UNROLL _Pragma("GCC unroll 32")
#endif

typedef float vec __attribute__((vector_size(4 * VEC_WIDTH)));
typedef int32_t vec_int __attribute__((vector_size(4 * VEC_WIDTH)));
typedef float vec_unaligned __attribute__((vector_size(4 * VEC_WIDTH), aligned(4), may_alias));

VEC_INLINE vec vec_zero(void)
{
    return (vec){0};
}

VEC_INLINE vec vec_set(float value)
{
    return value - (vec){0}; /* a broadcast: x - 0 is x for every x */
}

VEC_INLINE vec vec_load(const float *from)
{
    return *(const vec_unaligned *)from;
}

VEC_INLINE void vec_store(float *to, vec value)
{
    *(vec_unaligned *)to = value;
}

/* The first n floats, 0 < n <= VEC_WIDTH; the others are 0. n a constant VEC_WIDTH costs nothing.
 */
VEC_INLINE vec vec_load_part(const float *from, int n)
{
    if (n == VEC_WIDTH)
        return vec_load(from);
#if VEC_WIDTH == 16
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from);
#else
    vec value = {0};
    for (int i = 0; i < n; i++)
        value[i] = from[i];
    return value;
#endif
}

VEC_INLINE void vec_store_part(float *to, vec value, int n)
{
    if (n == VEC_WIDTH) {
        vec_store(to, value);
        return;
    }
#if VEC_WIDTH == 16
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)value);
#else
    for (int i = 0; i < n; i++)
        to[i] = value[i];
#endif
}

/* Past the caches, for maps too big to be read back from them; `to` is aligned to a whole vector.
 * Such stores are ordered by nothing: a job that may have made one ends with vec_stream_fence(). */
VEC_INLINE void vec_stream(float *to, vec value)
{
#if VEC_WIDTH == 16
    _mm512_stream_ps(to, (__m512)value);
#elif VEC_WIDTH == 8
    _mm256_stream_ps(to, (__m256)value);
#else
    _mm_stream_ps(to, (__m128)value);
#endif
}

/* Makes this thread's vec_stream() stores visible before whatever it stores next: the flag that its
 * job is done, above all. */
VEC_INLINE void vec_stream_fence(void)
{
    _mm_sfence();
}

/* x where the mask holds, else 0. */
VEC_INLINE vec vec_keep(vec_int mask, vec x)
{
    return (vec)(mask & (vec_int)x);
}

/* As the machine has them: when one is NaN, right is returned. */
VEC_INLINE vec vec_max(vec left, vec right)
{
#if VEC_WIDTH == 16
    return (vec)_mm512_max_ps((__m512)left, (__m512)right);
#elif VEC_WIDTH == 8
    return (vec)_mm256_max_ps((__m256)left, (__m256)right);
#else
    return (vec)_mm_max_ps((__m128)left, (__m128)right);
#endif
}

VEC_INLINE vec vec_min(vec left, vec right)
{
#if VEC_WIDTH == 16
    return (vec)_mm512_min_ps((__m512)left, (__m512)right);
#elif VEC_WIDTH == 8
    return (vec)_mm256_min_ps((__m256)left, (__m256)right);
#else
    return (vec)_mm_min_ps((__m128)left, (__m128)right);
#endif
}

/* The sum of all lanes, always in the same order. */
VEC_INLINE float vec_sum(vec value)
{
    float sum = value[0];
    for (int i = 1; i < VEC_WIDTH; i++)
        sum += value[i];
    return sum;
}

/* C rounded up to whole vectors. */
VEC_INLINE int vec_round(int C)
{
    return (C + VEC_WIDTH - 1) / VEC_WIDTH * VEC_WIDTH;
}

#endif
