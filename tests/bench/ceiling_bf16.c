#include "kernels/cpu/vec.h"
#include "tests/bench/ceiling_loops.h"

enum { LANES = 32, MOST_CHAINS = 16 };

VEC_INLINE double bf16_loop(size_t rounds, int chains)
{
    __m512 a[MOST_CHAINS];
    __m512i bits = _mm512_set1_epi16(0x3f00); /* 0.5 */
    for (int i = 0; i < chains; i++)
        a[i] = _mm512_setzero_ps();
    for (size_t r = 0; r < rounds; r++) {
        __asm__ volatile("" : "+v"(bits));
        VEC_UNROLL
        for (int i = 0; i < chains; i++)
            a[i] = _mm512_dpbf16_ps(a[i], (__m512bh)bits, (__m512bh)bits);
    }
    for (int i = 0; i < chains; i++)
        __asm__ volatile("" : : "v"(a[i]));
    return (double)rounds * chains * LANES;
}

double ceiling_bf16(size_t rounds, int choice)
{
    switch (choice) {
    case 0:
        return bf16_loop(rounds, 6);
    case 1:
        return bf16_loop(rounds, 7);
    case 2:
        return bf16_loop(rounds, 8);
    default:
        return bf16_loop(rounds, 16);
    }
}
