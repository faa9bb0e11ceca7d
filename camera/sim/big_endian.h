/* Numbers as GigE Vision sends them, most significant byte first. Pure. */
#ifndef CAMERA_SIM_BIG_ENDIAN_H
#define CAMERA_SIM_BIG_ENDIAN_H

#include <stdint.h>
#include <string.h>

static inline void put_be16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void put_be32(uint8_t *at, uint32_t value)
{
    put_be16(at, value >> 16);
    put_be16(at + 2, value);
}

static inline void put_be64(uint8_t *at, uint64_t value)
{
    put_be32(at, (uint32_t)(value >> 32));
    put_be32(at + 4, (uint32_t)value);
}

static inline uint32_t get_be16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t get_be32(const uint8_t *at)
{
    return get_be16(at) << 16 | get_be16(at + 2);
}

static inline uint64_t get_be64(const uint8_t *at)
{
    return (uint64_t)get_be32(at) << 32 | get_be32(at + 4);
}

static inline void put_be_float(uint8_t *at, double value)
{
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    put_be32(at, bits);
}

static inline double get_be_float(const uint8_t *at)
{
    uint32_t bits = get_be32(at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
