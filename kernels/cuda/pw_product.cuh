/* The kernels of a 1x1 convolution's product of rows and weights (pw_plan.cuh): the operand of the
 * rows is made while it is loaded, what the next pass needs of the result is summed while it is
 * stored. The pass is a constant; everything of the other one is gone when it is compiled.
 *
 * One barrier a step. A step is a chunk of a row tile for one column tile: while it is computed,
 * the next one's raw values are on their way to registers, its weights to shared memory. */
#ifndef KERNELS_CUDA_PW_PRODUCT_CUH
#define KERNELS_CUDA_PW_PRODUCT_CUH

#include "kernels/cuda/pw_plan.cuh"
#include "kernels/cuda/sums.cuh"

template <typename E> struct pw_product {
    struct pw_plan plan;
    int depth, columns, ld, HW;
    const E *w;
    bool w_is_wide; /* rows of w can be copied by granules */
    E *to;          /* z, or the sink's q */
    struct partials<double> sums;
    double count; /* rows */
    /* forward */
    struct view x;
    bool has_norm;
    struct norm_forward norm;
    /* dgrad */
    struct grad dz;
    struct grad_sink sink;
    bool keeps_z;
    bool has_sink_norm;
    struct norm_backward sink_norm;
};

template <typename E> struct pw_shared {
    shared<double> totals; /* (sums, columns of the block) */
    shared<double> sums;   /* (lanes of a column, sums, columns of a tile); or where `out` is */
    channel_tables tables;
    shared<E> a, b, out;
    shared<E> z; /* of the sink, the tile's, where op.keeps_z; as out */
};

struct pw_position { /* of a step */
    int row, column_tile, chunk, number;
};

struct pw_range {                  /* of a block */
    int image, part, column_block; /* where its sums belong */
    int row, end, first_tile, last_tile;
};

template <typename E> struct pw_size {
    static const int W = map_width<E>::value;
    static const int DEPTH = PW_CHUNK_BYTES / (int)sizeof(E);
    static const int STRIDE = PW_CHUNK_ROW_BYTES / (int)sizeof(E);
    static const int GRANULES = PW_CHUNK_BYTES / 16;                /* of a chunk's row */
    static const int PASSES = PW_ROWS * GRANULES / PRODUCT_THREADS; /* of a thread, a chunk */
};

static __device__ __forceinline__ int pw_min(int a, int b)
{
    return a < b ? a : b;
}

/* For bf16 a constant. */
template <typename E>
static __device__ __forceinline__ bool pw_has_sums_in_out(const struct pw_plan &plan)
{
    return sizeof(E) == sizeof(float) && plan.sums_in_out;
}

template <typename E, int G>
static __device__ __forceinline__ pw_shared<E>
pw_carve(const pw_product<E> &op, const enum pw_pass pass, shared<double> memory)
{
    const struct pw_plan &plan = op.plan;
    const int columns = G * PRODUCT_COLUMNS;
    pw_shared<E> to;
    to.totals = memory;
    to.sums = to.totals + plan.sums * columns * plan.column_tiles;
    to.tables.first = shared_cast<float>(
        to.sums + (pw_has_sums_in_out<E>(plan) ? 0 : plan.sums * PW_LANES_PER_PAIR));
    to.tables.padded = plan.chunks * pw_size<E>::DEPTH;
    to.a = shared_cast<E>(to.tables.first +
                          (pass == PW_FORWARD ? VIEW_TABLES : GRAD_TABLES) * to.tables.padded);
    to.b = to.a + plan.buffers * PW_ROWS * pw_size<E>::STRIDE;
    to.out = to.b + 2 * columns * pw_size<E>::STRIDE;
    if (pw_has_sums_in_out<E>(plan))
        to.sums = shared_cast<double>(to.out);
    return to;
}

