/* The backward pass of a 1x1 convolution from one read of its maps (F2): a block forms dz of 32
 * rows and sees x of them through its view once, and multiplies dz by the weights, for the sink,
 * and by y, for dw. It has all of dw in its registers, or all rows of some columns of it: then each
 * block of columns forms the narrow dz again, out of the cache, since the blocks of the same rows
 * run together. Where dw has no room there, dgrad and wgrad are two launches. */
#ifndef KERNELS_CUDA_PW_FUSED_CUH
#define KERNELS_CUDA_PW_FUSED_CUH

#include "kernels/cuda/pw_product.cuh"
#include "kernels/cuda/pw_wgrad.cuh"

enum { FUSED_ROWS = WGRAD_ROWS, FUSED_IMAGES = 8 /* their sums are in shared memory */ };

struct pw_fused_plan {
    bool is_there; /* else this shape has none */
    struct pw_plan product;
    struct pw_wgrad_plan wgrad;
    int block_images; /* images of a block, one after another, where sums of each are wanted */
    size_t shared_bytes;
};

static inline void pw_fused_walk(struct pw_fused_plan *plan, const struct conv *conv, bool by_image)
{
    struct pw_walk *walk = &plan->product.walk;
    int images = by_image ? conv->in.N : 1, want = plan->wgrad.groups;
    int tiles = pw_cut((int)(pw_rows(conv) / (size_t)images), FUSED_ROWS), part_tiles = tiles;
    plan->block_images = by_image ? pw_cut(images, want) : 1;
    if (plan->block_images > FUSED_IMAGES)
        plan->block_images = FUSED_IMAGES;
    if (plan->block_images == 1)
        part_tiles = pw_cut(tiles, pw_cut(want, images));
    walk->images = images;
    walk->rows = (int)(pw_rows(conv) / (size_t)images);
    walk->parts = pw_cut(tiles, part_tiles);
    walk->part_rows = part_tiles * FUSED_ROWS;
    plan->wgrad.groups = pw_cut(images, plan->block_images) * walk->parts;
}

static inline size_t pw_fused_shared_bytes(const struct pw_fused_plan *plan, int K, size_t element)
{
    size_t rows = (size_t)plan->wgrad.row_pieces * PRODUCT_ROWS;
    size_t columns = (size_t)plan->wgrad.column_pieces * PRODUCT_COLUMNS;
    return (size_t)plan->product.sums * (columns * (size_t)plan->block_images + PW_LANES_PER_PAIR) *
               sizeof(double) +
           (GRAD_TABLES * rows + VIEW_TABLES * columns) * sizeof(float) +
           FUSED_ROWS * (rows + columns) * element + 2 * FUSED_ROWS * PW_PAD_BYTES +
           2 * FUSED_ROWS * (columns + 8) * element +
           (size_t)pw_cut(K, 16) * 16 * (columns * element + PW_PAD_BYTES);
}

/* sums, block_bytes: as of pw_plan_make(). */
static inline struct pw_fused_plan pw_fused_plan_make(const struct conv *conv, int sums,
                                                      size_t element, size_t block_bytes)
{
    struct pw_fused_plan plan = {};
    pw_wgrad_tile(&plan.wgrad, conv->K, conv->in.C, true);
    if (plan.wgrad.row_tiles > 1)
        return plan;
    pw_wgrad_groups(&plan.wgrad, conv, element);
    pw_fused_walk(&plan, conv, sums == 3);
    plan.product.pieces = plan.wgrad.column_pieces;
    plan.product.column_tiles = 1;
    plan.product.column_blocks = plan.wgrad.column_tiles;
    plan.product.sums = sums;
    plan.shared_bytes = pw_fused_shared_bytes(&plan, conv->K, element);
    plan.is_there = plan.shared_bytes <= pw_most_bytes(block_bytes);
    return plan;
}

/* Sums of the sink in front, then parts of dw. */
static inline size_t pw_fused_bytes(const struct pw_fused_plan *plan)
{
    return pw_sums_bytes(&plan->product) + pw_wgrad_bytes(&plan->wgrad);
}

template <typename E> struct pw_fused {
    struct pw_product<E> product; /* its dgrad */
    struct pw_wgrad<E> wgrad;
    int block_images;
};

template <typename E> struct pw_fused_shared {
    pw_shared<E> product;
    pw_wgrad_shared<E> wgrad; /* one buffer each */
    shared<E> w;              /* (K up to 16s, columns), all the time */
};

