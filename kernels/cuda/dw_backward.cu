/* Depthwise backward: the gradients of the input and of the weights from one read. Rows of dz come
 * in one after the other; each is added, through the taps, to the R input rows that it met, whose
 * gradients lie in registers, and multiplied with the views of these rows, which wait in shared
 * memory, for the taps' own gradient. Then the uppermost S input rows are complete. */
#include "kernels/cuda/dw_backward.cuh"
#include "kernels/cuda/dw_backward_sums.cuh"

/* A row of dz on its way: its q and z. */
template <typename E, int K> struct dw_backward_rows {
    const E *q, *z; /* of the item's first image */
    dw_aim<K> aim;
    dw_row<E, K> q_row, z_row;
};

template <typename E, int K>
static __device__ __forceinline__ void dw_backward_fetch(const struct dw_backward_args &op,
                                                         const dw_place &place, int row,
                                                         dw_backward_rows<E, K> *rows)
{
    int at = row * op.cut.out.W * op.cut.out.C, count = op.cut.out.C - place.quad;
    if (op.dz.q)
        dw_row_load(&rows->q_row, rows->aim, rows->q + at, count, op.is_aligned);
    dw_row_load(&rows->z_row, rows->aim, rows->z + at, count, op.is_aligned);
}

/* The rings of the item's first rows. */
template <typename E, int R, int S, int T>
static __device__ __forceinline__ void
dw_backward_fill(const struct dw_backward_args &op, const dw_backward_shared<E> &memory,
                 const dw_place &place, const dw_backward_item &item, int base)
{
    const int above = item.from * S - op.cut.top; /* the input row in slot `base` */
    enum { AT_ONCE = 16 / T };                    /* rows on their way */
#pragma unroll 1
    for (int first = 0; first < R; first += AT_ONCE) {
        E rows[AT_ONCE][T];
#pragma unroll
        for (int k = 0; k < AT_ONCE; k++)
            if (dw_has_row(item, above + first + k))
                dw_backward_load(op, item, op.x.z, above + first + k, rows[k]);
#pragma unroll
        for (int k = 0; k < AT_ONCE; k++)
            if (first + k >= R)
                break;
            else if (dw_has_row(item, above + first + k))
                dw_backward_keep(op, memory, place, item, (base + first + k) % R, rows[k]);
            else
                dw_backward_skip<E, T>(memory, (base + first + k) % R);
    }
}

/* The slot that is `by` behind another in a ring of R. */
template <int R> static __device__ __forceinline__ int dw_slot(int slot, int by)
{
    return slot + by < R ? slot + by : slot + by - R;
}

/* A row of dz: to the gradients of the R input rows that it met, whose views are in the slots from
 * `base` on, and of the weights. Without a sink, too: a branch would move registers. */
template <typename E, int R, int S, int T>
static __device__ __forceinline__ void dw_backward_step(const dw_backward_shared<E> &memory,
                                                        dw_backward_lane<E, R, S, T> *lane,
                                                        shared<float> row, int base)
{
    const int reach = dw_backward_tile<R, S, T>::reach, lane_of_warp = (int)threadIdx.x % GPU_WARP;
    float dz[reach];
#pragma unroll
    for (int i = 0; i < reach; i++)
        dz[i] = row[i * DW_LANES];
    dw_backward_inputs(lane, dz, memory.w + lane_of_warp);
#pragma unroll
    for (int k = 0; k < R; k++) {
        float y[T];
        dw_ring_read(memory.y, dw_slot<R>(base, k), y);
        dw_backward_weights(lane, k, dz, y);
    }
}

/* The uppermost S input rows, from `above` on, are complete; those that came take their slots. */
template <typename E, int R, int S, int T>
static __device__ __forceinline__ void
dw_backward_change(const struct dw_backward_args &op, const dw_backward_shared<E> &memory,
                   const dw_place &place, const dw_backward_item &item,
                   dw_backward_lane<E, R, S, T> *lane, int above, int base)
{
#pragma unroll
    for (int f = 0; f < S; f++) {
        int slot = dw_slot<R>(base, f);
        if (op.has_sink && dw_has_row(item, above + f))
            dw_backward_store(op, memory, place, item, lane, f, above + f, slot);
        if (dw_has_row(item, above + R + f))
            dw_backward_keep(op, memory, place, item, slot, lane->coming[f]);
        else
            dw_backward_skip<E, T>(memory, slot);
    }
}

