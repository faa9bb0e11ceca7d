/* CRC-32C (Castagnoli, reflected): the check of TFRecord files, as RFC 3720 computes it. Pure. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *bytes, size_t size_bytes);

#endif