template <typename E>
static __device__ __forceinline__ pw_range pw_range_own(const pw_product<E> &op)
{
    const struct pw_walk &walk = op.plan.walk;
    int column_block = (int)blockIdx.x % op.plan.column_blocks;
    int group = (int)blockIdx.x / op.plan.column_blocks;
    int image = group / walk.parts, part = group % walk.parts;
    int first = image * walk.rows, row = first + part * walk.part_rows;
    int tile = column_block * op.plan.column_tiles;
    pw_range range = {image,
                      part,
                      column_block,
                      row,
                      pw_min(row + walk.part_rows, first + walk.rows),
                      tile,
                      tile + op.plan.column_tiles};
    return range;
}

static __device__ __forceinline__ void pw_advance(const struct pw_plan &plan, pw_range range,
                                                  pw_position *at)
{
    at->number++;
    if (++at->chunk < plan.chunks)
        return;
    at->chunk = 0;
    if (++at->column_tile < range.last_tile)
        return;
    at->column_tile = range.first_tile;
    at->row += PW_ROWS;
}

/* Does this step bring a chunk of the operand, or has an earlier one? */
static __device__ __forceinline__ bool pw_loads(const struct pw_plan &plan, pw_range range,
                                                pw_position at)
{
    return plan.buffers < plan.chunks || at.column_tile == range.first_tile;
}

static __device__ __forceinline__ int pw_buffer(const struct pw_plan &plan, pw_position at)
{
    return plan.buffers < plan.chunks ? at.number % 2 : at.chunk;
}

/* All weights of a block may fit the two buffers: they are loaded once. */
static __device__ __forceinline__ bool pw_weights_stay(const struct pw_plan &plan)
{
    return plan.column_tiles * plan.chunks <= 2;
}

static __device__ __forceinline__ int pw_weights_buffer(const struct pw_plan &plan, pw_range range,
                                                        pw_position at)
{
    if (pw_weights_stay(plan))
        return (at.column_tile - range.first_tile) * plan.chunks + at.chunk;
    return at.number % 2;
}

/* A thread's granules of a chunk: always of the same channels, 32 rows apart. */
static __device__ __forceinline__ int pw_granule(void)
{
    return (int)threadIdx.x % (PW_CHUNK_BYTES / 16);
}

static __device__ __forceinline__ int pw_granule_row(int pass)
{
    return (int)threadIdx.x / (PW_CHUNK_BYTES / 16) +
           pass * (PRODUCT_THREADS * 16 / PW_CHUNK_BYTES);
}

template <typename E> struct pw_raw { /* on their way */
    granule z[pw_size<E>::PASSES], q[pw_size<E>::PASSES];
};

template <typename E, int V>
static __device__ __forceinline__ void pw_fetch(const pw_product<E> &op, const enum pw_pass pass,
                                                pw_range range, pw_position at, pw_raw<E> *raw)
{
    int c = at.chunk * pw_size<E>::DEPTH + pw_granule() * pw_size<E>::W;
    const E *z = (const E *)(pass == PW_FORWARD ? op.x.z : op.dz.of.z), *q = (const E *)op.dz.q;
#pragma unroll
    for (int i = 0; i < pw_size<E>::PASSES; i++) {
        int row = at.row + pw_granule_row(i), there = row < range.end ? op.depth - c : 0;
        size_t first = (size_t)row * (size_t)op.depth + (size_t)c;
        raw->z[i] = granule_load<E, V>(z + first, there);
        if (pass == PW_DGRAD)
            raw->q[i] = q ? granule_load<E, V>(q + first, there) : granule_zero();
    }
}

template <typename E, int V>
static __device__ __forceinline__ granule pw_operand(const pw_product<E> &op,
                                                     const enum pw_pass pass,
                                                     const pw_shared<E> &tiles,
                                                     const pw_raw<E> &raw, int i, int row, int c)
{
    int there = op.depth - c, n = row / op.HW;
    if (pass == PW_FORWARD)
        return granule_view<E, V>(op.x, tiles.tables, c, raw.z[i],
                                  pw_image_row(op.x.gate, op.depth, n, c), there);
    granule_rows rows = {pw_image_row(op.dz.of.gate, op.depth, n, c),
                         pw_image_row(op.dz.p, op.depth, n, c)};
    return granule_grad<E, V>(op.dz, tiles.tables, c, raw.z[i], raw.q[i], rows, there);
}

