/* A run: one image's rows of a tile, some columns of them. A load walks it row by row, as memory
 * lies; a pass that sums walks all rows of a few vectors of channels. Only prologue.c,
 * epilogue.c and pool.c look in here. */
#ifndef KERNELS_CPU_RUN_H
#define KERNELS_CPU_RUN_H

#include "kernels/cpu/tile.h"

struct run { /* pointers are at the run's first row and column */
    int rows, columns;
    int c0;         /* its first column among the channels */
    size_t C;       /* from row to row of z */
    size_t other_C; /* from row to row of `other`; 0 when it is a stand-in */
    const float *z;
    const float *other; /* a gradient's q */
    const float *gate;  /* one row */
    const float *p;     /* one row */
    const float *mean;  /* one row, padded */
    struct panels to;   /* a load's */
    const float *from;  /* a strip, rows STRIP apart */
    void *totals;       /* what a pass that sums adds to */
    const struct channels *channels;
};

/* The run of image i of a tile in a map of at->C channels; fields that not every pass needs are
 * left 0. */
static inline struct run run_make(const struct tile_columns *at, int i, const float *z)
{
    const struct tile *tile = at->tile;
    size_t row = (size_t)(tile->image + i) * (size_t)at->plan->HW + (size_t)tile->first;
    struct run run = {.rows = tile->rows, .columns = at->c1 - at->c0, .c0 = at->c0};
    run.C = (size_t)at->C;
    run.z = z ? z + row * run.C + at->c0 : NULL;
    return run;
}

/* The offset of run_make's pointers in a map. */
static inline size_t run_offset(const struct tile_columns *at, int i)
{
    const struct tile *tile = at->tile;
    size_t row = (size_t)(tile->image + i) * (size_t)at->plan->HW + (size_t)tile->first;
    return row * (size_t)at->C + (size_t)at->c0;
}

/* A load's target at a row and column of the run. */
static inline float *run_to(const struct run *run, int row, int c)
{
    return run->to.start + (size_t)(c / PANEL) * run->to.stride + (size_t)row * run->to.row +
           (size_t)(c % PANEL);
}

/* What a load does to `lanes` columns from c of a row; VEC_INLINE. act and lanes are constants but
 * in the tail. */
typedef void load_body(enum act act, const struct run *run, int row, int c, int lanes);

VEC_INLINE void run_load(enum act act, load_body *body, const struct run *run)
{
    int whole = run->columns - run->columns % VEC_WIDTH;
    for (int row = 0; row < run->rows; row++) {
        for (int c = 0; c < whole; c += VEC_WIDTH)
            body(act, run, row, c, VEC_WIDTH);
        if (whole < run->columns)
            body(act, run, row, whole, run->columns - whole);
    }
}

/* What a pass that sums does to all rows of `vecs` vectors of columns from c, the last one `lanes`
 * wide: the sums stay in registers, and three vectors hide what one addition waits for. VEC_INLINE;
 * act, vecs and lanes are constants but in the tail. */
typedef void sum_body(enum act act, const struct run *run, int c, int vecs, int lanes);

enum { RUN_VECS = 3 };

VEC_INLINE void run_sum(enum act act, sum_body *body, const struct run *run)
{
    int c = 0;
    for (; c + RUN_VECS * VEC_WIDTH <= run->columns; c += RUN_VECS * VEC_WIDTH)
        body(act, run, c, RUN_VECS, VEC_WIDTH);
    for (; c + VEC_WIDTH <= run->columns; c += VEC_WIDTH)
        body(act, run, c, 1, VEC_WIDTH);
    if (c < run->columns)
        body(act, run, c, 1, run->columns - c);
}

#endif
