#include "kernels/cpu/dw.h"

/* T outputs from o on. An input column is loaded once and meets every tap it has in this tile; T
 * sums and R taps stay in registers. With everything unrolled, what is left of `if (inside)` is one
 * compare per column. */
VEC_INLINE void correlate(const struct dw_rows *rows, const int R, const int S, const int T, int o,
                          int step, float *out)
{
    vec sum[DW_TILE_MAX];
    VEC_UNROLL
    for (int t = 0; t < T; t++)
        sum[t] = vec_zero();
    const int first = o * S - rows->left;
    for (int i = 0; i < rows->count; i++) {
        const float *in = rows->in[i];
        const float *w = rows->w + (ptrdiff_t)i * R * VEC_WIDTH;
        vec tap[DW_R_MAX];
        VEC_UNROLL
        for (int k = 0; k < R; k++)
            tap[k] = vec_load(w + (ptrdiff_t)k * VEC_WIDTH);
        VEC_UNROLL
        for (int j = 0; j < (T - 1) * S + R; j++) {
            if ((unsigned)(first + j) >= (unsigned)rows->W)
                continue;
            vec x = vec_load(in + (ptrdiff_t)(first + j) * VEC_WIDTH);
            VEC_UNROLL
            for (int t = 0; t < T; t++)
                if (j - t * S >= 0 && j - t * S < R)
                    sum[t] += x * tap[j - t * S];
        }
    }
    VEC_UNROLL
    for (int t = 0; t < T; t++)
        vec_store(out + (ptrdiff_t)(o + t) * step * VEC_WIDTH, sum[t]);
}

/* T gradients and M R sums stay in registers. Three kernel rows at once for R = 3: three sums alone
 * would wait for each other. */
VEC_INLINE void wgrad(const struct dw_weigh_rows *rows, const int M, const int R, const int S,
                      const int T, int o, vec *sum)
{
    vec d[DW_TILE_MAX];
    VEC_UNROLL
    for (int t = 0; t < T; t++)
        d[t] = vec_load(rows->dz + (ptrdiff_t)(o + t) * VEC_WIDTH);
    const int first = o * S - rows->left;
    VEC_UNROLL
    for (int j = 0; j < (T - 1) * S + R; j++) {
        if ((unsigned)(first + j) >= (unsigned)rows->W)
            continue;
        VEC_UNROLL
        for (int i = 0; i < M; i++) {
            vec in = vec_load(rows->x[i] + (ptrdiff_t)(first + j) * VEC_WIDTH);
            VEC_UNROLL
            for (int t = 0; t < T; t++)
                if (j - t * S >= 0 && j - t * S < R)
                    sum[i * R + j - t * S] += in * d[t];
        }
    }
}

VEC_INLINE void wgrad_row(const struct dw_weigh_rows *rows, const int M, const int R, const int S,
                          const int T, int first, int tiles, float *to)
{
    vec sum[9];
    VEC_UNROLL
    for (int k = 0; k < M * R; k++)
        sum[k] = vec_load(to + (ptrdiff_t)k * VEC_WIDTH);
    for (int tile = 0; tile < tiles; tile++)
        wgrad(rows, M, R, S, T, first + tile * T, sum);
    VEC_UNROLL
    for (int k = 0; k < M * R; k++)
        vec_store(to + (ptrdiff_t)k * VEC_WIDTH, sum[k]);
}

#define CORRELATE(R, S, T)                                                                         \
    static void correlate_##R##_##S##_##T(const struct dw_rows *rows, int tiles, int step,         \
                                          float *out)                                              \
    {                                                                                              \
        for (int tile = 0; tile < tiles; tile++)                                                   \
            correlate(rows, R, S, T, tile *T, step, out);                                          \
    }

#define WEIGH(M, R, S, T)                                                                          \
    static void weigh_##M##_##R##_##S##_##T(const struct dw_weigh_rows *rows, int first,           \
                                            int tiles, float *sum)                                 \
    {                                                                                              \
        wgrad_row(rows, M, R, S, T, first, tiles, sum);                                            \
    }

/* Every T from 1 to DW_TILE_MAX */
#define CORRELATES(R, S)                                                                           \
    CORRELATE(R, S, 1)                                                                             \
    CORRELATE(R, S, 2)                                                                             \
    CORRELATE(R, S, 3)                                                                             \
    CORRELATE(R, S, 4)                                                                             \
    CORRELATE(R, S, 5)                                                                             \
    CORRELATE(R, S, 6)                                                                             \
    CORRELATE(R, S, 7)                                                                             \
    CORRELATE(R, S, 8)                                                                             \
    static dw_correlate_fn *const correlate_##R##_##S[] = {                                        \
        correlate_##R##_##S##_1, correlate_##R##_##S##_2, correlate_##R##_##S##_3,                 \
        correlate_##R##_##S##_4, correlate_##R##_##S##_5, correlate_##R##_##S##_6,                 \
        correlate_##R##_##S##_7, correlate_##R##_##S##_8};

