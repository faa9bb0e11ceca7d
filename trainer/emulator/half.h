/* IEEE 754 binary16, what the camera's processor computes in: 1 bit of sign, 5 of exponent, 10 of
 * fraction. Values are kept as fp32 that are representable in it; rounding is to nearest, ties to
 * even, with subnormals, to infinity from 65520 on. Needs the processor's default rounding. Pure.
 */
#ifndef TRAINER_EMULATOR_HALF_H
#define TRAINER_EMULATOR_HALF_H

#include <stdint.h>
#include <string.h>

#define HALF_LARGEST 65504.0f
#define HALF_NORMAL  6.103515625e-05f /* 2^-14: below are subnormals, with fewer bits */

/* The nearest binary16, as a float. NaN stays NaN. */
static inline float half_round(float value)
{
    uint32_t bits, sign;
    memcpy(&bits, &value, sizeof bits);
    sign = bits & 0x80000000u;
    bits ^= sign;
    /* Subnormals are multiples of 2^-24, which is what one bit is worth in [0.5, 1). */
    float magnitude, small;
    memcpy(&magnitude, &bits, sizeof magnitude);
    small = (magnitude + 0.5f) - 0.5f;
    uint32_t small_bits, rounded = (bits + 0xfffu + (bits >> 13 & 1)) & ~0x1fffu;
    memcpy(&small_bits, &small, sizeof small_bits);
    rounded = rounded >= 0x47800000u ? 0x7f800000u : rounded;
    rounded = bits < 0x38800000u ? small_bits : rounded;
    rounded = (bits > 0x7f800000u ? bits : rounded) | sign;
    memcpy(&value, &rounded, sizeof value);
    return value;
}

/* The encoding of a float that is representable, and back. */
uint16_t half_encode(float value);
float half_decode(uint16_t bits);

#endif