template <typename E, int R, int S, int T>
static __device__ __forceinline__ void
dw_backward_run(const struct dw_backward_args &op, const dw_backward_shared<E> &memory,
                const dw_place &place, const dw_backward_item &item,
                dw_backward_lane<E, R, S, T> *lane, int *parity)
{
    const struct dims &out = op.cut.out;
    const int columns = item.window.columns, half = op.cut.images * columns * DW_LANES;
    const int mine = (place.image * columns + place.tile * T / S) * DW_LANES + place.lane;
    const size_t first = (size_t)item.at.image * out.H * out.W * out.C;
    const int end = min(item.last + 1, out.H); /* of the rows of dz */
    int base = item.from * S % R, o = item.from;
    dw_backward_rows<E, dw_backward_tile<R, S, T>::loads> rows = {};
    rows.q = op.dz.q ? (const E *)op.dz.q + first : NULL;
    rows.z = (const E *)op.dz.of.z + first;
    dw_aim_at(&rows.aim, item.window, place.quad);
    if (o < end)
        dw_backward_fetch(op, place, o, &rows);
    dw_backward_fill<E, R, S, T>(op, memory, place, item, base);
    for (; o < end; o++, base = dw_slot<R>(base, S)) {
        const int above = o * S - op.cut.top;
        shared<float> row = memory.dz + *parity * half;
        dw_backward_form(op, memory, item, rows.aim, rows.q_row, rows.z_row, row);
        __syncthreads(); /* who is a row behind reads the other half */
        *parity ^= 1;
        if (o + 1 < end)
            dw_backward_fetch(op, place, o + 1, &rows);
#pragma unroll
        for (int f = 0; f < S; f++)
            if (dw_has_row(item, above + R + f))
                dw_backward_load(op, item, op.x.z, above + R + f, lane->coming[f]);
        dw_backward_step(memory, lane, row + mine, base);
        dw_backward_change(op, memory, place, item, lane, above, base);
    }
    for (; o <= item.last; o++, base = dw_slot<R>(base, S)) { /* dz has no more rows */
        dw_backward_move_up(lane);
        dw_backward_change(op, memory, place, item, lane, o * S - op.cut.top, base);
    }
}

/* What belongs to the item's images, between the rows of the item before and its own. */
template <typename E>
static __device__ __forceinline__ void
dw_backward_images(const struct dw_backward_args &op, const dw_backward_shared<E> &memory,
                   const dw_place &place, const struct dw_item &item)
{
    const int C = op.cut.in.C;
    const float *const from[] = {op.dz.of.gate, op.dz.p, op.x.gate};
    const int to[] = {ROW_S, ROW_P, ROW_X_GATE};
    __syncthreads();
    for (int image = place.warp; image < item.images; image += place.warps)
#pragma unroll
        for (int i = 0; i < 3; i++)
            dw_fetch(memory.channels + (to[i] + image) * DW_LANES,
                     from[i] ? from[i] + (size_t)(item.image + image) * C : NULL, place, C,
                     i == 1 ? 0 : 1);
    __syncthreads();
}

/* The taps: in registers, or those of a side of 7 in shared memory; and nothing of their gradient.
 */
template <typename E, int R, int S, int T>
static __device__ __forceinline__ void
dw_backward_taps(const struct dw_backward_args &op, const dw_backward_shared<E> &memory,
                 const dw_place &place, dw_backward_lane<E, R, S, T> *lane)
{
    const E *w = (const E *)op.w + place.c;
#pragma unroll
    for (int tap = 0; tap < R * R; tap++) {
        bool is_mine = R != 7 || tap % place.warps == place.warp;
        float value = 0;
        if (is_mine && op.has_sink && place.c < op.cut.in.C)
            value = map_widen(gpu_load(w + (size_t)tap * op.cut.ld));
        if (R != 7)
            lane->w[R == 7 ? 0 : tap] = value;
        else if (is_mine)
            memory.w[tap * DW_LANES + place.lane] = value;
        lane->dw[tap] = 0;
    }
    for (int i = (int)threadIdx.x; i < R * R * DW_LANES; i += (int)blockDim.x)
        memory.weights[i] = 0;
}

/* The channels' numbers, and no sums. */
template <typename E>
static __device__ __forceinline__ void dw_backward_begin(const struct dw_backward_args &op,
                                                         const dw_backward_shared<E> &memory,
                                                         const dw_place &place)
{
    const struct view &of = op.sink.of;
    const float *const rows[] = {op.dz.of.scale, op.dz.of.shift, op.dz.a,  op.dz.b,  op.dz.c,
                                 op.x.scale,     op.x.shift,     of.scale, of.shift, op.sink.mean};
    const float otherwise[] = {1, 0, 1, 0, 0, 1, 0, 1, 0, 0};
#pragma unroll
    for (int i = 0; i < ROW_S; i++)
        if (place.warp == 0)
            dw_fetch(memory.channels + i * DW_LANES, rows[i], place, op.cut.in.C, otherwise[i]);
#pragma unroll
    for (int i = 0; i < GATE_SUMS; i++)
        memory.sums[i * (int)blockDim.x + (int)threadIdx.x] = 0;
}

