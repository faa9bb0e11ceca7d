/* How 1x1 convolutions cut their rows: a function of the shape alone. */
#ifndef KERNELS_CPU_PW_H
#define KERNELS_CPU_PW_H

#include <stddef.h>

/* Both maps' tiles fit half of a 1 MiB second-level cache, and the activated one stays below the
 * 1 MiB that scratch may hold; few rows are shared out in smaller tiles. */
static inline int pw_tile_rows(size_t M, int C, int K)
{
    enum { MOST = 256, LEAST = 32, ENOUGH_TILES = 8, BYTES = 512 << 10 };
    size_t rows = (size_t)BYTES / (sizeof(float) * (size_t)(C + K));
    if (rows > M / ENOUGH_TILES)
        rows = M / ENOUGH_TILES > 64 ? M / ENOUGH_TILES : 64;
    rows = rows > MOST ? MOST : rows < LEAST ? LEAST : rows / 16 * 16;
    return (int)rows;
}

#endif