#define WEIGHS(M, R, S)                                                                            \
    WEIGH(M, R, S, 1)                                                                              \
    WEIGH(M, R, S, 2)                                                                              \
    WEIGH(M, R, S, 3)                                                                              \
    WEIGH(M, R, S, 4)                                                                              \
    WEIGH(M, R, S, 5)                                                                              \
    WEIGH(M, R, S, 6)                                                                              \
    WEIGH(M, R, S, 7)                                                                              \
    WEIGH(M, R, S, 8)                                                                              \
    static dw_weigh_fn *const weigh_##M##_##R##_##S[] = {                                          \
        weigh_##M##_##R##_##S##_1, weigh_##M##_##R##_##S##_2, weigh_##M##_##R##_##S##_3,           \
        weigh_##M##_##R##_##S##_4, weigh_##M##_##R##_##S##_5, weigh_##M##_##R##_##S##_6,           \
        weigh_##M##_##R##_##S##_7, weigh_##M##_##R##_##S##_8};

/* clang-format off */
CORRELATES(1, 1)
CORRELATES(2, 1)
CORRELATES(3, 1)
CORRELATES(4, 1)
CORRELATES(5, 1)
CORRELATES(7, 1)
CORRELATES(3, 2)
CORRELATES(5, 2)
CORRELATES(7, 2)
WEIGHS(1, 1, 1)
WEIGHS(1, 3, 1)
WEIGHS(3, 3, 1)
WEIGHS(1, 5, 1)
WEIGHS(1, 7, 1)
WEIGHS(1, 3, 2)
WEIGHS(3, 3, 2)
WEIGHS(1, 5, 2)
WEIGHS(1, 7, 2)
/* clang-format on */

static dw_correlate_fn *const *const correlates[DW_R_MAX + 1][2] = {
    [1] = {correlate_1_1},
    [2] = {correlate_2_1},
    [3] = {correlate_3_1, correlate_3_2},
    [4] = {correlate_4_1},
    [5] = {correlate_5_1, correlate_5_2},
    [7] = {correlate_7_1, correlate_7_2},
};

static dw_weigh_fn *const *const weighs[DW_R_MAX + 1][2] = {
    [1] = {weigh_1_1_1},
    [3] = {weigh_1_3_1, weigh_1_3_2},
    [5] = {weigh_1_5_1, weigh_1_5_2},
    [7] = {weigh_1_7_1, weigh_1_7_2},
};

static dw_weigh_fn *const *const weighs_rows[DW_R_MAX + 1][2] = {
    [1] = {weigh_1_1_1},
    [3] = {weigh_3_3_1, weigh_3_3_2},
};

/* As few tiles as possible, all of one size: 14 = 7 + 7, 10 = 5 + 5. */
static int tiles_of(int width)
{
    return (width + DW_TILE_MAX - 1) / DW_TILE_MAX;
}

static int tile_size(int width)
{
    int tiles = tiles_of(width);
    return (width + tiles - 1) / tiles;
}

struct dw_correlate ISA_NAME(dw_correlate)(int R, int S, int width)
{
    if (R < 1 || R > DW_R_MAX || S < 1 || S > 2 || !correlates[R][S - 1])
        BUG("no depthwise tile for kernel %d stride %d", R, S);
    return (struct dw_correlate){correlates[R][S - 1][tile_size(width) - 1], tiles_of(width)};
}

struct dw_weigh ISA_NAME(dw_weigh)(int R, int S, int width)
{
    if (R < 1 || R > DW_R_MAX || S < 1 || S > 2 || !weighs[R][S - 1])
        BUG("no depthwise tile for kernel %d stride %d", R, S);
    struct dw_weigh wgrad = {.size = tile_size(width)};
    wgrad.less_tiles = tiles_of(width) * wgrad.size - width;
    wgrad.tiles = tiles_of(width) - wgrad.less_tiles;
    for (int less = 0; less < 2 && wgrad.size - less > 0; less++) {
        int t = wgrad.size - less - 1;
        wgrad.run[less] = weighs[R][S - 1][t];
        wgrad.run_rows[less] = weighs_rows[R][S - 1] ? weighs_rows[R][S - 1][t] : NULL;
    }
    return wgrad;
}
