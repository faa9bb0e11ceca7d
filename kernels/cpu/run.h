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
    const map_value *z;
    const map_value *other; /* a gradient's q */
    const float *gate;      /* one row */
    const float *p;         /* one row */
    const float *mean;      /* one row, padded */
    struct operand to;      /* a load's */
    int first;              /* its first row among the tile's */
    const float *from;      /* a strip, rows STRIP apart */
    void *totals;           /* what a pass that sums adds to */
    const struct channels *channels;
};

/* The run of image i of a tile in a map of at->C channels; fields that not every pass needs are
 * left 0. */
static inline struct run run_make(const struct tile_columns *at, int i, const map_value *z)
{
    const struct tile *tile = at->tile;
    size_t row = (size_t)(tile->image + i) * (size_t)at->plan->HW + (size_t)tile->first;
    struct run run = {.rows = tile->rows, .columns = at->c1 - at->c0, .c0 = at->c0};
    run.C = (size_t)at->C;
    run.z = z ? z + row * run.C + at->c0 : NULL;
    run.first = i * tile->rows;
    return run;
}

/* The offset of run_make's pointers in a map. */
static inline size_t run_offset(const struct tile_columns *at, int i)
{
    const struct tile *tile = at->tile;
    size_t row = (size_t)(tile->image + i) * (size_t)at->plan->HW + (size_t)tile->first;
    return row * (size_t)at->C + (size_t)at->c0;
}

/* What a load makes of `lanes` columns from c of a row; VEC_INLINE. act and lanes are constants but
 * in the tail. */
typedef vec load_body(enum act act, const struct run *run, int row, int c, int lanes);

#if PRODUCT_OF_PAIRS

enum { ROWS_AT_ONCE = 2 };

/* Where row `row` of the tile's panels begins, at a whole panel c. */
VEC_INLINE panel_value *panels_at(const struct panels *panels, int row, int c)
{
    return panels->start + (size_t)(c / PANEL) * panels->stride + (size_t)row * panels->row;
}

/* Two rows, the first of even number: side by side, and value by value. */
VEC_INLINE void store_rows(const struct operand *to, int row, int c, vec first, vec second)
{
    const __m512i one_of_each =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
    if (to->by_columns.start)
        _mm512_storeu_si512(panels_at(&to->by_columns, row, c), both);
    if (to->by_rows.start)
        _mm512_storeu_si512(panels_at(&to->by_rows, row / PAIR, c),
                            _mm512_permutexvar_epi16(one_of_each, both));
}

/* A row that is alone in its run: the image before brought its even neighbour, or the next may
 * bring its odd one. */
VEC_INLINE void store_row_alone(const struct operand *to, int row, int c, vec value)
{
    __m256i narrow = (__m256i)map_narrow(value);
    if (to->by_columns.start)
        _mm256_storeu_si256((__m256i *)(void *)panels_at(&to->by_columns, row, c), narrow);
    if (!to->by_rows.start)
        return;
    panel_value *pairs = panels_at(&to->by_rows, row / PAIR, c);
    __m512i wide = _mm512_cvtepu16_epi32(narrow);
    if (row % PAIR)
        wide = _mm512_or_si512(_mm512_slli_epi32(wide, 16), _mm512_loadu_si512(pairs));
    _mm512_storeu_si512(pairs, wide);
}

VEC_INLINE void load_columns(enum act act, load_body *body, const struct run *run, int row,
                             int rows, int c, int lanes)
{
    vec first = body(act, run, row, c, lanes);
    if (rows == 1)
        store_row_alone(&run->to, run->first + row, c, first);
    else
        store_rows(&run->to, run->first + row, c, first, body(act, run, row + 1, c, lanes));
}

#else

enum { ROWS_AT_ONCE = 1 };

VEC_INLINE void load_columns(enum act act, load_body *body, const struct run *run, int row,
                             int rows, int c, int lanes)
{
    const struct panels *to = run->to.by_rows.start ? &run->to.by_rows : &run->to.by_columns;
    (void)rows;
    vec_store(to->start + (size_t)(c / PANEL) * to->stride + (size_t)(run->first + row) * to->row +
                  (size_t)(c % PANEL),
              map_round(body(act, run, row, c, lanes)));
}

#endif

VEC_INLINE void run_load(enum act act, load_body *body, const struct run *run)
{
    int whole = run->columns - run->columns % VEC_WIDTH;
    for (int row = 0, rows; row < run->rows; row += rows) {
        rows = (run->first + row) % ROWS_AT_ONCE == 0 && row + ROWS_AT_ONCE <= run->rows
                   ? ROWS_AT_ONCE
                   : 1;
        for (int c = 0; c < whole; c += VEC_WIDTH)
            load_columns(act, body, run, row, rows, c, VEC_WIDTH);
        if (whole < run->columns)
            load_columns(act, body, run, row, rows, whole, run->columns - whole);
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
