#include "trainer/emulator/accumulate.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define F16C __attribute__((target("avx,f16c")))

bool accumulate_has_f16c(void)
{
    unsigned a, b, c, d; /* not every compiler knows the feature by name */
    bool has_bit = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
    return has_bit && __builtin_cpu_supports("avx");
}

F16C static inline __m256 to_half(__m256 value)
{
    return _mm256_cvtph_ps(_mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
}

F16C static inline __m256 add_product(__m256 sum, __m256 w, __m256 x)
{
    return to_half(_mm256_add_ps(sum, to_half(_mm256_mul_ps(w, x))));
}

/* Whole vectors; the portable loops do the rest. */
F16C static void scaled(float *sums, const float *w, float x, int n)
{
    int k = 0;
    __m256 factor = _mm256_set1_ps(x);
    for (; k + 8 <= n; k += 8)
        _mm256_storeu_ps(sums + k,
                         add_product(_mm256_loadu_ps(sums + k), _mm256_loadu_ps(w + k), factor));
    accumulate_fp16.scaled(sums + k, w + k, x, n - k);
}

F16C static void pairs(float *sums, const float *w, const float *x, int n)
{
    int k = 0;
    for (; k + 8 <= n; k += 8)
        _mm256_storeu_ps(sums + k, add_product(_mm256_loadu_ps(sums + k), _mm256_loadu_ps(w + k),
                                               _mm256_loadu_ps(x + k)));
    accumulate_fp16.pairs(sums + k, w + k, x + k, n - k);
}

F16C static void plain(float *sums, const float *x, int n)
{
    int k = 0;
    for (; k + 8 <= n; k += 8)
        _mm256_storeu_ps(sums + k,
                         to_half(_mm256_add_ps(_mm256_loadu_ps(sums + k), _mm256_loadu_ps(x + k))));
    accumulate_fp16.plain(sums + k, x + k, n - k);
}

const struct accumulate accumulate_fp16_f16c = {scaled, pairs, plain};

#else

bool accumulate_has_f16c(void)
{
    return false;
}

const struct accumulate accumulate_fp16_f16c = {0};

#endif
