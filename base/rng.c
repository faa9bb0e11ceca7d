#include "base/rng.h"
#include <math.h>

#define GAMMA UINT64_C(0x9E3779B97F4A7C15) /* 2^64 / golden ratio, odd */

/* SplitMix64's finaliser (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
 * OOPSLA 2014; Stafford's variant 13). A bijection, so words that differ stay different. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* Draw number `word` of the SplitMix64 generator whose state is `state`. */
static uint64_t descend(uint64_t state, uint64_t word)
{
    return mix(state + (word + 1) * GAMMA);
}

uint64_t rng(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint64_t step, uint64_t index)
{
    /* Each level's draw is the state of the next: a tree of generators, indexed by the words. */
    uint64_t state = descend(seed, (uint64_t)stream);
    state = descend(state, epoch);
    state = descend(state, step);
    return descend(state, index);
}

double rng_unit(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1.0p-53;
}

uint32_t rng_below(uint64_t bits, uint32_t bound)
{
    /* floor(bits * bound / 2^64) from two halves; the bias is below bound / 2^64 */
    uint64_t low = (bits & UINT32_MAX) * bound;
    uint64_t high = (bits >> 32) * bound;
    return (uint32_t)((high + (low >> 32)) >> 32);
}

double rng_normal(uint64_t bits_1, uint64_t bits_2)
{
    const double two_pi = 6.283185307179586476925;
    double unit = 1.0 - rng_unit(bits_1); /* (0, 1]: the logarithm is finite */
    return sqrt(-2.0 * log(unit)) * cos(two_pi * rng_unit(bits_2));
}

void rng_permute(uint64_t seed, enum rng_stream stream, uint64_t epoch, uint32_t n, uint32_t *order)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = rng_below(rng(seed, stream, epoch, 0, i - 1), i);
        uint32_t kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}