/* How deep a chunk is, up to a whole step of the product. */
template <typename E>
static __device__ __forceinline__ int pw_chunk_depth(const pw_product<E> &op, int chunk)
{
    return pw_min(pw_size<E>::DEPTH, (op.depth - chunk * pw_size<E>::DEPTH + 15) / 16 * 16);
}

template <typename E, int V>
static __device__ __forceinline__ void pw_put(const pw_product<E> &op, const enum pw_pass pass,
                                              const pw_shared<E> &tiles, pw_range range,
                                              pw_position at, const pw_raw<E> &raw)
{
    int own = pw_granule() * pw_size<E>::W, c = at.chunk * pw_size<E>::DEPTH + own;
    shared<E> to = tiles.a + pw_buffer(op.plan, at) * PW_ROWS * pw_size<E>::STRIDE + own;
    if (own >= pw_chunk_depth(op, at.chunk))
        return;
#pragma unroll
    for (int i = 0; i < pw_size<E>::PASSES; i++) {
        int row = at.row + pw_granule_row(i);
        granule made = granule_zero();
        if (row < range.end)
            made = pw_operand<E, V>(op, pass, tiles, raw, i, row, c);
        shared_store(to + pw_granule_row(i) * pw_size<E>::STRIDE, made.bits);
    }
}

/* A granule of weights, `there` of its elements; copied behind the thread's back where it can. */
template <typename E>
static __device__ __forceinline__ void pw_copy_granule(const pw_product<E> &op, shared<E> to,
                                                       size_t from, int there)
{
    if (op.w_is_wide)
        ptx_copy_async(shared_cast<unsigned char>(to), op.w + (there > 0 ? from : 0), there > 0);
    else
        shared_store(to, granule_load<E, 1>(op.w + from, there).bits);
}

/* The step's weights: forward (columns,depth), dgrad (depth,columns), as they lie. */
template <typename E, int G>
static __device__ __forceinline__ void
pw_copy_weights(const pw_product<E> &op, const enum pw_pass pass, shared<E> to, pw_position at)
{
    const int columns = G * PRODUCT_COLUMNS, W = pw_size<E>::W, DEPTH = pw_size<E>::DEPTH;
    const int across = pass == PW_FORWARD ? pw_size<E>::GRANULES : columns / W;
    int own = (int)threadIdx.x % across * W;
    int c0 = at.chunk * DEPTH, k0 = at.column_tile * columns;
#pragma unroll
    for (int i = 0; i < columns * pw_size<E>::GRANULES / PRODUCT_THREADS; i++) {
        int line = (int)threadIdx.x / across + i * (PRODUCT_THREADS / across);
        int row = line + (pass == PW_FORWARD ? k0 : c0), c = own + (pass == PW_FORWARD ? c0 : k0);
        int rows = pass == PW_FORWARD ? op.columns : op.depth;
        int there = row < rows ? (pass == PW_FORWARD ? op.depth : op.columns) - c : 0;
        int stride = pass == PW_FORWARD ? pw_size<E>::STRIDE : columns + W;
        pw_copy_granule(op, to + line * stride + own, (size_t)row * (size_t)op.ld + (size_t)c,
                        there);
    }
}

