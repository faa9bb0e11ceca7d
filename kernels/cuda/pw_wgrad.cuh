/* dw += dz^T y of a 1x1 convolution: a block has a tile of dw in its registers and walks over the
 * rows of its group, 32 at a time; the groups' parts are added in order by the last block of each
 * tile. The tile covers the narrower of the two maps wherever it can, so that the wide one is read
 * once. */
#ifndef KERNELS_CUDA_PW_WGRAD_CUH
#define KERNELS_CUDA_PW_WGRAD_CUH

#include "kernels/cuda/pw_plan.cuh"

enum {
    WGRAD_ROWS = 32,
    WGRAD_BLOCKS = 512,     /* an aim */
    WGRAD_GROUP_ROWS = 256, /* fewer would spend more on parts of dw than on products */
};

struct pw_wgrad_plan {
    int row_pieces, column_pieces; /* of a tile: 32 of K, 64 of C each */
    int row_tiles, column_tiles;
    int groups, group_rows;
    size_t shared_bytes;
};

static inline void pw_wgrad_tile(struct pw_wgrad_plan *plan, int K, int C, bool is_wide)
{
    bool c_is_wide = C > 2 * PRODUCT_COLUMNS;
    plan->column_pieces = C <= PRODUCT_COLUMNS || !is_wide ? 1 : c_is_wide && K <= 64 ? 4 : 2;
    plan->row_pieces = K <= 64 || !is_wide ? 2 : K <= 128 || plan->column_pieces == 2 ? 4 : 8;
    plan->row_tiles = pw_cut(K, plan->row_pieces * PRODUCT_ROWS);
    plan->column_tiles = pw_cut(C, plan->column_pieces * PRODUCT_COLUMNS);
}

/* Parts of dw weigh no more than the maps, written and read. */
static inline void pw_wgrad_groups(struct pw_wgrad_plan *plan, const struct conv *conv,
                                   size_t element)
{
    size_t K = (size_t)conv->K, C = (size_t)conv->in.C, rows = pw_rows(conv);
    size_t tiles = (size_t)plan->row_tiles * (size_t)plan->column_tiles;
    size_t groups = rows * (2 * K + C) * element / (8 * K * C);
    size_t most = rows / WGRAD_GROUP_ROWS;
    groups = groups < most ? groups : most;
    groups = groups < WGRAD_BLOCKS / tiles ? groups : WGRAD_BLOCKS / tiles;
    groups = groups > 1 ? groups : 1;
    plan->group_rows = (int)((rows + groups * WGRAD_ROWS - 1) / (groups * WGRAD_ROWS)) * WGRAD_ROWS;
    plan->groups = (int)((rows + (size_t)plan->group_rows - 1) / (size_t)plan->group_rows);
}

/* is_wide: as of pw_plan_make(). */
static inline struct pw_wgrad_plan pw_wgrad_plan_make(const struct conv *conv, size_t element,
                                                      bool is_wide)
{
    struct pw_wgrad_plan plan = {};
    pw_wgrad_tile(&plan, conv->K, conv->in.C, is_wide);
    pw_wgrad_groups(&plan, conv, element);
    size_t K = (size_t)plan.row_pieces * PRODUCT_ROWS;
    size_t C = (size_t)plan.column_pieces * PRODUCT_COLUMNS;
    plan.shared_bytes = (GRAD_TABLES * K + VIEW_TABLES * C) * sizeof(float) +
                        2 * WGRAD_ROWS * ((K + C) * element + 2 * PW_PAD_BYTES);
    return plan;
}

static inline size_t pw_wgrad_count(const struct pw_wgrad_plan *plan)
{
    return (size_t)plan->row_pieces * PRODUCT_ROWS * (size_t)plan->column_pieces * PRODUCT_COLUMNS;
}

static inline size_t pw_wgrad_bytes(const struct pw_wgrad_plan *plan)
{
    return (size_t)plan->row_tiles * (size_t)plan->column_tiles *
           partials_elements(plan->groups, pw_wgrad_count(plan)) * sizeof(float);
}

