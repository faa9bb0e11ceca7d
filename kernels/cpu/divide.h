/* How work is cut into blocks. Pure. */
#ifndef KERNELS_CPU_DIVIDE_H
#define KERNELS_CPU_DIVIDE_H

static inline int divide_up(int dividend, int divisor)
{
    return (dividend + divisor - 1) / divisor;
}

/* Where block number `block` of `width` columns each ends; the last one is narrower. */
static inline int block_end(int block, int width, int columns)
{
    int end = (block + 1) * width;
    return end < columns ? end : columns;
}

#endif
