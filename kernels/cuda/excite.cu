/* Squeeze-excite. Forward is one launch: blocks pool, and the last one of a few images goes on to
 * their two products, so that these run behind other images' pools. What bounds them is reading the
 * weights, 2 C Cr floats for every IMAGES images; with one image a block it would be the reads of
 * all blocks together, with many images the one block's. Backward is two launches, since weights
 * and p want the hidden gradient of all channels. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/partials.cuh"
#include "kernels/cuda/pool.cuh"
#include "kernels/cuda/sums.cuh"
#include "kernels/cuda/vector_product.cuh"

enum { IMAGES = 4, ROWS = 4, DOTS = ROWS * IMAGES };

struct excite_forward {
    struct pool pool;
    struct squeeze_excite se;
    float *hidden, *gate; /* (N,Cr) before ReLU, (N,C) */
    unsigned *tickets;    /* one for IMAGES images */
};

/* One warp: sums[r * IMAGES + i] is this lane's part of weight row r times vector i of x (IMAGES,
 * ld). */
static __device__ __forceinline__ void dot(const float *const (&w)[ROWS], int count,
                                           shared<float> x, int ld, float (&sums)[DOTS])
{
#pragma unroll
    for (int d = 0; d < DOTS; d++)
        sums[d] = 0;
#pragma unroll 4
    for (int k = threadIdx.x % GPU_WARP; k < count; k += GPU_WARP) {
        float weights[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++)
            weights[r] = gpu_load(w[r] + k);
#pragma unroll
        for (int i = 0; i < IMAGES; i++) {
            float value = x[i * ld + k];
#pragma unroll
            for (int r = 0; r < ROWS; r++)
                sums[r * IMAGES + i] = fmaf(weights[r], value, sums[r * IMAGES + i]);
        }
    }
}

/* Adds the lanes' parts: half of the sums go to the other half of the lanes, and so on, so that
 * lanes 2 d and 2 d + 1 end with sum d. */
static __device__ __forceinline__ float add_lanes(float (&sums)[DOTS])
{
#pragma unroll
    for (int half = DOTS / 2; half > 0; half /= 2) {
        bool is_upper = threadIdx.x & (unsigned)(2 * half);
#pragma unroll
        for (int d = 0; d < half; d++) {
            float away = is_upper ? sums[d] : sums[d + half];
            float mine = is_upper ? sums[d + half] : sums[d];
            sums[d] = mine + __shfl_xor_sync(GPU_WHOLE_WARP, away, 2 * half);
        }
    }
    return sums[0] + __shfl_xor_sync(GPU_WHOLE_WARP, sums[0], 1);
}

/* to[i * rows + r] = row r of w (rows,ld) times vector i of x (IMAGES,count). */
static __device__ __forceinline__ void multiply(const float *w, int ld, int rows, int count,
                                                shared<float> x, shared<float> to)
{
    int warp = threadIdx.x / GPU_WARP, lane = threadIdx.x % GPU_WARP;
    for (int first = warp * ROWS; first < rows; first += POOL_THREADS / GPU_WARP * ROWS) {
        const float *row[ROWS];
        float sums[DOTS];
#pragma unroll
        for (int r = 0; r < ROWS; r++)
            row[r] = w + (size_t)(first + r < rows ? first + r : first) * ld;
        dot(row, count, x, count, sums);
        float sum = add_lanes(sums);
        int d = lane / 2, r = first + d / IMAGES;
        if (lane % 2 == 0 && r < rows)
            to[d % IMAGES * rows + r] = sum;
    }
}

static __device__ __forceinline__ float hard_sigmoid(float x)
{
    float moved = x + 3;
    if (moved <= 0)
        return 0;
    return moved >= 6 ? 1 : moved * (1.0f / 6);
}

/* The gates of images first, ..., first + images - 1 from their pooled channels. */
static __device__ __forceinline__ void make_gates(const struct excite_forward &op, int first,
                                                  int images, shared<float> wide)
{
    int C = op.se.C, Cr = op.se.Cr;
    shared<float> narrow = wide + IMAGES * C;
    for (int e = threadIdx.x; e < IMAGES * C; e += POOL_THREADS)
        wide[e] = e < images * C ? gpu_load_fresh(op.pool.pooled + (size_t)first * C + e) : 0;
    __syncthreads();
    multiply(op.se.reduce_w, op.se.ld_reduce, Cr, C, wide, narrow);
    __syncthreads();
    for (int e = threadIdx.x; e < IMAGES * Cr; e += POOL_THREADS) {
        float hidden = narrow[e] + gpu_load(op.se.reduce_b + e % Cr);
        narrow[e] = hidden > 0 ? hidden : hidden * 0; /* NaN stays NaN */
        if (e < images * Cr)
            gpu_store(op.hidden + (size_t)first * Cr + e, hidden);
    }
    __syncthreads();
    multiply(op.se.expand_w, op.se.ld_expand, C, Cr, narrow, wide);
    __syncthreads();
    for (int e = threadIdx.x; e < images * C; e += POOL_THREADS) {
        float x = wide[e] + gpu_load(op.se.expand_b + e % C);
        gpu_store(op.gate + (size_t)first * C + e, hard_sigmoid(x));
    }
}