template <typename E> struct pw_wgrad {
    struct pw_wgrad_plan plan;
    int rows, K, C, ld, HW;
    struct grad dz;
    struct view x;
    float *dw;
    struct partials<float> parts; /* of dw, of the first tile */
};

/* A thread's granules of a step: always of the same channels. PIECE columns a piece. */
template <typename E, int COLUMNS> struct pw_strip {
    static const int W = map_width<E>::value;
    static const int ACROSS = COLUMNS / W;
    static const int DOWN = PRODUCT_THREADS / ACROSS; /* rows of a pass */
    static const int PASSES = WGRAD_ROWS / DOWN;
    static const int STRIDE = COLUMNS + W;
};

template <typename E, int A, int G> struct pw_wgrad_size {
    typedef pw_strip<E, A * PRODUCT_ROWS> dz;
    typedef pw_strip<E, G * PRODUCT_COLUMNS> y;
};

template <typename E, int A, int G> struct pw_wgrad_raw {
    granule z[pw_wgrad_size<E, A, G>::dz::PASSES], q[pw_wgrad_size<E, A, G>::dz::PASSES];
    granule x[pw_wgrad_size<E, A, G>::y::PASSES];
};

template <typename E> struct pw_wgrad_shared {
    channel_tables grad, view;
    shared<E> dz, y; /* two buffers each */
};

struct pw_wgrad_range { /* of a block: rows, and where its tile of dw begins */
    int group, tile, row, end, k, c;
};

template <typename E, int A, int G>
static __device__ __forceinline__ pw_wgrad_range pw_wgrad_range_own(const pw_wgrad<E> &op)
{
    int tiles = op.plan.row_tiles * op.plan.column_tiles;
    int group = (int)blockIdx.x / tiles, tile = (int)blockIdx.x % tiles;
    int row = group * op.plan.group_rows, end = row + op.plan.group_rows;
    pw_wgrad_range own = {group,
                          tile,
                          row,
                          end < op.rows ? end : op.rows,
                          tile / op.plan.column_tiles * A * PRODUCT_ROWS,
                          tile % op.plan.column_tiles * G * PRODUCT_COLUMNS};
    return own;
}

template <typename E, int A, int G>
static __device__ __forceinline__ pw_wgrad_shared<E> pw_wgrad_carve(shared<float> memory)
{
    pw_wgrad_shared<E> to;
    to.grad.first = memory;
    to.grad.padded = A * PRODUCT_ROWS;
    to.view.first = to.grad.first + GRAD_TABLES * to.grad.padded;
    to.view.padded = G * PRODUCT_COLUMNS;
    to.dz = shared_cast<E>(to.view.first + VIEW_TABLES * to.view.padded);
    to.y = to.dz + 2 * WGRAD_ROWS * pw_wgrad_size<E, A, G>::dz::STRIDE;
    return to;
}

template <typename E, int V, typename S>
static __device__ __forceinline__ void pw_wgrad_load(granule (&to)[S::PASSES], const void *map,
                                                     int C, int c0, int first, int end)
{
    int c = c0 + (int)threadIdx.x % S::ACROSS * S::W;
#pragma unroll
    for (int i = 0; i < S::PASSES; i++) {
        int row = first + (int)threadIdx.x / S::ACROSS + i * S::DOWN;
        to[i] = granule_load<E, V>((const E *)map + (size_t)row * (size_t)C + c,
                                   map && row < end ? C - c : 0);
    }
}

template <typename E, int V, int A, int G>
static __device__ __forceinline__ void pw_wgrad_fetch(const pw_wgrad<E> &op, pw_wgrad_range range,
                                                      int row, pw_wgrad_raw<E, A, G> *raw)
{
    typedef typename pw_wgrad_size<E, A, G>::dz D;
    typedef typename pw_wgrad_size<E, A, G>::y Y;
    pw_wgrad_load<E, V, D>(raw->z, op.dz.of.z, op.K, range.k, row, range.end);
    pw_wgrad_load<E, V, D>(raw->q, op.dz.q, op.K, range.k, row, range.end);
    pw_wgrad_load<E, V, Y>(raw->x, op.x.z, op.C, range.c, row, range.end);
}

