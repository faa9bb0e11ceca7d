/* A run: one image's rows of a tile, some columns of them, walked four rows by one vector of
 * channels at a time, so that a channel's numbers are loaded once for four rows. Only tile_load.c
 * and tile_store.c look in here. */
#ifndef KERNELS_CPU_RUN_H
#define KERNELS_CPU_RUN_H

#include "kernels/cpu/tile.h"

enum { RUN_ROWS = 4 };

struct run { /* pointers are at the run's first row and column */
    int rows, columns;
    int c0;         /* its first column among the channels */
    size_t C;       /* from row to row of z, q and out */
    size_t ld;      /* from row to row of scratch */
    size_t other_C; /* from row to row of `other`; 0 when it is a stand-in */
    const float *z;
    const float *other; /* a gradient's q, a sink's add */
    const float *gate;  /* one row */
    const float *p;     /* one row */
    const float *mean;  /* one row, padded */
    float *out;
    float *scratch;
    float *totals; /* fp32 sums of a tile, arrays of `columns` rounded up to vectors */
    const struct channels *channels;
};

/* The run of image i of a tile in a map of at->C channels; fields that not every pass needs are
 * left 0. */
static inline struct run run_make(const struct tile_columns *at, int i, const float *z,
                                  const float *scratch, int ld)
{
    const struct tile *tile = at->tile;
    size_t row = (size_t)(tile->image + i) * (size_t)at->plan->HW + (size_t)tile->first;
    struct run run = {.rows = tile->rows, .columns = at->c1 - at->c0, .c0 = at->c0};
    run.C = (size_t)at->C;
    run.ld = (size_t)ld;
    run.z = z ? z + row * run.C + at->c0 : NULL;
    run.scratch = (float *)scratch + (size_t)i * (size_t)tile->rows * run.ld;
    return run;
}

/* The offset of run_make's pointers in a map. */
static inline size_t run_offset(const struct tile_columns *at, int i)
{
    const struct tile *tile = at->tile;
    size_t row = (size_t)(tile->image + i) * (size_t)at->plan->HW + (size_t)tile->first;
    return row * (size_t)at->C + (size_t)at->c0;
}

/* What a pass does to `rows` rows from `row`, `lanes` columns from c; VEC_INLINE, act, rows and
 * lanes are constants but in the tails. */
typedef void run_body(enum act act, const struct run *run, int row, int rows, int c, int lanes);

VEC_INLINE void run_walk_rows(enum act act, run_body *body, const struct run *run, int row,
                              const int rows)
{
    int whole = run->columns - run->columns % VEC_WIDTH;
    for (int c = 0; c < whole; c += VEC_WIDTH)
        body(act, run, row, rows, c, VEC_WIDTH);
    if (whole < run->columns)
        body(act, run, row, rows, whole, run->columns - whole);
}

VEC_INLINE void run_walk(enum act act, run_body *body, const struct run *run)
{
    int row = 0;
    for (; row + RUN_ROWS <= run->rows; row += RUN_ROWS)
        run_walk_rows(act, body, run, row, RUN_ROWS);
    for (; row < run->rows; row++)
        run_walk_rows(act, body, run, row, 1);
}

#endif
