/* CUDA's small vectors, and its functions of numbers. */
#ifndef TESTS_SUPPORT_CUDA_NUMBERS_H
#define TESTS_SUPPORT_CUDA_NUMBERS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GPU_VECTORS(T, name, align2, align4)                                                       \
    struct alignas(align2) name##2                                                                 \
    {                                                                                              \
        T x, y;                                                                                    \
    };                                                                                             \
    struct alignas(align4) name##4                                                                 \
    {                                                                                              \
        T x, y, z, w;                                                                              \
    };                                                                                             \
    static inline name##2 make_##name##2(T x, T y)                                                 \
    {                                                                                              \
        return name##2 {x, y};                                                                     \
    }                                                                                              \
    static inline name##4 make_##name##4(T x, T y, T z, T w)                                       \
    {                                                                                              \
        return name##4 {x, y, z, w};                                                               \
    }
GPU_VECTORS(float, float, 8, 16)
GPU_VECTORS(int, int, 8, 16)
GPU_VECTORS(unsigned, uint, 8, 16)
GPU_VECTORS(short, short, 4, 8)
GPU_VECTORS(unsigned short, ushort, 4, 8)
GPU_VECTORS(signed char, char, 2, 4)
GPU_VECTORS(unsigned char, uchar, 2, 4)
#undef GPU_VECTORS

struct alignas(16) double2 {
    double x, y;
};
struct alignas(16) longlong2 {
    long long x, y;
};
struct alignas(16) ulonglong2 {
    unsigned long long x, y;
};

static inline double2 make_double2(double x, double y)
{
    return double2{x, y};
}

static inline ulonglong2 make_ulonglong2(unsigned long long x, unsigned long long y)
{
    return ulonglong2{x, y};
}

#define GPU_BITS(To, name, From)                                                                   \
    static inline To name(From value)                                                              \
    {                                                                                              \
        To bits;                                                                                   \
        static_assert(sizeof bits == sizeof value, "bits are kept");                               \
        memcpy(&bits, &value, sizeof bits);                                                        \
        return bits;                                                                               \
    }
GPU_BITS(float, __uint_as_float, unsigned)
GPU_BITS(unsigned, __float_as_uint, float)
GPU_BITS(float, __int_as_float, int)
GPU_BITS(int, __float_as_int, float)
GPU_BITS(long long, __double_as_longlong, double)
GPU_BITS(double, __longlong_as_double, long long)
#undef GPU_BITS

__extension__ typedef unsigned __int128 gpu_uint128;

/* Rounded to nearest even, never fused: the emulator is compiled without contraction. */
#define GPU_OPERATION(T, name, expression)                                                         \
    static inline T name(T a, T b)                                                                 \
    {                                                                                              \
        return expression;                                                                         \
    }
GPU_OPERATION(float, __fadd_rn, a + b)
GPU_OPERATION(float, __fsub_rn, a - b)
GPU_OPERATION(float, __fmul_rn, a *b)
GPU_OPERATION(float, __fdiv_rn, a / b)
GPU_OPERATION(float, __fdividef, a / b)
GPU_OPERATION(double, __dadd_rn, a + b)
GPU_OPERATION(double, __dsub_rn, a - b)
GPU_OPERATION(double, __dmul_rn, a *b)
GPU_OPERATION(double, __ddiv_rn, a / b)
GPU_OPERATION(int, min, a < b ? a : b)
GPU_OPERATION(int, max, a > b ? a : b)
GPU_OPERATION(unsigned, min, a < b ? a : b)
GPU_OPERATION(unsigned, max, a > b ? a : b)
GPU_OPERATION(long, min, a < b ? a : b)
GPU_OPERATION(long, max, a > b ? a : b)
GPU_OPERATION(unsigned long, min, a < b ? a : b)
GPU_OPERATION(unsigned long, max, a > b ? a : b)
GPU_OPERATION(long long, min, a < b ? a : b)
GPU_OPERATION(long long, max, a > b ? a : b)
GPU_OPERATION(unsigned long long, min, a < b ? a : b)
GPU_OPERATION(unsigned long long, max, a > b ? a : b)
GPU_OPERATION(float, min, fminf(a, b))
GPU_OPERATION(float, max, fmaxf(a, b))
GPU_OPERATION(double, min, fmin(a, b))
GPU_OPERATION(double, max, fmax(a, b))
GPU_OPERATION(unsigned, __umulhi, (unsigned)((uint64_t)a *b >> 32))
GPU_OPERATION(int, __mulhi, (int)((int64_t)a *b >> 32))
GPU_OPERATION(unsigned long long, __umul64hi, (unsigned long long)((gpu_uint128)a *b >> 64))
#undef GPU_OPERATION

static inline float __fmaf_rn(float a, float b, float c)
{
    return fmaf(a, b, c);
}

static inline double __fma_rn(double a, double b, double c)
{
    return fma(a, b, c);
}

#define GPU_FUNCTION(To, name, From, expression)                                                   \
    static inline To name(From a)                                                                  \
    {                                                                                              \
        return expression;                                                                         \
    }
GPU_FUNCTION(float, __fsqrt_rn, float, sqrtf(a))
GPU_FUNCTION(double, __dsqrt_rn, double, sqrt(a))
GPU_FUNCTION(float, __frcp_rn, float, 1.0f / a)
GPU_FUNCTION(double, __drcp_rn, double, 1.0 / a)
GPU_FUNCTION(float, rsqrtf, float, 1.0f / sqrtf(a))
GPU_FUNCTION(double, rsqrt, double, 1.0 / sqrt(a))
GPU_FUNCTION(float, __saturatef, float, a > 0.0f ? (a < 1.0f ? a : 1.0f) : 0.0f)
GPU_FUNCTION(float, __double2float_rn, double, (float)a)
GPU_FUNCTION(float, __int2float_rn, int, (float)a)
GPU_FUNCTION(float, __uint2float_rn, unsigned, (float)a)
GPU_FUNCTION(float, __ll2float_rn, long long, (float)a)
GPU_FUNCTION(float, __ull2float_rn, unsigned long long, (float)a)
GPU_FUNCTION(double, __int2double_rn, int, (double)a)
GPU_FUNCTION(double, __ll2double_rn, long long, (double)a)
GPU_FUNCTION(double, __ull2double_rn, unsigned long long, (double)a)
GPU_FUNCTION(int, __float2int_rn, float, (int)lrintf(a))
GPU_FUNCTION(int, __float2int_rd, float, (int)floorf(a))
GPU_FUNCTION(int, __float2int_rz, float, (int)a)
GPU_FUNCTION(int, __popc, unsigned, __builtin_popcount(a))
GPU_FUNCTION(int, __popcll, unsigned long long, __builtin_popcountll(a))
GPU_FUNCTION(int, __ffs, int, __builtin_ffs(a))
GPU_FUNCTION(int, __clz, int, a ? __builtin_clz((unsigned)a) : 32)
GPU_FUNCTION(int, __clzll, long long, a ? __builtin_clzll((unsigned long long)a) : 64)
#undef GPU_FUNCTION

/* The C library has functions of these names. */
#define __expf(a) expf(a)
#define __logf(a) logf(a)

#endif