template <typename E, int V, int A, int G>
static __device__ __forceinline__ void
pw_wgrad_put_dz(const pw_wgrad<E> &op, const pw_wgrad_shared<E> &tiles, pw_wgrad_range range,
                int row, int buffer, const pw_wgrad_raw<E, A, G> &raw)
{
    typedef typename pw_wgrad_size<E, A, G>::dz D;
    int own = (int)threadIdx.x % D::ACROSS * D::W, there = op.K - range.k - own;
    if (there <= -16) /* a product's step may still be that deep */
        return;
#pragma unroll
    for (int i = 0; i < D::PASSES; i++) {
        int down = (int)threadIdx.x / D::ACROSS + i * D::DOWN, n = (row + down) / op.HW;
        granule made = granule_zero();
        granule_rows rows = {pw_image_row(op.dz.of.gate, op.K, n, range.k + own),
                             pw_image_row(op.dz.p, op.K, n, range.k + own)};
        if (row + down < range.end)
            made = granule_grad<E, V>(op.dz, tiles.grad, own, raw.z[i], raw.q[i], rows, there);
        shared_store(tiles.dz + (buffer * WGRAD_ROWS + down) * D::STRIDE + own, made.bits);
    }
}

template <typename E, int V, int A, int G>
static __device__ __forceinline__ void
pw_wgrad_put_y(const pw_wgrad<E> &op, const pw_wgrad_shared<E> &tiles, pw_wgrad_range range,
               int row, int buffer, const pw_wgrad_raw<E, A, G> &raw)
{
    typedef typename pw_wgrad_size<E, A, G>::y Y;
    int own = (int)threadIdx.x % Y::ACROSS * Y::W, there = op.C - range.c - own;
    if (there <= 0)
        return;
#pragma unroll
    for (int i = 0; i < Y::PASSES; i++) {
        int down = (int)threadIdx.x / Y::ACROSS + i * Y::DOWN, n = (row + down) / op.HW;
        granule made = granule_zero();
        if (row + down < range.end)
            made = granule_view<E, V>(op.x, tiles.view, own, raw.x[i],
                                      pw_image_row(op.x.gate, op.C, n, range.c + own), there);
        shared_store(tiles.y + (buffer * WGRAD_ROWS + down) * Y::STRIDE + own, made.bits);
    }
}

/* One barrier a step: while it is computed, the next one's raw values are on their way. */
template <typename E, int V, int A, int G>
static __device__ __forceinline__ void
pw_wgrad_walk(const pw_wgrad<E> &op, const pw_wgrad_shared<E> &tiles, pw_wgrad_range range,
              float (&sums)[A][2 * G][4])
{
    typedef typename pw_wgrad_size<E, A, G>::dz D;
    typedef typename pw_wgrad_size<E, A, G>::y Y;
    pw_wgrad_raw<E, A, G> raw;
    int buffer = 0;
    product_zero<A, G>(sums);
    pw_wgrad_fetch<E, V, A, G>(op, range, range.row, &raw);
    pw_wgrad_put_dz<E, V, A, G>(op, tiles, range, range.row, 0, raw);
    pw_wgrad_put_y<E, V, A, G>(op, tiles, range, range.row, 0, raw);
    __syncthreads();
    for (int row = range.row; row < range.end; row += WGRAD_ROWS, buffer ^= 1) {
        int next = row + WGRAD_ROWS;
        tile<E> dz = {tiles.dz + buffer * WGRAD_ROWS * D::STRIDE, D::STRIDE};
        tile<E> y = {tiles.y + buffer * WGRAD_ROWS * Y::STRIDE, Y::STRIDE};
        if (next < range.end)
            pw_wgrad_fetch<E, V, A, G>(op, range, next, &raw);
        product_add<A, G>(PRODUCT_TN, sums, dz, y, WGRAD_ROWS, op.K - range.k, op.C - range.c);
        if (next < range.end) {
            pw_wgrad_put_dz<E, V, A, G>(op, tiles, range, next, buffer ^ 1, raw);
            pw_wgrad_put_y<E, V, A, G>(op, tiles, range, next, buffer ^ 1, raw);
        }
        __syncthreads();
    }
}

