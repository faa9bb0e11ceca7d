/* What forward and backward of a depthwise convolution share: how the work is cut, and the two
 * register tiles everything is made of. Rows are packed rows of one vector of channels (rows.h);
 * outputs are computed dw_tile_max at a time, the taps of a kernel row in registers.
 *
 * Padding is never multiplied: kernel rows outside the map are left out, columns outside it are
 * jumped over, and a kernel that is wider than twice the map is cropped first, since its outer taps
 * can only meet padding. */
#ifndef KERNELS_CPU_DW_H
#define KERNELS_CPU_DW_H

#include "kernels/cpu/rows.h"

enum { DW_TILE_MAX = 8, DW_R_MAX = 7 };

/* A function of the shape alone. A job is (group, block): `group` is a run of whole images, `block`
 * a run of whole vectors of channels. */
struct dw_plan {
    struct dims in, out;
    int R, S;      /* after cropping */
    int top, left; /* rows and columns of zeros in front, after cropping */
    int crop;      /* taps cropped on each side */
    int R_stored;  /* of the weight tensor */
    int vectors;   /* per block; the last block may have fewer */
    int blocks, groups;
    int band;     /* output rows per step, so that a step of a narrow map is worth its overhead */
    int in_slots; /* rows of the ring of input rows */
};

struct dw_plan MAP_NAME(dw_plan)(const struct conv *conv);

/* Images of a group. */
static inline int dw_first_image(const struct dw_plan *plan, int group)
{
    return (int)((int64_t)group * plan->in.N / plan->groups);
}

/* Vectors in this block, and channels in vector v of it. */
static inline int dw_vectors(const struct dw_plan *plan, int block)
{
    int rest = vec_round(plan->in.C) / VEC_WIDTH - block * plan->vectors;
    return rest < plan->vectors ? rest : plan->vectors;
}

static inline int dw_channel(const struct dw_plan *plan, int block, int v)
{
    return (block * plan->vectors + v) * VEC_WIDTH;
}

static inline int dw_lanes(const struct dw_plan *plan, int c)
{
    int rest = plan->in.C - c;
    return rest < VEC_WIDTH ? rest : VEC_WIDTH;
}

/* The row of tap (kh,kw) of the cropped kernel in the (R*R,ld) weight tensor. */
static inline int dw_tap(const struct dw_plan *plan, int kh, int kw)
{
    return (kh + plan->crop) * plan->R_stored + kw + plan->crop;
}

/* The last rows of a map, packed, for each vector of a block. Row i is in slot i % slots; slots is
 * a multiple of the rows loaded at a time (or the whole map), so that these lie side by side. */
struct dw_ring {
    float *rows;
    int slots, W;
};

static inline float *dw_ring_row(const struct dw_ring *ring, int v, int row)
{
    ptrdiff_t slot = (ptrdiff_t)v * ring->slots + row % ring->slots;
    return ring->rows + slot * ring->W * VEC_WIDTH;
}

/* rows[0..count) = rows first, first + 1, ... */
static inline void dw_ring_rows(const struct dw_ring *ring, int v, int first, int count,
                                const float **rows)
{
    const float *all = ring->rows + (ptrdiff_t)v * ring->slots * ring->W * VEC_WIDTH;
    int slot = first % ring->slots;
    for (int i = 0; i < count; i++) {
        rows[i] = all + (ptrdiff_t)slot * ring->W * VEC_WIDTH;
        slot = slot + 1 == ring->slots ? 0 : slot + 1;
    }
}

/* The input as both directions read it: rows [chunk * plan->band * S, ...) of image n through the
 * view into the ring. */
struct dw_input {
    const struct dw_plan *plan;
    struct view x;
    struct channels channels;
};

void MAP_NAME(dw_load_input)(const struct dw_input *input, const struct dw_ring *ring, int v, int c,
                             int n, int chunk);

/* Chunks of input rows needed before the outputs of rows below `end` can be computed. */
static inline int dw_chunks_needed(const struct dw_plan *plan, int end)
{
    int rows = (end - 1) * plan->S + plan->R - plan->top, chunk_rows = plan->band * plan->S;
    return ((rows < plan->in.H ? rows : plan->in.H) + chunk_rows - 1) / chunk_rows;
}

/* The rows of a sum over kernel rows: in[i] meets taps w[i * R .. (i + 1) * R), i < count. Columns
 * outside [0, W) count as 0. */
struct dw_rows {
    const float *in[DW_R_MAX];
    const float *w;
    int count, W;
    int left; /* columns of zeros in front of column 0 */
};

/* The gradient dz of one output row and the input rows that met it. */
struct dw_weigh_rows {
    const float *x[DW_R_MAX];
    const float *dz;
    int W;    /* of x */
    int left; /* columns of zeros in front of its column 0 */
};

/* out[step (o)] = sum over i, k of in[i][o S - left + k] w[i R + k] for `tiles` tiles of
 * outputs, step in pixels. */
typedef void dw_correlate_fn(const struct dw_rows *rows, int tiles, int step, float *out);

/* sum[k] += sum over `tiles` tiles of outputs o of x[o S - left + k] dz[o], for M rows x at
 * once: the sums of row i at sum + i * R * VEC_WIDTH. o begins at `first`. */
typedef void dw_weigh_fn(const struct dw_weigh_rows *rows, int first, int tiles, float *sum);

/* A register tile of the right size for a row of `width` outputs. tiles * size >= width: the row
 * written has to have room for the rest, fewer than DW_TILE_MAX pixels. */
struct dw_correlate {
    dw_correlate_fn *run;
    int tiles;
};

/* The same for gradients of the weights, exactly `width` of them: `tiles` tiles of `size`, then
 * `less_tiles` of size - 1. */
struct dw_weigh {
    dw_weigh_fn *run[2];      /* one kernel row; [1] for the smaller tiles */
    dw_weigh_fn *run_rows[2]; /* all R at once, or NULL */
    int size, tiles, less_tiles;
};

/* R 1..5 or 7 with S 1, R 3 5 7 with S 2. */
struct dw_correlate ISA_NAME(dw_correlate)(int R, int S, int width);
/* R 1 3 5 7 with S 1, R 3 5 7 with S 2. */
struct dw_weigh ISA_NAME(dw_weigh)(int R, int S, int width);

#endif