template <typename E, int A, int G>
static __device__ __forceinline__ pw_fused_shared<E> pw_fused_carve(const pw_fused<E> &op,
                                                                    shared<double> memory)
{
    const int rows = A * PRODUCT_ROWS, columns = G * PRODUCT_COLUMNS;
    pw_fused_shared<E> to;
    to.product.totals = memory;
    to.product.sums = to.product.totals + op.product.plan.sums * columns * op.block_images;
    to.wgrad.grad.first =
        shared_cast<float>(to.product.sums + op.product.plan.sums * PW_LANES_PER_PAIR);
    to.wgrad.grad.padded = rows;
    to.wgrad.view.first = to.wgrad.grad.first + GRAD_TABLES * rows;
    to.wgrad.view.padded = columns;
    to.wgrad.dz = shared_cast<E>(to.wgrad.view.first + VIEW_TABLES * columns);
    to.wgrad.y = to.wgrad.dz + FUSED_ROWS * pw_wgrad_size<E, A, G>::dz::STRIDE;
    to.product.out = to.wgrad.y + FUSED_ROWS * pw_wgrad_size<E, A, G>::y::STRIDE;
    to.product.z = to.product.out + FUSED_ROWS * (columns + 8);
    to.w = to.product.z + FUSED_ROWS * (columns + 8);
    return to;
}

template <typename E, int G>
static __device__ __forceinline__ void pw_fused_copy_weights(const pw_product<E> &op, shared<E> to,
                                                             int c0)
{
    const int W = map_width<E>::value, across = G * PRODUCT_COLUMNS / W;
    int rows = (op.depth + 15) / 16 * 16;
    for (int i = (int)threadIdx.x; i < rows * across; i += PRODUCT_THREADS) {
        int row = i / across, own = i % across * W;
        pw_copy_granule(op, to + row * (across * W + W) + own,
                        (size_t)row * (size_t)op.ld + (size_t)(c0 + own),
                        row < op.depth ? op.columns - c0 - own : 0);
    }
    ptx_copy_commit();
}

/* x as it lies, for the sink's sums. */
template <typename E, int A, int G>
static __device__ __forceinline__ void pw_fused_keep(shared<E> to, const pw_wgrad_raw<E, A, G> &raw)
{
    typedef typename pw_wgrad_size<E, A, G>::y Y;
    int own = (int)threadIdx.x % Y::ACROSS * Y::W, first = (int)threadIdx.x / Y::ACROSS;
#pragma unroll
    for (int i = 0; i < Y::PASSES; i++)
        shared_store(to + (first + i * Y::DOWN) * (G * PRODUCT_COLUMNS + 8) + own, raw.x[i].bits);
}

template <typename E, int V, int A, int G>
static __device__ __forceinline__ void
pw_fused_put(const pw_fused<E> &op, const pw_fused_shared<E> &tiles, pw_wgrad_range range, int row,
             const pw_wgrad_raw<E, A, G> &raw)
{
    pw_wgrad_put_dz<E, V, A, G>(op.wgrad, tiles.wgrad, range, row, 0, raw);
    pw_wgrad_put_y<E, V, A, G>(op.wgrad, tiles.wgrad, range, row, 0, raw);
    if (op.product.keeps_z)
        pw_fused_keep<E, A, G>(tiles.product.z, raw);
}

template <typename E, int A, int G>
static __device__ __forceinline__ void
pw_fused_compute(const pw_fused<E> &op, const pw_fused_shared<E> &tiles, int c0,
                 float (&dw)[A][2 * G][4], float (&dx)[1][2 * G][4])
{
    tile<E> dz = {tiles.wgrad.dz, pw_wgrad_size<E, A, G>::dz::STRIDE};
    tile<E> y = {tiles.wgrad.y, pw_wgrad_size<E, A, G>::y::STRIDE};
    tile<E> w = {tiles.w, G * PRODUCT_COLUMNS + map_width<E>::value};
    int K = op.wgrad.K, columns = op.wgrad.C - c0;
    product_add<A, G>(PRODUCT_TN, dw, dz, y, FUSED_ROWS, K, columns);
    product_zero<1, G>(dx);
    product_add<1, G>(PRODUCT_NN, dx, dz, w, (K + 15) / 16 * 16, FUSED_ROWS, columns);
}

