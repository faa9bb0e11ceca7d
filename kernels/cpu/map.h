/* An element of a map, as the files see it that are compiled once for each type (MAP_NAME in
 * cpu.h): fp32, or bf16, the upper half of an fp32, rounded to nearest, ties to even, when it is
 * stored. A load widens to `vec`; what lies between a load and a store is fp32. docs/precision.md
 * says what is rounded where. Pure. */
#ifndef KERNELS_CPU_MAP_H
#define KERNELS_CPU_MAP_H

#include "kernels/cpu/vec.h"
#include <stdbool.h>

#if MAP_IS_BF16

typedef uint16_t map_value __attribute__((may_alias)); /* stand-ins for a map are zeros of floats */
typedef uint16_t map_vec __attribute__((vector_size(2 * VEC_WIDTH)));
typedef uint16_t map_vec_unaligned
    __attribute__((vector_size(2 * VEC_WIDTH), aligned(2), may_alias));
typedef uint32_t vec_bits __attribute__((vector_size(4 * VEC_WIDTH)));

VEC_INLINE vec map_widen(map_vec value)
{
    return (vec)(__builtin_convertvector(value, vec_bits) << 16);
}

/* A NaN stays one. VCVTNEPS2BF16 makes 0 of what is below 2^-126. */
VEC_INLINE map_vec map_narrow(vec value)
{
#if defined __AVX512BF16__
    return (map_vec)_mm512_cvtneps_pbh((__m512)value);
#else
    vec_bits bits = (vec_bits)value, is_nan = (vec_bits)(value != value);
    vec_bits rounded = bits + 0x7fff + (bits >> 16 & 1), quiet = bits | 0x400000;
    return __builtin_convertvector(((is_nan & quiet) | (~is_nan & rounded)) >> 16, map_vec);
#endif
}

/* What a store and a load would give back. */
VEC_INLINE vec map_round(vec value)
{
    return map_widen(map_narrow(value));
}

VEC_INLINE vec map_load(const map_value *from, int lanes)
{
    if (lanes == VEC_WIDTH)
        return map_widen(*(const map_vec_unaligned *)from);
#if VEC_WIDTH == 16
    return map_widen((map_vec)_mm256_maskz_loadu_epi16((__mmask16)((1u << lanes) - 1), from));
#else
    map_vec value = {0};
    for (int i = 0; i < lanes; i++)
        value[i] = from[i];
    return map_widen(value);
#endif
}

VEC_INLINE void map_write(map_value *to, map_vec value, int lanes)
{
    if (lanes == VEC_WIDTH) {
        *(map_vec_unaligned *)to = value;
        return;
    }
#if VEC_WIDTH == 16
    _mm256_mask_storeu_epi16(to, (__mmask16)((1u << lanes) - 1), (__m256i)value);
#else
    for (int i = 0; i < lanes; i++)
        to[i] = value[i];
#endif
}

/* Returns what a load would give back. */
VEC_INLINE vec map_store(map_value *to, vec value, int lanes)
{
    map_vec narrow = map_narrow(value);
    map_write(to, narrow, lanes);
    return map_widen(narrow);
}

VEC_INLINE __m128 map_load_4(const map_value *from)
{
    return (__m128)_mm_unpacklo_epi16(_mm_setzero_si128(),
                                      _mm_loadl_epi64((const __m128i *)(const void *)from));
}

VEC_INLINE float map_load_1(const map_value *from)
{
    return _mm_cvtss_f32((__m128)_mm_cvtsi32_si128((int)((uint32_t)*from << 16)));
}

/* Half a line past the caches would cost a whole one. */
enum { MAP_CAN_STREAM = false };

VEC_INLINE vec map_stream(map_value *to, vec value)
{
    return map_store(to, value, VEC_WIDTH);
}

#else

typedef float map_value;

VEC_INLINE vec map_round(vec value)
{
    return value;
}

VEC_INLINE vec map_load(const map_value *from, int lanes)
{
    return vec_load_part(from, lanes);
}

/* Returns what a load would give back. */
VEC_INLINE vec map_store(map_value *to, vec value, int lanes)
{
    vec_store_part(to, value, lanes);
    return value;
}

VEC_INLINE __m128 map_load_4(const map_value *from)
{
    return _mm_loadu_ps(from);
}

VEC_INLINE float map_load_1(const map_value *from)
{
    return *from;
}

enum { MAP_CAN_STREAM = true };

/* A whole aligned vector past the caches (vec_stream). */
VEC_INLINE vec map_stream(map_value *to, vec value)
{
    vec_stream(to, value);
    return value;
}

#endif

/* Element `at` of a map. */
VEC_INLINE const map_value *map_at(const void *map, size_t at)
{
    return (const map_value *)map + at;
}

VEC_INLINE map_value *map_to(void *map, size_t at)
{
    return (map_value *)map + at;
}

/* Zeros of floats in place of a map's row that is not there. */
VEC_INLINE const map_value *map_zeros(const float *zeros)
{
    return (const map_value *)(const void *)zeros;
}

#endif
