#include "tests/bench/ceiling_loops.h"
#include "kernels/cpu/vec.h"

/* More chains than a core has ports times cycles of latency, and with both factors no more than
 * the registers of x86-64-v2. */
enum { CHAINS = 12 };

#define CONCATENATED(left, right) left##right
#define WITH_SUFFIX(name, suffix) CONCATENATED(name, suffix)

/* a tends to 1: no overflow, and no denormal slows it down. The compiler may not know. */
static double fma_loop(size_t rounds)
{
    vec a[CHAINS], factor = vec_set(0.5f), term = vec_set(0.5f);
    for (int i = 0; i < CHAINS; i++)
        a[i] = vec_set((float)i);
    for (size_t r = 0; r < rounds; r++) {
        __asm__ volatile("" : "+x"(factor), "+x"(term));
        VEC_UNROLL
        for (int i = 0; i < CHAINS; i++)
            a[i] = a[i] * factor + term;
    }
    for (int i = 0; i < CHAINS; i++)
        __asm__ volatile("" : : "x"(a[i]));
    return (double)rounds * CHAINS * VEC_WIDTH;
}

static float read_loop(const float *memory, size_t count)
{
    enum { SUMS = 8 }; /* a block of the widest vectors */
    vec sum[SUMS] = {{0}}, all = vec_zero();
    for (size_t i = 0; i < count; i += SUMS * VEC_WIDTH) {
        VEC_UNROLL
        for (int s = 0; s < SUMS; s++)
            sum[s] += vec_load(memory + i + s * VEC_WIDTH);
    }
    for (int s = 0; s < SUMS; s++)
        all += sum[s];
    return vec_sum(all);
}

static void write_loop(float *memory, size_t count)
{
    for (size_t i = 0; i < count; i += VEC_WIDTH)
        vec_stream(memory + i, vec_set(1));
    vec_stream_fence();
}

const struct ceiling_loops WITH_SUFFIX(ceiling_loops, ISA_SUFFIX) = {fma_loop, read_loop,
                                                                     write_loop};