/* Columns of dz that a block holds, of all its images. */
static __host__ __device__ __forceinline__ int dw_backward_columns(const struct dw_cut &cut, int R,
                                                                   int S, int T)
{
    return cut.images * ((cut.columns * T + R - 2) / S + 1);
}

template <typename E, int R, int S, int T>
static __device__ __forceinline__ dw_backward_shared<E> dw_backward_carve(const struct dw_cut &cut,
                                                                          shared<double> from)
{
    const int threads = (int)blockDim.x, columns = dw_backward_columns(cut, R, S, T);
    dw_backward_shared<E> memory;
    memory.weights = from;
    memory.sums = memory.weights + R * R * DW_LANES;
    memory.dz = shared_cast<float>(memory.sums + GATE_SUMS * threads);
    memory.y = memory.dz + 2 * columns * DW_LANES;
    memory.channels = memory.y + R * T * threads;
    memory.w = memory.channels + BACKWARD_ROWS * DW_LANES;
    memory.z = shared_cast<E>(memory.w + (R == 7 ? R * R * DW_LANES : 0));
    return memory;
}

template <typename E, int R, int S, int T>
static __global__ void __launch_bounds__(dw_backward_bound(sizeof(E), R))
    dw_backward_kernel(struct dw_backward_args op)
{
    enum { TILE_PIXELS = 512 }; /* summed in fp32 at most, or what an item has */
    GPU_SHARED_DYNAMIC(bytes);
    const dw_backward_shared<E> memory =
        dw_backward_carve<E, R, S, T>(op.cut, shared_cast<double>(bytes));
    const dw_place place = dw_place_of(op.cut);
    const int first = (int)blockIdx.y * op.cut.run, end = min(first + op.cut.run, op.cut.items);
    int parity = 0, pixels = 0;
    dw_backward_lane<E, R, S, T> lane;
    dw_backward_taps(op, memory, place, &lane);
    dw_backward_begin(op, memory, place);
    for (int i = first; i < end; i++) {
        dw_backward_item item = dw_backward_item_at<R, S, T>(op, place, i);
        dw_backward_images(op, memory, place, item.at);
        lane.sums = sink_sums();
#pragma unroll
        for (int k = 0; k < R; k++)
#pragma unroll
            for (int t = 0; t < T; t++)
                lane.q[k][t] = 0;
        dw_backward_run(op, memory, place, item, &lane, &parity);
        dw_backward_end(op, memory, place, item, lane.sums);
        pixels += op.cut.rows * T;
        if (i + 1 == end || pixels + op.cut.rows * T > TILE_PIXELS) {
            dw_backward_gather(memory.weights, place, &lane);
            pixels = 0;
        }
    }
    dw_backward_finish<E, R>(op, memory, place);
}

static struct dw_cut dw_backward_cut(const struct conv *conv, size_t element_bytes)
{
    int R = conv->R, odd = pad_before(conv->pad, conv->in.W, R, conv->S) % conv->S;
    struct dw_walk walk = {};
    walk.H = conv->in.H;
    walk.W = conv->in.W + odd; /* tiles begin at even columns of the padded map */
    walk.width = backward_width(element_bytes, R);
    walk.warps = 32 / walk.width; /* two blocks of a multiprocessor do not wait for each other */
    walk.least_rows = dw_is_small(conv->in) ? 4 : 16 * (R - 1);
    walk.blocks = R == 3 ? 512 : 256; /* each leaves R * R sums of a channel */
    walk.groups = dw_clamp((1 << 13) / (R * R), 1, 256);
    return dw_cut_of(conv, &walk);
}

/* Scratch, in the order it is carved. */
struct pieces { /* bytes */
    size_t weight_sums, sum_parts, weight_parts, gate_parts;
};

/* Groups of a team: all of a few, or else as many as there are teams. */
static int team_of(int groups)
{
    enum { FEW = 16 };
    int team = 1;
    while (team * team < groups)
        team++;
    return groups <= FEW ? groups : team;
}