template <typename E, int N> static __global__ void excite_forward_kernel(struct excite_forward op)
{
    GPU_SHARED_DYNAMIC(memory);
    int tile = (int)blockIdx.y / IMAGES, first = tile * IMAGES, left = op.pool.dims.N - first;
    int images = left < IMAGES ? left : IMAGES;
    pool_image<E, N>(op.pool, (int)blockIdx.y, (int)blockIdx.x * op.pool.width,
                     shared_cast<double>(memory));
    if (gpu_is_last_block(op.tickets + tile, gridDim.x * (unsigned)images))
        make_gates(op, first, images, shared_cast<float>(memory));
}

template <typename E, int N> static void queue(struct cuda *cuda, const struct excite_forward *op)
{
    dim3 grid((unsigned)pool_tiles(op->se.C), (unsigned)op->pool.dims.N);
    size_t pool = pool_shared_bytes(N);
    size_t gates = sizeof(float) * IMAGES * (size_t)(op->se.C + op->se.Cr);
    cuda_launch(cuda, "excite_forward_kernel", excite_forward_kernel<E, N>, grid,
                dim3(POOL_THREADS), pool > gates ? pool : gates, op);
}

template <typename E> static void run(struct cuda *cuda, const struct excite_forward *op)
{
    if (op->se.C % 4 == 0)
        queue<E, 4>(cuda, op);
    else
        queue<E, 1>(cuda, op);
}

void cuda_excite_forward(struct device *device, struct dims dims, const struct squeeze_excite *se,
                         struct view x, const float *mean, const struct excitation *out)
{
    struct cuda *cuda = cuda_of(device);
    struct pool pool = {dims, x, mean, out->pooled, out->pool_sums, pool_width(dims.C)};
    struct excite_forward op = {pool, *se, out->hidden, out->gate, cuda->tickets};
    if (cuda->precision == PRECISION_BF16)
        run<bf16>(cuda, &op);
    else
        run<float>(cuda, &op);
}

enum { TILE = 32, OWN = TILE / VECTOR_PRODUCT_SIDE, PAIR = 2 };

struct excite_backward {
    struct vector_product hidden; /* rows n, columns r, over c: dhidden */
    struct vector_product expand; /* rows c, columns r, over n: dexpand_w */
    struct vector_product data;   /* rows n, columns c, over r: p HW */
    struct vector_product reduce; /* rows r, columns c, over n: dreduce_w */
    struct excitation kept;
    struct excitation_grad grad;
    struct norm_backward norm;
    float share;  /* 1 / HW */
    double count; /* pixels of a channel */
    int ld_reduce, ld_expand;
    float *dhidden;               /* scratch (N,Cr), before ReLU */
    struct partials<double> sums; /* (2,TILE), over tiles of images, of the first TILE channels */
    int first_blocks;             /* those that have tiles of the first product of a launch */
};

/* Where number (u, v) of this thread's sums of a tile is. */
static __device__ __forceinline__ int row_at(int i0, int u)
{
    return i0 + (int)threadIdx.x / VECTOR_PRODUCT_SIDE + u * VECTOR_PRODUCT_SIDE;
}

static __device__ __forceinline__ int column_at(int j0, int v)
{
    return j0 + (int)threadIdx.x % VECTOR_PRODUCT_SIDE + v * VECTOR_PRODUCT_SIDE;
}

/* dw (rows,ld) += the product, tile number `block`, dbias += the sums of a. */
static __device__ __forceinline__ void add_weights(const struct vector_product &op, int block,
                                                   float *dw, int ld, float *dbias)
{
    int across = (op.columns + TILE - 1) / TILE;
    int i0 = block / across * TILE, j0 = block % across * TILE;
    float sums[OWN][OWN];
    vector_product_make<TILE>(op, i0, j0, sums);
#pragma unroll
    for (int u = 0; u < OWN; u++)
#pragma unroll
        for (int v = 0; v < OWN; v++) {
            int i = row_at(i0, u), j = column_at(j0, v);
            float *to = dw + (size_t)i * ld + j;
            if (i < op.rows && j < op.columns)
                gpu_store(to, gpu_load(to) + sums[u][v]);
        }
    if (j0 == 0)
        operand_add_rows<TILE>(op.a, op.rows, op.inner, i0, dbias);
}