template <typename E, int G>
static __device__ __forceinline__ void pw_compute(const pw_product<E> &op, const enum pw_pass pass,
                                                  const pw_shared<E> &tiles, pw_range range,
                                                  pw_position at, float (&sums)[2][2 * G][4])
{
    const int columns = G * PRODUCT_COLUMNS;
    int left = op.columns - at.column_tile * columns;
    tile<E> a = {tiles.a + pw_buffer(op.plan, at) * PW_ROWS * pw_size<E>::STRIDE,
                 pw_size<E>::STRIDE};
    tile<E> b = {tiles.b + pw_weights_buffer(op.plan, range, at) * columns * pw_size<E>::STRIDE,
                 pass == PW_FORWARD ? pw_size<E>::STRIDE : columns + pw_size<E>::W};
    if (at.chunk == 0)
        product_zero<2, G>(sums);
    product_add<2, G>(pass == PW_FORWARD ? PRODUCT_NT : PRODUCT_NN, sums, a, b,
                      pw_chunk_depth(op, at.chunk), PW_ROWS, left);
}

/* The shortcut's gradient of this tile, to where the result is going to be added to it. */
template <typename E, int V, int A, int G>
static __device__ __forceinline__ void pw_bring_add(const pw_product<E> &op, shared<E> out,
                                                    pw_range range, pw_position at)
{
    const int columns = G * PRODUCT_COLUMNS, across = columns / pw_size<E>::W;
    int own = (int)threadIdx.x % across * pw_size<E>::W, c = at.column_tile * columns + own;
#pragma unroll
    for (int i = 0; i < A * PRODUCT_ROWS * across / PRODUCT_THREADS; i++) {
        int line = (int)threadIdx.x / across + i * (PRODUCT_THREADS / across), row = at.row + line;
        granule add =
            granule_load<E, V>((const E *)op.sink.add + (size_t)row * (size_t)op.columns + c,
                               row < range.end ? op.columns - c : 0);
        shared_store(out + line * (columns + 8) + own, add.bits);
    }
}

/* Results to shared memory, as they are going to be stored. */
template <typename E, int A, int G>
static __device__ __forceinline__ void pw_round(shared<E> out, bool has_add,
                                                const float (&sums)[A][2 * G][4])
{
    product_lane own = product_lane_own();
#pragma unroll
    for (int i = 0; i < 2 * A; i++)
#pragma unroll
        for (int j = 0; j < 2 * G; j++) {
            int row = product_row(own, i / 2) + i % 2 * 8;
            shared<E> to = out + row * (G * PRODUCT_COLUMNS + 8) + product_column(own, j);
            float add[2] = {0, 0};
            if (has_add)
                pair_load<E>(add, to);
            pair_store<E>(to, sums[i / 2][j][i % 2 * 2] + add[0],
                          sums[i / 2][j][i % 2 * 2 + 1] + add[1]);
        }
}

/* Columns c and c + 1, of which `there` are. */
template <typename E, int V>
static __device__ __forceinline__ void pw_store_pair(E *to, const float (&values)[2], int there)
{
    if (V > 1)
        map_store<E, 2>(to, values);
#pragma unroll
    for (int i = 0; i < 2; i++)
        if (V == 1 && i < there)
            gpu_store(to + i, map_narrow<E>(values[i]));
}

template <typename E, int V>
static __device__ __forceinline__ void pw_load_pair(float (&to)[2], const E *from, int there)
{
    if (V > 1)
        map_load<E, 2>(to, from);
#pragma unroll
    for (int i = 0; i < 2; i++)
        if (V == 1)
            to[i] = i < there ? map_widen(gpu_load(from + i)) : 0;
}

struct pw_pair { /* a thread's two columns of a column tile, and the rows it has of them */
    int column, first, step;
};

template <int G> static __device__ __forceinline__ pw_pair pw_pair_own(void)
{
    const int pairs = G * PRODUCT_COLUMNS / 2;
    pw_pair own = {(int)threadIdx.x % pairs * 2, (int)threadIdx.x / pairs, PRODUCT_THREADS / pairs};
    return own;
}

/* `sums` of this thread's pair, number `which`, to where they are added over threads. */
template <int G>
static __device__ __forceinline__ void pw_hand_in(shared<double> sums, int count, int which,
                                                  double left, double right)
{
    pw_pair own = pw_pair_own<G>();
    shared_store(sums + (own.first * count + which) * (G * PRODUCT_COLUMNS) + own.column,
                 make_double2(left, right));
}

