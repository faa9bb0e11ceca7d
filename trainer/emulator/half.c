#include "trainer/emulator/half.h"

uint16_t half_encode(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude == 0x7f800000u)
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude >= 0x38800000u) /* the exponent's bias is 112 less */
        return (uint16_t)(sign | (magnitude - 0x38000000u) >> 13);
    float scaled = (value < 0 ? -value : value) * 16777216.0f; /* multiples of 2^-24 */
    return (uint16_t)(sign | (uint32_t)scaled);
}

float half_decode(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, magnitude = bits & 0x7fffu, wide;
    float value;
    if (magnitude < 0x400u) {
        value = (float)magnitude / 16777216.0f;
        memcpy(&wide, &value, sizeof wide);
    } else {
        wide =
            magnitude >= 0x7c00u ? 0x7f800000u | magnitude << 13 : (magnitude << 13) + 0x38000000u;
    }
    wide |= sign;
    memcpy(&value, &wide, sizeof value);
    return value;
}
