#include "kernels/cpu/vec.h"
#include "tests/bench/ceiling_loops.h"

enum { CHAINS = 12, LANES = 32 };

double ceiling_bf16(size_t rounds)
{
    __m512 a[CHAINS];
    __m512i bits = _mm512_set1_epi16(0x3f00); /* 0.5 */
    for (int i = 0; i < CHAINS; i++)
        a[i] = _mm512_setzero_ps();
    for (size_t r = 0; r < rounds; r++) {
        __asm__ volatile("" : "+v"(bits));
        VEC_UNROLL
        for (int i = 0; i < CHAINS; i++)
            a[i] = _mm512_dpbf16_ps(a[i], (__m512bh)bits, (__m512bh)bits);
    }
    for (int i = 0; i < CHAINS; i++)
        __asm__ volatile("" : : "v"(a[i]));
    return (double)rounds * CHAINS * LANES;
}
