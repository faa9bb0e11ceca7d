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
    int R, S, P;  /* after cropping */
    int crop;     /* taps cropped on each side */
    int R_stored; /* of the weight tensor */
    int vectors;  /* per block; the last block may have fewer */
    int blocks, groups;
};

struct dw_plan ISA_NAME(dw_plan)(const struct conv *conv);

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

/* The rows of a sum over kernel rows: in[i] meets taps w[i * R .. (i + 1) * R), i < count. Columns
 * outside [0, W) count as 0. */
struct dw_rows {
    const float *in[DW_R_MAX];
    const float *w;
    int count, W;
};

/* out[step (o)] = sum over i, k of in[i][o S - (R - 1) / 2 + k] w[i R + k] for `tiles` tiles of
 * outputs, step in pixels. */
typedef void dw_correlate_fn(const struct dw_rows *rows, int tiles, int step, float *out);

/* sum[k] += sum over o of x[o S - (R - 1) / 2 + k] dz[o], for M rows x at once: sum of row i at
 * sum + i * R * VEC_WIDTH. dz is readable, and 0, up to the end of the last tile. */
typedef void dw_weigh_fn(const float *const *x, int W, const float *dz, int tiles, float *sum);

/* A register tile of the right size for a row of `width` outputs. tiles * size >= width: the row
 * written (or dz read) has to have room for the rest, fewer than DW_TILE_MAX pixels. */
struct dw_correlate {
    dw_correlate_fn *run;
    int tiles;
};

struct dw_weigh {
    dw_weigh_fn *run;      /* one kernel row */
    dw_weigh_fn *run_rows; /* all R at once, or NULL */
    int tiles;
};

/* R 1..5 or 7 with S 1, R 3 5 7 with S 2. */
struct dw_correlate ISA_NAME(dw_correlate)(int R, int S, int width);
/* R 1 3 5 7 with S 1, R 3 5 7 with S 2. */
struct dw_weigh ISA_NAME(dw_weigh)(int R, int S, int width);

#endif