static __device__ __forceinline__ void make_hidden(const struct excite_backward &op, int block)
{
    int Cr = op.hidden.columns, across = (Cr + TILE - 1) / TILE;
    int i0 = block / across * TILE, j0 = block % across * TILE;
    float sums[OWN][OWN];
    vector_product_make<TILE>(op.hidden, i0, j0, sums);
#pragma unroll
    for (int u = 0; u < OWN; u++)
#pragma unroll
        for (int v = 0; v < OWN; v++) {
            int n = row_at(i0, u), r = column_at(j0, v);
            size_t at = (size_t)n * Cr + r;
            if (n < op.hidden.rows && r < Cr)
                gpu_store(op.dhidden + at, gpu_load(op.kept.hidden + at) > 0 ? sums[u][v] : 0);
        }
}

/* Through expand. */
static __global__ void excite_backward_expand_kernel(struct excite_backward op)
{
    int block = (int)blockIdx.x;
    if (block < op.first_blocks)
        make_hidden(op, block);
    else
        add_weights(op.expand, block - op.first_blocks, op.grad.weights.expand_w, op.ld_expand,
                    op.grad.weights.expand_b);
}

/* p of (n, c), and what it gives to the sums: sum g = gate sum q act' + p sum act', and the same
 * times (z - mean). */
static __device__ __forceinline__ void make_p(const struct excite_backward &op, int n, int c,
                                              float sum, double (&pair)[PAIR])
{
    size_t C = (size_t)op.data.columns, at = (size_t)n * C + c;
    const double *gated = op.grad.gate_sums + (size_t)n * 3 * C + C + c;
    const double *pool = op.kept.pool_sums + (size_t)n * 2 * C + c;
    float p = sum * op.share;
    double gate = gpu_load(op.kept.gate + at);
    gpu_store(op.grad.p + at, p);
#pragma unroll
    for (int s = 0; s < PAIR; s++)
        pair[s] += gate * gpu_load(gated + s * C) + (double)p * gpu_load(pool + s * C);
}

/* Of a tile's channels: what the rows of its threads give, in their order. */
static __device__ __forceinline__ void store_partial(double *to, shared<double> sums)
{
    int s = (int)threadIdx.x / TILE, c = (int)threadIdx.x % TILE;
    double sum = 0;
    __syncthreads();
    if (s >= PAIR)
        return;
    for (int i = 0; i < VECTOR_PRODUCT_SIDE; i++)
        sum += sums[(s * VECTOR_PRODUCT_SIDE + i) * TILE + c];
    gpu_store(to + threadIdx.x, sum);
}

/* The last tile of images of channels j0, .... */
static __device__ __forceinline__ void finish(const struct excite_backward &op,
                                              const partials<double> &sums, int j0)
{
    int C = op.data.columns, c = j0 + (int)threadIdx.x;
    if (threadIdx.x >= TILE || c >= C)
        return;
    double sum = partials_sum(sums, threadIdx.x), moment = partials_sum(sums, TILE + threadIdx.x);
    gpu_store(op.grad.sums + c, sum);
    gpu_store(op.grad.sums + C + c, moment);
    if (op.grad.norm)
        norm_backward_finish(op.norm, c, op.count, sum, moment);
}

static __device__ __forceinline__ void make_data(const struct excite_backward &op, int block)
{
    GPU_SHARED(double, parts, PAIR *VECTOR_PRODUCT_SIDE *TILE);
    int N = op.data.rows, C = op.data.columns, across = (C + TILE - 1) / TILE;
    int tile = block / across, j0 = block % across * TILE;
    partials<double> whole = partials_of(op.sums, block % across);
    float sums[OWN][OWN];
    vector_product_make<TILE>(op.data, tile * TILE, j0, sums);
#pragma unroll
    for (int v = 0; v < OWN; v++) {
        double pair[PAIR] = {};
#pragma unroll
        for (int u = 0; u < OWN; u++)
            if (row_at(tile * TILE, u) < N && column_at(j0, v) < C)
                make_p(op, row_at(tile * TILE, u), column_at(j0, v), sums[u][v], pair);
#pragma unroll
        for (int s = 0; s < PAIR; s++)
            parts[(s * VECTOR_PRODUCT_SIDE + row_at(0, 0)) * TILE + column_at(0, v)] = pair[s];
    }
    store_partial(partials_part(whole, tile), parts);
    if (partials_are_whole(whole, tile))
        finish(op, whole, j0);
}