static struct pieces pieces_of(const struct conv *conv, const struct dw_cut *cut)
{
    size_t weights = (size_t)(conv->R * conv->R) * DW_LANES * (size_t)cut->tiles;
    size_t parts = (size_t)cut->strips * cut->bands, groups = (size_t)cut->groups;
    struct pieces bytes = {};
    bytes.weight_sums =
        (size_t)dw_ceil(cut->groups, team_of(cut->groups)) * weights * sizeof(double);
    bytes.sum_parts = (size_t)cut->tiles * groups * DW_SUMS * DW_LANES * sizeof(double);
    if (parts > 1)
        bytes.gate_parts = (size_t)cut->in.N * parts * GATE_SUMS * cut->in.C * sizeof(double);
    bytes.weight_parts = groups * weights * sizeof(float);
    return bytes;
}

static size_t pieces_sum(const struct pieces *bytes)
{
    return bytes->weight_sums + bytes->sum_parts + bytes->gate_parts + bytes->weight_parts;
}

size_t cuda_dw_backward_plan(const struct work *work, enum precision precision)
{
    struct dw_cut cut = dw_backward_cut(&work->conv, precision_map_bytes(precision));
    struct pieces bytes = pieces_of(&work->conv, &cut);
    return pieces_sum(&bytes);
}

static void carve(struct dw_backward_args *op, const struct pieces *bytes, void *scratch)
{
    char *at = (char *)scratch;
    op->weight_sums = (double *)at;
    op->sum_parts = (double *)(at += bytes->weight_sums);
    op->weight_parts = (float *)(at += bytes->sum_parts);
    op->gate_parts = bytes->gate_parts ? (double *)(at + bytes->weight_parts) : NULL;
}

static size_t shared_bytes(const struct conv *conv, const struct dw_cut *cut, size_t element_bytes)
{
    const int R = conv->R, T = backward_width(element_bytes, R), threads = dw_threads(cut);
    size_t doubles = (size_t)(R * R * DW_LANES + GATE_SUMS * threads);
    size_t floats = (size_t)(2 * dw_backward_columns(*cut, R, conv->S, T) * DW_LANES +
                             R * T * threads + (BACKWARD_ROWS + (R == 7 ? R * R : 0)) * DW_LANES);
    return doubles * sizeof(double) + floats * sizeof(float) +
           (size_t)(R * T * threads) * element_bytes;
}

typedef void dw_backward_fn(struct dw_backward_args);

template <typename E, int R> static dw_backward_fn *kernel_of_side(int S)
{
    const int T = backward_width(sizeof(E), R);
    return S == 1 ? dw_backward_kernel<E, R, 1, T> : dw_backward_kernel<E, R, 2, T>;
}

template <typename E> static dw_backward_fn *kernel_of(int R, int S)
{
    return R == 3   ? kernel_of_side<E, 3>(S)
           : R == 5 ? kernel_of_side<E, 5>(S)
                    : kernel_of_side<E, 7>(S);
}

static void set_sink(struct dw_backward_args *op, const struct grad_sink *sink, const void *x)
{
    op->has_sink = sink != NULL;
    if (!sink)
        return;
    op->sink = *sink;
    op->is_x = sink->of.z == x;
    op->has_norm = sink->norm != NULL;
    if (sink->norm)
        op->norm = *sink->norm;
}

void cuda_dw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                      struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    struct cuda *cuda = cuda_of(device);
    struct work work = {};
    struct dw_backward_args op = {};
    op.cut = dw_backward_cut(conv, device->map_bytes);
    struct pieces bytes = pieces_of(conv, &op.cut);
    work.kind = WORK_DW_BACKWARD;
    work.conv = *conv;
    void *scratch = cuda_scratch(cuda, &work, pieces_sum(&bytes));
    if (!scratch)
        return;
    carve(&op, &bytes, scratch);
    set_sink(&op, sink, x.z);
    op.dz = *dz;
    op.x = x;
    op.w = w;
    op.dw = dw;
    op.pixels = dims_pixels(conv->in);
    op.team = team_of(op.cut.groups);
    op.teams = dw_ceil(op.cut.groups, op.team);
    op.tickets = cuda->tickets;
    op.is_aligned = dw_is_aligned(dz->of.z, conv->K, device->map_bytes) &&
                    dw_is_aligned(dz->q, conv->K, device->map_bytes);
    cuda_launch(
        cuda, "dw_backward",
        (cuda->precision == PRECISION_BF16 ? kernel_of<bf16> : kernel_of<float>)(conv->R, conv->S),
        dim3((unsigned)op.cut.tiles, (unsigned)op.cut.groups), dim3((unsigned)dw_threads(&op.cut)),
        shared_bytes(conv, &op.cut, device->map_bytes), &op);
    if (sink)
        device->traffic.gradient_bytes +=
            device->map_bytes * (size_t)op.pixels * (size_t)conv->in.C;
}