/* Where number i of a thread's sums belongs. */
struct pw_wgrad_element {
    int k, c;
    bool is_there; /* its piece of 16 by 16 is: the whole warp's */
};

template <typename E, int A, int G>
static __device__ __forceinline__ pw_wgrad_element pw_wgrad_element_of(const pw_wgrad<E> &op,
                                                                       pw_wgrad_range range, int i)
{
    product_lane own = product_lane_own();
    int row = i / (8 * G), column = i / 4 % (2 * G);
    pw_wgrad_element at = {range.k + product_row(own, row) + i % 4 / 2 * 8,
                           range.c + product_column(own, column) + i % 2,
                           range.k + product_row_piece(own, row) < op.K &&
                               range.c + product_piece(own, column / 2) < op.C};
    return at;
}

template <typename E>
static __device__ __forceinline__ void pw_wgrad_store(const pw_wgrad<E> &op, pw_wgrad_element at,
                                                      float sum)
{
    float *to = op.dw + (size_t)at.k * (size_t)op.ld + (size_t)at.c;
    if (at.k < op.K && at.c < op.C)
        gpu_store(to, gpu_load(to) + sum);
}

/* A block's part lies as its threads have it: number by number, thread by thread. */
template <typename E, int A, int G>
static __device__ __forceinline__ void pw_wgrad_finish(const pw_wgrad<E> &op, pw_wgrad_range range,
                                                       const float (&sums)[A][2 * G][4])
{
    enum { NUMBERS = A * 2 * G * 4 };
    partials<float> parts = partials_of(op.parts, range.tile);
    float *part = partials_part(parts, range.group) + threadIdx.x;
#pragma unroll
    for (int i = 0; i < NUMBERS; i++)
        if (pw_wgrad_element_of<E, A, G>(op, range, i).is_there)
            gpu_store(part + i * PRODUCT_THREADS, sums[i / (8 * G)][i / 4 % (2 * G)][i % 4]);
    if (!partials_end_block(parts, range.group))
        return;
    for (int i = 0; parts.sets > 1 && i < NUMBERS; i++)
        if (pw_wgrad_element_of<E, A, G>(op, range, i).is_there)
            partials_add_set(parts, range.group, (size_t)i * PRODUCT_THREADS + threadIdx.x);
    if (!partials_end_set(parts))
        return;
    for (int i = 0; i < NUMBERS; i++) {
        pw_wgrad_element at = pw_wgrad_element_of<E, A, G>(op, range, i);
        if (at.is_there)
            pw_wgrad_store(op, at, partials_sum(parts, (size_t)i * PRODUCT_THREADS + threadIdx.x));
    }
}

/* All of a block. */
template <typename E, int V, int A, int G>
static __device__ __forceinline__ void pw_wgrad_block(const pw_wgrad<E> &op, shared<float> memory)
{
    pw_wgrad_shared<E> tiles = pw_wgrad_carve<E, A, G>(memory);
    pw_wgrad_range range = pw_wgrad_range_own<E, A, G>(op);
    float sums[A][2 * G][4];
    channel_tables_grad<E>(tiles.grad, op.dz, range.k, op.K);
    channel_tables_view<E>(tiles.view, op.x, range.c, op.C);
    __syncthreads();
    pw_wgrad_walk<E, V, A, G>(op, tiles, range, sums);
    pw_wgrad_finish<E, A, G>(op, range, sums);
}

#endif
