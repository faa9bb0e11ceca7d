/* The elements of maps: float, or bf16, rounded to nearest even (docs/precision.md). N elements at
 * once are one access of 2 to 16 bytes, aligned to its size; kernels take the widest that the
 * number of channels allows. */
#ifndef KERNELS_CUDA_MAP_CUH
#define KERNELS_CUDA_MAP_CUH

#include "kernels/cuda/ptx.cuh"

struct bf16 {
    uint16_t bits;
};

/* Elements of 16 bytes: 4 floats, 8 bf16. */
template <typename E> struct map_width {
    static const int value = 16 / (int)sizeof(E);
};

static __device__ __forceinline__ float map_widen(float value)
{
    return value;
}

static __device__ __forceinline__ float map_widen(bf16 value)
{
    return __uint_as_float((uint32_t)value.bits << 16);
}

/* Nearest, ties to even; a NaN stays one. */
static __device__ __forceinline__ bf16 bf16_round(float value)
{
    bf16 narrow = {(uint16_t)ptx_bf16_pair(value, 0)};
    return narrow;
}

template <typename E> static __device__ __forceinline__ E map_narrow(float value);

template <> __device__ __forceinline__ float map_narrow<float>(float value)
{
    return value;
}

template <> __device__ __forceinline__ bf16 map_narrow<bf16>(float value)
{
    return bf16_round(value);
}

/* The value as it will be when it was stored: what sums for the next pass are taken of. */
template <typename E> static __device__ __forceinline__ float map_stored(float value)
{
    return map_widen(map_narrow<E>(value));
}

/* An access of so many bytes. */
template <int bytes> struct map_access;
template <> struct map_access<2> {
    typedef uint16_t type;
};
template <> struct map_access<4> {
    typedef uint32_t type;
};
template <> struct map_access<8> {
    typedef uint2 type;
};
template <> struct map_access<16> {
    typedef uint4 type;
};

template <typename E, int N> union map_bits {
    typename map_access<N *(int)sizeof(E)>::type access;
    uint16_t halves[N * sizeof(E) / 2];
    uint32_t words[N * sizeof(E) / 4 ? N * sizeof(E) / 4 : 1];
};

/* to[i] = from[i], widened. */
template <typename E, int N>
static __device__ __forceinline__ void map_load(float (&to)[N], const E *from)
{
    map_bits<E, N> bits;
    typedef typename map_access<N *(int)sizeof(E)>::type access;
    bits.access = gpu_load(reinterpret_cast<const access *>(from));
#pragma unroll
    for (int i = 0; i < N; i++)
        to[i] = sizeof(E) == 4 ? __uint_as_float(bits.words[sizeof(E) == 4 ? i : 0])
                               : __uint_as_float((uint32_t)bits.halves[i] << 16);
}

/* to[i] = values[i], rounded. */
template <typename E, int N>
static __device__ __forceinline__ void map_store(E *to, const float (&values)[N])
{
    map_bits<E, N> bits;
    typedef typename map_access<N *(int)sizeof(E)>::type access;
#pragma unroll
    for (int i = 0; i < N; i++)
        if (sizeof(E) == 4)
            bits.words[sizeof(E) == 4 ? i : 0] = __float_as_uint(values[i]);
        else if (N == 1)
            bits.halves[0] = bf16_round(values[0]).bits;
        else if (i % 2)
            bits.words[i / 2] = ptx_bf16_pair(values[i ? i - 1 : 0], values[i]);
    gpu_store(reinterpret_cast<access *>(to), bits.access);
}

#endif