/* Sums of images that are one block's. */
template <typename E, int G>
static __device__ __forceinline__ void
pw_fused_end_images(const pw_product<E> &op, shared<double> totals, pw_range range, int last_image)
{
    const int columns = G * PRODUCT_COLUMNS;
    for (; range.image < last_image; range.image++, totals += 3 * columns)
        for (int i = (int)threadIdx.x; i < 3 * columns; i += PRODUCT_THREADS) {
            int c = range.column_block * columns + i % columns;
            size_t row = (size_t)range.image * 3 + (size_t)(i / columns);
            if (c < op.columns)
                gpu_store(op.sink.gate_sums + row * (size_t)op.columns + c, (double)totals[i]);
        }
}

template <typename E>
static __device__ __forceinline__ bool pw_fused_ends_images(const pw_product<E> &op)
{
    return op.plan.sums == 3 && op.plan.walk.parts == 1;
}

/* The rows of an image, or of a part of it: three barriers a tile, while the next one's raw values
 * are on their way. */
template <typename E, int V, int A, int G>
static __device__ __forceinline__ void
pw_fused_walk_rows(const pw_fused<E> &op, const pw_fused_shared<E> &tiles, pw_wgrad_range range,
                   pw_range out, float (&dw)[A][2 * G][4])
{
    pw_wgrad_raw<E, A, G> raw;
    float dx[1][2 * G][4];
    range.end = out.end;
    pw_wgrad_fetch<E, V, A, G>(op.wgrad, range, out.row, &raw);
    for (int row = out.row; row < out.end; row += FUSED_ROWS) {
        pw_position at = {row, out.first_tile, 0, 0};
        pw_fused_put<E, V, A, G>(op, tiles, range, row, raw);
        __syncthreads();
        if (row + FUSED_ROWS < out.end)
            pw_wgrad_fetch<E, V, A, G>(op.wgrad, range, row + FUSED_ROWS, &raw);
        pw_fused_compute<E, A, G>(op, tiles, range.c, dw, dx);
        pw_epilogue<E, V, 1, G>(op.product, PW_DGRAD, tiles.product, out, at, dx);
        __syncthreads();
    }
}

template <typename E, int V, int A, int G>
static __device__ __forceinline__ void
pw_fused_walk_images(const pw_fused<E> &op, pw_fused_shared<E> tiles, pw_wgrad_range range,
                     pw_range out, int last_image, float (&dw)[A][2 * G][4])
{
    for (; out.image < last_image; out.image++) {
        pw_fused_walk_rows<E, V, A, G>(op, tiles, range, out, dw);
        tiles.product.totals += op.product.plan.sums * G * PRODUCT_COLUMNS;
        out.row = out.end; /* a block of several images has all of each */
        out.end += op.product.plan.walk.rows;
    }
}

/* All of a block. */
template <typename E, int V, int A, int G>
static __device__ __forceinline__ void pw_fused_block(const pw_fused<E> &op, shared<double> memory)
{
    const struct pw_walk &walk = op.product.plan.walk;
    pw_fused_shared<E> tiles = pw_fused_carve<E, A, G>(op, memory);
    int tile = (int)blockIdx.x % op.wgrad.plan.column_tiles;
    int group = (int)blockIdx.x / op.wgrad.plan.column_tiles;
    int image = group / walk.parts * op.block_images, part = group % walk.parts;
    int first = image * walk.rows, row = first + part * walk.part_rows;
    int end = pw_min(row + walk.part_rows, first + walk.rows);
    pw_range out = {image, part, tile, row, end, tile, tile + 1};
    pw_wgrad_range range = {group, tile, row, end, 0, tile * G * PRODUCT_COLUMNS};
    int last_image = pw_min(image + op.block_images, walk.images);
    float dw[A][2 * G][4];
    pw_fused_copy_weights<E, G>(op.product, tiles.w, range.c);
    channel_tables_grad<E>(tiles.wgrad.grad, op.wgrad.dz, 0, op.wgrad.K);
    channel_tables_view<E>(tiles.wgrad.view, op.wgrad.x, range.c, op.wgrad.C);
    for (int i = (int)threadIdx.x; i < op.product.plan.sums * G * PRODUCT_COLUMNS * op.block_images;
         i += PRODUCT_THREADS)
        tiles.product.totals[i] = 0;
    product_zero<A, G>(dw);
    ptx_copy_wait<0>();
    __syncthreads();
    pw_fused_walk_images<E, V, A, G>(op, tiles, range, out, last_image, dw);
    pw_wgrad_finish<E, A, G>(op.wgrad, range, dw);
    if (pw_fused_ends_images(op.product))
        pw_fused_end_images<E, G>(op.product, tiles.product.totals, out, last_image);
    else if (op.product.plan.sums)
        pw_finish<E, G>(op.product, PW_DGRAD, tiles.product, out);
}

#endif