/* All threads call it when they have read of `out` what they had to, before they hand in. */
template <typename E>
static __device__ __forceinline__ void pw_leave_out(const struct pw_plan &plan)
{
    if (pw_has_sums_in_out<E>(plan))
        __syncthreads();
}

template <typename E, int V, int ROWS, int G>
static __device__ __forceinline__ void
pw_send_raw(const pw_product<E> &op, const pw_shared<E> &tiles, pw_range range, pw_position at)
{
    pw_pair own = pw_pair_own<G>();
    int c = at.column_tile * G * PRODUCT_COLUMNS + own.column, there = op.columns - c;
    int rows = pw_min(ROWS, range.end - at.row);
    raw_sums sums[2] = {raw_sums_zero(), raw_sums_zero()};
    double sum[2] = {0, 0}, square[2] = {0, 0};
#pragma unroll(V > 1 ? 4 : 1)
    for (int i = own.first; i < rows && there > 0; i += own.step) {
        float z[2];
        pair_load<E>(z, tiles.out + i * (G * PRODUCT_COLUMNS + 8) + own.column);
        pw_store_pair<E, V>(op.to + (size_t)(at.row + i) * (size_t)op.columns + c, z, there);
        raw_sums_add(&sums[0], z[0]);
        raw_sums_add(&sums[1], z[1]);
    }
    if (op.plan.sums == 0)
        return;
    pw_leave_out<E>(op.plan);
    raw_sums_end(&sums[0], &sum[0], &square[0]);
    raw_sums_end(&sums[1], &sum[1], &square[1]);
    pw_hand_in<G>(tiles.sums, 2, 0, sum[0], sum[1]);
    pw_hand_in<G>(tiles.sums, 2, 1, square[0], square[1]);
}

template <typename E, int V, int ROWS, int G>
static __device__ __forceinline__ void pw_send_sink(const enum act act, const pw_product<E> &op,
                                                    const pw_shared<E> &tiles, pw_range range,
                                                    pw_position at)
{
    pw_pair own = pw_pair_own<G>();
    int c = at.column_tile * G * PRODUCT_COLUMNS + own.column, there = op.columns - c;
    int rows = pw_min(ROWS, range.end - at.row), count = op.plan.sums;
    sink_sums sums[2] = {{0, 0, 0}, {0, 0, 0}};
    view_channel k[2] = {{0, 0}, {0, 0}};
    float mean[2] = {0, 0};
    for (int i = 0; count && i < 2 && i < there; i++) {
        k[i] = view_channel_load(op.sink.of, c + i);
        mean[i] = gpu_load_or(op.sink.mean, (size_t)(c + i), 0);
    }
#pragma unroll(V > 1 && ROWS > 32 ? 2 : 1)
    for (int i = own.first; i < rows && there > 0; i += own.step) {
        float q[2], z[2];
        size_t at_pair = (size_t)(at.row + i) * (size_t)op.columns + c;
        pair_load<E>(q, tiles.out + i * (G * PRODUCT_COLUMNS + 8) + own.column);
        pw_store_pair<E, V>(op.to + at_pair, q, there);
        if (!count)
            continue;
        if (op.keeps_z)
            pair_load<E>(z, tiles.z + i * (G * PRODUCT_COLUMNS + 8) + own.column);
        else
            pw_load_pair<E, V>(z, (const E *)op.sink.of.z + at_pair, there);
        sink_sums_add(act, &sums[0], k[0], mean[0], q[0], z[0]);
        sink_sums_add(act, &sums[1], k[1], mean[1], q[1], z[1]);
    }
    if (!count)
        return;
    pw_leave_out<E>(op.plan);
    pw_hand_in<G>(tiles.sums, count, count - 2, (double)sums[0].sum, (double)sums[1].sum);
    pw_hand_in<G>(tiles.sums, count, count - 1, (double)sums[0].moment, (double)sums[1].moment);
    if (count == 3)
        pw_hand_in<G>(tiles.sums, count, 0, (double)sums[0].gated, (double)sums[1].gated);
}

