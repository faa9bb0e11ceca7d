/* Matrix products of tiles that are kept in panels: (rows,columns) as one array of (rows,16) after
 * the other, each row of a panel one cache line. That is how views and gradients are written while
 * loading (prologue.c), so no product has to pack its operands again, and what it computes can be
 * stored and summed while it is at hand. One thread each; the bits depend on the shape alone. */
#ifndef KERNELS_CPU_PRODUCT_H
#define KERNELS_CPU_PRODUCT_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/prefetch.h"

enum { PANEL = 16 };

static inline int panel_count(int columns)
{
    return (columns + PANEL - 1) / PANEL;
}

/* Floats from panel to panel: an odd number of lines, so that panels do not share cache sets. */
static inline size_t panel_stride(int rows)
{
    return (size_t)(rows | 1) * PANEL;
}

static inline size_t panels_bytes(int rows, int columns)
{
    return (size_t)panel_count(columns) * panel_stride(rows) * sizeof(float);
}

struct panels {
    float *start;  /* 64-aligned */
    size_t stride; /* floats from panel to panel */
    size_t row;    /* floats from row to row: PANEL; rows that follow each other are panels too,
                      PANEL apart and a padded width from row to row */
};

static inline struct panels panels_make(void *memory, int rows)
{
    return (struct panels){memory, panel_stride(rows), PANEL};
}

/* A map's rows that receive the product while it is still in registers. */
struct product_out {
    float *map;       /* or NULL */
    const float *add; /* added to the product first, same rows; or NULL */
    size_t row;       /* floats from row to row of both */
    bool streams;     /* past the caches */
};

struct product {     /* c (rows,columns) = a b over depth */
    const float *a;  /* at the first row and depth */
    size_t a_stride; /* from panel to panel */
    const float *b;  /* (depth,columns) panels, at the first panel */
    size_t b_stride;
    float *c;     /* row-major */
    size_t c_row; /* from row to row */
    int rows, columns, depth;
    bool accumulates;                /* c += instead of c = */
    struct product_out out;          /* a copy of c */
    struct prefetch_lines *prefetch; /* or NULL; stepped product_steps() times */
};

#ifdef ISA_SUFFIX

size_t ISA_NAME(product_steps)(int rows, int columns, int depth);

/* a (rows,depth): its panels are cut along depth. */
void ISA_NAME(product)(const struct product *product);
/* a (depth,rows): its panels are cut along rows; the product is a^T b. a starts at a panel. */
void ISA_NAME(product_transposed)(const struct product *product);

/* w (K,ld) as panels (K,C) cut along C, or as panels (C,K) of its transpose cut along K; panel i of
 * the result, padded with zeros. */
void ISA_NAME(pack_panel)(const float *w, int ld, int K, int C, int i, struct panels to);
void ISA_NAME(pack_panel_transposed)(const float *w, int ld, int K, int C, int i, struct panels to);

#endif
#endif
