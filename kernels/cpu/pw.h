/* What 1x1 convolutions share: how their rows are cut, a function of the shape alone. */
#ifndef KERNELS_CPU_PW_H
#define KERNELS_CPU_PW_H

#include "kernels/device.h"

enum { PW_ROWS = 64 };

static inline size_t pw_rows(const struct conv *conv)
{
    return (size_t)conv->in.N * (size_t)conv->in.H * (size_t)conv->in.W;
}

/* Rows of a tile: few enough for a strip and for both maps' panels to fit the second-level cache,
 * fewer still where a map would not give every thread of a workstation a tile. */
static inline int pw_tile_rows(const struct conv *conv, int least)
{
    enum { ENOUGH_TILES = 16 };
    size_t rows = pw_rows(conv) / ENOUGH_TILES / 8 * 8;
    return rows > PW_ROWS ? PW_ROWS : rows < (size_t)least ? least : (int)rows;
}

#endif