template <typename E, int V, int ROWS, int G>
static __device__ __forceinline__ void pw_send(const pw_product<E> &op, const enum pw_pass pass,
                                               const pw_shared<E> &tiles, pw_range range,
                                               pw_position at)
{
    if (pass == PW_FORWARD)
        pw_send_raw<E, V, ROWS, G>(op, tiles, range, at);
    else if (op.sink.of.act == ACT_NONE || !op.plan.sums)
        pw_send_sink<E, V, ROWS, G>(ACT_NONE, op, tiles, range, at);
    else if (op.sink.of.act == ACT_RELU)
        pw_send_sink<E, V, ROWS, G>(ACT_RELU, op, tiles, range, at);
    else if (op.sink.of.act == ACT_RELU6)
        pw_send_sink<E, V, ROWS, G>(ACT_RELU6, op, tiles, range, at);
    else
        pw_send_sink<E, V, ROWS, G>(ACT_HSWISH, op, tiles, range, at);
}

/* The tile's sums, over threads in their order, to the block's. */
template <typename E, int G>
static __device__ __forceinline__ void pw_add_up(const pw_product<E> &op, const pw_shared<E> &tiles,
                                                 int column_tile)
{
    const int columns = G * PRODUCT_COLUMNS;
    int all = columns * op.plan.column_tiles;
    for (int i = (int)threadIdx.x; i < op.plan.sums * columns; i += PRODUCT_THREADS) {
        double sum = 0;
        for (int j = 0; j < PW_LANES_PER_PAIR / columns; j++)
            sum += tiles.sums[j * op.plan.sums * columns + i];
        tiles.totals[i / columns * all + column_tile * columns + i % columns] += sum;
    }
}

/* What is behind the last chunk: results leave. */
template <typename E, int V, int A, int G>
static __device__ __forceinline__ void pw_epilogue(const pw_product<E> &op, const enum pw_pass pass,
                                                   const pw_shared<E> &tiles, pw_range range,
                                                   pw_position at, const float (&sums)[A][2 * G][4])
{
    bool has_add = pass == PW_DGRAD && op.sink.add;
    if (has_add) {
        pw_bring_add<E, V, A, G>(op, tiles.out, range, at);
        __syncthreads();
    }
    pw_round<E, A, G>(tiles.out, has_add, sums);
    __syncthreads();
    pw_send<E, V, A * PRODUCT_ROWS, G>(op, pass, tiles, range, at);
    if (op.plan.sums == 0)
        return;
    __syncthreads();
    pw_add_up<E, G>(op, tiles, at.column_tile - range.first_tile);
}

template <typename E, int V, int G>
static __device__ __forceinline__ void pw_walk_rows(const pw_product<E> &op,
                                                    const enum pw_pass pass,
                                                    const pw_shared<E> &tiles, pw_range range)
{
    const int b_size = G * PRODUCT_COLUMNS * pw_size<E>::STRIDE;
    const struct pw_plan &plan = op.plan;
    int steps = (range.end - range.row + PW_ROWS - 1) / PW_ROWS * plan.column_tiles * plan.chunks;
    int loads = pw_weights_stay(plan) ? plan.column_tiles * plan.chunks : steps;
    pw_position at = {range.row, range.first_tile, 0, 0}, next = at;
    pw_raw<E> raw;
    float sums[2][2 * G][4];
    pw_fetch<E, V>(op, pass, range, at, &raw);
    pw_copy_weights<E, G>(op, pass, tiles.b, at);
    ptx_copy_commit();
    pw_put<E, V>(op, pass, tiles, range, at, raw);
    ptx_copy_wait<0>();
    __syncthreads();
    for (; at.number < steps; at = next) {
        pw_advance(plan, range, &next);
        bool brings = next.number < steps && pw_loads(plan, range, next);
        if (brings)
            pw_fetch<E, V>(op, pass, range, next, &raw);
        if (next.number < loads)
            pw_copy_weights<E, G>(op, pass, tiles.b + pw_weights_buffer(plan, range, next) * b_size,
                                  next);
        ptx_copy_commit();
        pw_compute<E, G>(op, pass, tiles, range, at, sums);
        if (at.chunk == plan.chunks - 1)
            pw_epilogue<E, V, 2, G>(op, pass, tiles, range, at, sums);
        if (brings)
            pw_put<E, V>(op, pass, tiles, range, next, raw);
        ptx_copy_wait<0>();
        __syncthreads();
    }
}

