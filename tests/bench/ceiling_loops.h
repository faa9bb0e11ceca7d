/* The loops that ceilings.c times, compiled once for each instruction set. Any thread. */
#ifndef TESTS_BENCH_CEILING_LOOPS_H
#define TESTS_BENCH_CEILING_LOOPS_H

#include <stddef.h>

struct ceiling_loops {
    double (*fma)(size_t rounds);                     /* multiply-adds done */
    float (*read)(const float *memory, size_t count); /* a sum; count is whole blocks */
    void (*write)(float *memory, size_t count);       /* streams; memory 64-aligned */
};

enum { CEILING_BLOCK = 128 }; /* floats */

extern const struct ceiling_loops ceiling_loops_v2, ceiling_loops_v3, ceiling_loops_v4;

/* Multiply-adds done; needs AVX512_BF16. `choice` is how many chains are under way, from few to
 * many: a Sapphire Rapids does nearly one instruction a cycle with seven and half of one with
 * eight. */
enum { CEILING_BF16_CHOICES = 4 };
double ceiling_bf16(size_t rounds, int choice);

#endif
