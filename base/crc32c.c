#include "base/crc32c.h"

#define POLYNOMIAL 0x82f63b78u /* reflected */

/* A byte at a time needs no table, and records are short. */
uint32_t crc32c(const void *bytes, size_t size_bytes)
{
    const uint8_t *at = bytes;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size_bytes; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
    }
    return ~crc;
}