/* Column i of the block, its sums complete. */
template <typename E>
static __device__ __forceinline__ void
pw_finish_column(const pw_product<E> &op, const enum pw_pass pass, const partials<double> &parts,
                 int image, int i, int c)
{
    size_t all = parts.count / (size_t)op.plan.sums;
    double sum = partials_sum(parts, (size_t)i), other = partials_sum(parts, all + (size_t)i);
    if (pass == PW_FORWARD) {
        norm_finish(op.norm, op.columns, c, op.count, sum, other);
        return;
    }
    if (op.plan.sums == 3) {
        double *to = op.sink.gate_sums + (size_t)image * 3 * (size_t)op.columns + c;
        gpu_store(to, sum);
        gpu_store(to + op.columns, other);
        gpu_store(to + 2 * (size_t)op.columns, partials_sum(parts, 2 * all + (size_t)i));
        return;
    }
    gpu_store(op.sink.sums + c, sum);
    gpu_store(op.sink.sums + op.columns + c, other);
    if (op.has_sink_norm)
        norm_backward_finish(op.sink_norm, c, op.count, sum, other);
}

template <typename E, int G>
static __device__ __forceinline__ void pw_finish(const pw_product<E> &op, const enum pw_pass pass,
                                                 const pw_shared<E> &tiles, pw_range range)
{
    const int columns = G * PRODUCT_COLUMNS * op.plan.column_tiles;
    int first = range.column_block * columns;
    partials<double> parts =
        partials_of(op.sums, range.image * op.plan.column_blocks + range.column_block);
    double *own = partials_part(parts, range.part);
    for (int i = (int)threadIdx.x; i < op.plan.sums * columns; i += PRODUCT_THREADS)
        gpu_store(own + i, (double)tiles.totals[i]);
    if (!partials_are_whole(parts, range.part))
        return;
    for (int i = (int)threadIdx.x; i < columns && first + i < op.columns; i += PRODUCT_THREADS)
        pw_finish_column(op, pass, parts, range.image, i, first + i);
}

/* All of a block. pass: a constant. */
template <typename E, int V, int G>
static __device__ __forceinline__ void pw_block(const pw_product<E> &op, const enum pw_pass pass,
                                                shared<double> memory)
{
    pw_shared<E> tiles = pw_carve<E, G>(op, pass, memory);
    pw_range range = pw_range_own(op);
    if (pass == PW_FORWARD)
        channel_tables_view<E>(tiles.tables, op.x, 0, op.depth);
    else
        channel_tables_grad<E>(tiles.tables, op.dz, 0, op.depth);
    for (int i = (int)threadIdx.x; i < op.plan.sums * G * PRODUCT_COLUMNS * op.plan.column_tiles;
         i += PRODUCT_THREADS)
        tiles.totals[i] = 0;
    __syncthreads();
    pw_walk_rows<E, V, G>(op, pass, tiles, range);
    if (pass == PW_FORWARD && op.has_norm && op.norm.kind == NORM_FIXED && range.row == 0)
        for (int c = range.first_tile * G * PRODUCT_COLUMNS + (int)threadIdx.x;
             c < pw_min(op.columns, range.last_tile * G * PRODUCT_COLUMNS); c += PRODUCT_THREADS)
            norm_fix(op.norm, c);
    if (op.plan.sums)
        pw_finish<E, G>(op, pass, tiles, range);
}

#endif
