/* exp() of a vector, our own so that a pinned instruction set gives the same bits on every machine
 * (a C library chooses its variant by the processor). Pure. */
#ifndef KERNELS_CPU_VEC_EXP_H
#define KERNELS_CPU_VEC_EXP_H

#include "kernels/cpu/vec.h"

/* exp(x) for x <= 0, within 2 ulp; 0 below -87.3 (where floats become denormal); NaN stays NaN.
 * x = n ln 2 + r with |r| <= ln 2 / 2; exp(r) by Taylor to r^7 / 7!; 2^n by its exponent bits. */
VEC_INLINE vec vec_exp(vec x)
{
    const float round_bias = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    vec bounded = vec_max(vec_set(-87.3f), x);
    vec biased = bounded * 1.44269504f + round_bias;
    vec n = biased - round_bias;
    vec r = bounded - n * 0.693359375f; /* ln 2 in two parts, the first exact in n * part */
    r = r - n * -2.12194440e-4f;
    vec poly = r * (1.0f / 5040) + 1.0f / 720;
    poly = poly * r + 1.0f / 120;
    poly = poly * r + 1.0f / 24;
    poly = poly * r + 1.0f / 6;
    poly = poly * r + 0.5f;
    poly = poly * r * r + r + 1.0f;
    vec_int exponent = ((vec_int)biased - (vec_int)vec_set(round_bias) + 127) << 23;
    return vec_keep(~(x < -87.3f), poly * (vec)exponent);
}

#endif
