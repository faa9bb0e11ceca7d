/* Matrix products of tiles that are kept in panels: (rows,columns) as one array of 16 columns after
 * the other. That is how views and gradients are written while loading (prologue.c), so no product
 * has to pack its operands again, and what it computes can be stored and summed while it is at
 * hand. One thread each; the bits depend on the shape alone.
 *
 * A panel's values are fp32. For bf16 maps on machines that multiply pairs of bf16 (VDPBF16PS) a
 * value is a pair: two that follow each other in depth, the earlier in the lower half, 0 behind the
 * last. A tile whose depth runs along its columns (the rows of a product with weights) and one
 * whose depth runs along its rows are then two layouts, which are one without pairs. */
#ifndef KERNELS_CPU_PRODUCT_H
#define KERNELS_CPU_PRODUCT_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/map.h"
#include "kernels/cpu/prefetch.h"

#if MAP_IS_BF16 && defined __AVX512BF16__
#define PRODUCT_OF_PAIRS true
typedef uint32_t panel_value __attribute__((may_alias));
enum { PAIR = 2 };
#else
#define PRODUCT_OF_PAIRS false
typedef float panel_value;
enum { PAIR = 1 };
#endif

enum { PANEL = 16, PANEL_DEPTH = PANEL / PAIR /* values of a row whose depth is 16 */ };

static inline int panel_count(int columns)
{
    return (columns + PANEL - 1) / PANEL;
}

/* Values of a depth. */
static inline int depth_values(int depth)
{
    return (depth + PAIR - 1) / PAIR;
}

struct panels {
    panel_value *start; /* 64-aligned; NULL: nobody wants them */
    size_t stride;      /* values from panel to panel: an odd number of rows, so that panels do not
                           share cache sets */
    size_t row;         /* values from row to row; rows that follow each other are panels too,
                           PANEL apart and a padded width from row to row */
};

/* A tile (rows,columns) with depth along its columns. */
static inline struct panels panels_by_columns(void *memory, int rows)
{
    return (struct panels){memory, (size_t)(rows | 1) * PANEL_DEPTH, PANEL_DEPTH};
}

/* A tile (rows,columns) with depth along its rows. */
static inline struct panels panels_by_rows(void *memory, int rows)
{
    return (struct panels){memory, (size_t)(depth_values(rows) | 1) * PANEL, PANEL};
}

static inline size_t panels_bytes(const struct panels *panels, int columns)
{
    return (size_t)panel_count(columns) * panels->stride * sizeof(panel_value);
}

/* What a tile is loaded into: for products of which its columns are the depth, its rows, or both.
 * Without pairs both are the same memory. */
struct operand {
    struct panels by_columns, by_rows;
};

/* A map's rows that receive the product while it is still in registers. */
struct product_out {
    map_value *map;       /* or NULL */
    const map_value *add; /* added to the product first, same rows; or NULL */
    size_t row;           /* values from row to row of both */
    bool streams;         /* past the caches */
};

struct product {          /* c (rows,columns) = a b over depth */
    const panel_value *a; /* at the first row and depth */
    size_t a_stride;      /* from panel to panel */
    const panel_value *b; /* (depth,columns) by rows, at the first panel */
    size_t b_stride;
    float *c;     /* row-major */
    size_t c_row; /* from row to row */
    int rows, columns, depth;
    bool accumulates;                /* c += instead of c = */
    struct product_out out;          /* a copy of c */
    struct prefetch_lines *prefetch; /* or NULL; stepped product_steps() times */
};

#ifdef ISA_SUFFIX

size_t MAP_NAME(product_steps)(int rows, int columns, int depth);

/* a (rows,depth) by columns. */
void MAP_NAME(product)(const struct product *product);
/* a (depth,rows) by rows; the product is a^T b. a starts at a panel. */
void MAP_NAME(product_transposed)(const struct product *product);

/* w (K,ld) as (K,C) by rows, or its transpose as (C,K) by rows; panel i of the result, padded with
 * zeros. */
void MAP_NAME(pack_panel)(const map_value *w, int ld, int K, int C, int i, struct panels to);
void MAP_NAME(pack_panel_transposed)(const map_value *w, int ld, int K, int C, int i,
                                     struct panels to);

#endif
#endif