/* Through reduce, down to the pool. */
static __global__ void excite_backward_reduce_kernel(struct excite_backward op)
{
    int block = (int)blockIdx.x;
    if (block < op.first_blocks)
        make_data(op, block);
    else
        add_weights(op.reduce, block - op.first_blocks, op.grad.weights.reduce_w, op.ld_reduce,
                    op.grad.weights.reduce_b);
}

static size_t hidden_bytes(const struct work *work)
{
    size_t bytes = sizeof(float) * (size_t)work->conv.in.N * (size_t)work->Cr;
    return (bytes + sizeof(double) - 1) / sizeof(double) * sizeof(double);
}

size_t cuda_excite_backward_plan(const struct work *work, enum precision precision)
{
    (void)precision;
    int tiles = vector_product_blocks(work->conv.in.N, TILE);
    return hidden_bytes(work) + sizeof(double) * partials_elements(tiles, PAIR * TILE) *
                                    (size_t)vector_product_blocks(work->conv.in.C, TILE);
}

static struct vector_product product_of(struct operand a, int rows, struct operand b, int columns,
                                        int inner)
{
    struct vector_product product = {a, b, rows, columns, inner};
    return product;
}

static void set_products(struct excite_backward *op, int N, const struct squeeze_excite *se)
{
    int C = se->C, Cr = se->Cr;
    struct operand gate = operand_plain(op->kept.gate, C, false);
    struct operand active = operand_plain(op->kept.hidden, Cr, true);
    gate.kind = OPERAND_GATE_GRADIENT;
    gate.gate_sums = op->grad.gate_sums;
    active.kind = OPERAND_RELU;
    op->hidden = product_of(gate, N, operand_plain(se->expand_w, se->ld_expand, true), Cr, C);
    gate.is_transposed = true;
    op->expand = product_of(gate, C, active, Cr, N);
    op->data = product_of(operand_plain(op->dhidden, Cr, false), N,
                          operand_plain(se->reduce_w, se->ld_reduce, true), C, Cr);
    op->reduce = product_of(operand_plain(op->dhidden, Cr, true), Cr,
                            operand_plain(op->kept.pooled, C, true), C, N);
    op->ld_reduce = se->ld_reduce;
    op->ld_expand = se->ld_expand;
}

static void queue(struct cuda *cuda, const char *name, void (*kernel)(struct excite_backward),
                  struct excite_backward *op, const struct vector_product *first,
                  const struct vector_product *second)
{
    op->first_blocks =
        vector_product_blocks(first->rows, TILE) * vector_product_blocks(first->columns, TILE);
    int others =
        vector_product_blocks(second->rows, TILE) * vector_product_blocks(second->columns, TILE);
    cuda_launch(cuda, name, kernel, dim3((unsigned)(op->first_blocks + others)),
                dim3(VECTOR_PRODUCT_THREADS), 0, op);
}

void cuda_excite_backward(struct device *device, struct dims dims, const struct squeeze_excite *se,
                          const struct excitation *kept, const struct excitation_grad *grad)
{
    struct cuda *cuda = cuda_of(device);
    struct work work = {};
    work.kind = WORK_EXCITE_BACKWARD;
    work.conv.in = dims;
    work.Cr = se->Cr;
    char *scratch = static_cast<char *>(
        cuda_scratch(cuda, &work, cuda_excite_backward_plan(&work, cuda->precision)));
    if (!scratch)
        return;
    struct excite_backward op = {};
    op.kept = *kept;
    op.grad = *grad;
    if (grad->norm)
        op.norm = *grad->norm;
    op.share = 1.0f / (float)(dims.H * dims.W);
    op.count = dims_pixels(dims);
    op.dhidden = reinterpret_cast<float *>(scratch);
    op.sums =
        partials_make(vector_product_blocks(dims.N, TILE), PAIR * TILE,
                      reinterpret_cast<double *>(scratch + hidden_bytes(&work)), cuda->tickets);
    set_products(&op, dims.N, se);
    queue(cuda, "excite_backward_expand_kernel", excite_backward_expand_kernel, &op, &op.hidden,
          &op.expand);
    queue(cuda, "excite_backward_reduce_kernel", excite_backward_reduce_kernel, &op, &op.data,
          &op.reduce);
}
