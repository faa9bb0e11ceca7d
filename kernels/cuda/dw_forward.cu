/* Depthwise forward. Rows of the input come in one after the other; each is added, with its row of
 * taps, to the R / S output rows that it meets, which lie in registers: the uppermost is complete,
 * is stored, and the others move up. */
#include "kernels/cuda/dw.cuh"

enum {
    FORWARD_WIDTH = 8, /* output columns of a thread */
    FORWARD_CHANNELS = (2 + DW_IMAGES) * DW_LANES
};

struct dw_forward_args {
    struct dw_cut cut;
    struct view x;
    const void *w;
    void *z;
    bool has_norm, is_aligned;
    struct norm_forward norm;
    double pixels;
    double *parts; /* (tiles,groups,DW_SUMS,DW_LANES) */
    unsigned *tickets;
};

/* Threads that a multiprocessor shall have room for: what bounds the registers of one. */
static constexpr int dw_forward_bound(size_t element_bytes, int R, int S)
{
    return (R > 3 && element_bytes == 4) || (R == 5 && S == 2) ? 384 : 512;
}

/* Of E elements, side R, stride S, T columns a thread. */
template <int R, int S, int T> struct dw_forward_tile {
    static const int slots = (R - 1) / S + 1; /* output rows that an input row meets */
    static const int reach = (T - 1) * S + R; /* input columns that a thread reads */
    static const int loads = (reach * DW_QUADS + GPU_WARP - 1) / GPU_WARP;
};

/* One thread's registers. */
template <int R, int S, int T> struct dw_forward_lane {
    float w[R == 7 ? 1 : R * R]; /* those of a side of 7 stay in shared memory */
    float z[dw_forward_tile<R, S, T>::slots][T];
    raw_sums sums; /* of this item */
};

/* Shared memory of a block. */
struct dw_forward_shared {
    shared<float> rows;               /* (2,images * columns,DW_LANES): the view of the input */
    shared<float> scale, shift, gate; /* (DW_LANES), gate (DW_IMAGES,DW_LANES) */
    shared<float> w;                  /* (R*R,DW_LANES) */
    shared<double> sums;              /* (warps,DW_SUMS,DW_LANES) of the items before */
};

/* All of an item's numbers. */
struct dw_forward_item {
    struct dw_item at;
    struct dw_window window;
    int first, end; /* output rows */
    int from, last; /* rows of the padded input that are there */
    int count;      /* columns that this thread stores */
};

template <int R, int S, int T>
static __device__ dw_forward_item dw_forward_item_at(const struct dw_forward_args &op,
                                                     const dw_place &place, int i)
{
    const struct dw_cut &cut = op.cut;
    dw_forward_item item = {};
    item.at = dw_item_at(cut, i);
    int column = item.at.strip * cut.columns * T;
    item.window.map = cut.in;
    item.window.columns = (cut.columns * T - 1) * S + R;
    item.window.first = column * S - cut.left;
    item.window.images = item.at.images;
    item.first = item.at.band * cut.rows;
    item.end = min(item.first + cut.rows, cut.out.H);
    item.from = max(item.first * S, cut.top);
    item.last = min((item.end - 1) * S + R - 1, cut.in.H - 1 + cut.top);
    bool is_there = place.image < item.at.images && place.c < cut.out.C;
    item.count = is_there ? max(0, min(T, cut.out.W - column - place.tile * T)) : 0;
    return item;
}

/* What was loaded of a row, seen through the view. */
template <typename E, int K>
static __device__ __forceinline__ void
dw_forward_show(const struct dw_forward_args &op, const dw_forward_shared &memory,
                const dw_forward_item &item, const dw_aim<K> &aim, const dw_row<E, K> &row,
                shared<float> to)
{
    int at = (int)threadIdx.x % DW_QUADS * 4;
    int quads = op.cut.images * item.window.columns * DW_QUADS;
    float scale[4], shift[4];
    dw_quad_read(scale, memory.scale + at);
    dw_quad_read(shift, memory.shift + at);
#pragma unroll
    for (int k = 0; k < K; k++) {
        int quad = (int)(threadIdx.x + k * blockDim.x);
        float y[4] = {0, 0, 0, 0};
        if (quad >= quads)
            break;
        if (aim.offset[k] >= 0) {
            dw_widen<E>(y, row.quads[k]);
#pragma unroll
            for (int i = 0; i < 4; i++)
                y[i] = fmaf(y[i], scale[i], shift[i]);
            dw_act(op.x.act, y);
            if (op.x.gate) {
                float gate[4];
                int image = dw_image_of(dw_pixel(k), item.window.columns);
                dw_quad_read(gate, memory.gate + image * DW_LANES + at);
                for (int i = 0; i < 4; i++)
                    y[i] *= gate[i];
            }
        }
        dw_quad_write(to + quad * 4, y);
    }
}

/* Adds row f of a step to the output rows that it meets. With the first row of a step they move up:
 * each goes on where the one below it was. */
template <int R, int S, int T>
static __device__ __forceinline__ void dw_forward_row(dw_forward_lane<R, S, T> *lane, int f,
                                                      shared<float> row, shared<float> taps)
{
    const int slots = dw_forward_tile<R, S, T>::slots, reach = dw_forward_tile<R, S, T>::reach;
    float x[reach];
#pragma unroll
    for (int i = 0; i < reach; i++)
        x[i] = row[i * DW_LANES];
#pragma unroll
    for (int k = 0; k < slots; k++) {
        const int tap = S * (slots - 1 - k) + f, from = f > 0 ? k : k + 1;
        float w[R];
        if (tap >= R)
            continue;
#pragma unroll
        for (int i = 0; i < R; i++)
            w[i] =
                R == 7 ? (float)taps[(tap * R + i) * DW_LANES] : lane->w[R == 7 ? 0 : tap * R + i];
#pragma unroll
        for (int t = 0; t < T; t++) {
            float z = from < slots ? lane->z[from < slots ? from : 0][t] : 0.0f;
#pragma unroll
            for (int i = 0; i < R; i++)
                z = fmaf(x[t * S + i], w[i], z);
            lane->z[k][t] = z;
        }
    }
}

/* What a step below the map does. */
template <int R, int S, int T>
static __device__ __forceinline__ void dw_forward_move_up(dw_forward_lane<R, S, T> *lane)
{
    const int slots = dw_forward_tile<R, S, T>::slots;
#pragma unroll
    for (int k = 0; k < slots; k++)
#pragma unroll
        for (int t = 0; t < T; t++)
            lane->z[k][t] = k + 1 < slots ? lane->z[k + 1 < slots ? k + 1 : 0][t] : 0.0f;
}

template <typename E>
static __device__ __forceinline__ void dw_forward_put(raw_sums *sums, E *z, float value)
{
    E stored = map_narrow<E>(value);
    float about = map_widen(stored) - sums->shift;
    gpu_store(z, stored);
    sums->sum += about;
    sums->square = fmaf(about, about, sums->square);
}

/* The uppermost output row, at z + at, is complete. */
template <typename E, int R, int S, int T>
static __device__ __forceinline__ void dw_forward_store(dw_forward_lane<R, S, T> *lane, E *z,
                                                        int at, int C, int count)
{
    raw_sums *sums = &lane->sums;
    if (sums->count == 0 && count > 0)
        sums->shift = map_stored<E>(lane->z[0][0]);
    sums->count += count;
    if (count == T) {
#pragma unroll
        for (int t = 0; t < T; t++)
            dw_forward_put(sums, z + (at + t * C), lane->z[0][t]);
        return;
    }
#pragma unroll
    for (int t = 0; t < T; t++)
        if (t < count)
            dw_forward_put(sums, z + (at + t * C), lane->z[0][t]);
}

template <typename E, int R, int S, int T>
static __device__ __forceinline__ void
dw_forward_run(const struct dw_forward_args &op, const dw_forward_shared &memory,
               const dw_place &place, const dw_forward_item &item, dw_forward_lane<R, S, T> *lane,
               int *parity)
{
    const int slots = dw_forward_tile<R, S, T>::slots, loads = dw_forward_tile<R, S, T>::loads;
    const struct dw_cut &cut = op.cut;
    const int C = cut.in.C, pitch = cut.in.W * C, count = C - place.quad;
    const int columns = cut.images * item.window.columns;
    const E *x = (const E *)op.x.z + (size_t)item.at.image * cut.in.H * pitch;
    size_t first = (size_t)(item.at.image + place.image) * cut.out.H * cut.out.W;
    E *z = (E *)op.z + (first + (item.at.strip * cut.columns + place.tile) * T) * C + place.c;
    int mine = (place.image * item.window.columns + place.tile * T * S) * DW_LANES + place.lane;
    dw_aim<loads> aim;
    dw_row<E, loads> row;
    dw_aim_at(&aim, item.window, place.quad);
    dw_row_load(&row, aim, x + (item.from - cut.top) * pitch, count, op.is_aligned);
    int step = item.from / S;
    for (; step <= item.last / S; step++) {
#pragma unroll
        for (int f = 0; f < S; f++) {
            int r = step * S + f;
            if (r < item.from || r > item.last) /* of the first step, of the last */
                continue;
            shared<float> rows = memory.rows + *parity * columns * DW_LANES;
            dw_forward_show<E>(op, memory, item, aim, row, rows);
            __syncthreads(); /* who is a row behind reads the other half */
            if (r < item.last)
                dw_row_load(&row, aim, x + (r + 1 - cut.top) * pitch, count, op.is_aligned);
            dw_forward_row(lane, f, rows + mine, memory.w + place.lane);
            *parity ^= 1;
        }
        int o = step - (slots - 1);
        if (o >= item.first)
            dw_forward_store<E>(lane, z, o * cut.out.W * C, C, item.count);
    }
    for (; step < item.end + slots - 1; step++) { /* below the map */
        int o = step - (slots - 1);
        dw_forward_move_up(lane);
        if (o >= item.first)
            dw_forward_store<E>(lane, z, o * cut.out.W * C, C, item.count);
    }
}

template <typename E, int R, int S, int T>
static __device__ __forceinline__ void
dw_forward_begin(const struct dw_forward_args &op, const dw_forward_shared &memory,
                 const dw_place &place, dw_forward_lane<R, S, T> *lane)
{
    const E *w = (const E *)op.w + place.c;
#pragma unroll
    for (int tap = 0; tap < R * R; tap++) {
        bool is_mine = R != 7 || tap % place.warps == place.warp;
        float value = 0;
        if (is_mine && place.c < op.cut.in.C)
            value = map_widen(gpu_load(w + (size_t)tap * op.cut.ld));
        if (R != 7)
            lane->w[R == 7 ? 0 : tap] = value;
        else if (is_mine)
            memory.w[tap * DW_LANES + place.lane] = value;
    }
    for (int i = 0; i < DW_SUMS; i++)
        memory.sums[(place.warp * DW_SUMS + i) * DW_LANES + place.lane] = 0;
    if (place.warp == 0) {
        dw_fetch(memory.scale, op.x.scale, place, op.cut.in.C, 1);
        dw_fetch(memory.shift, op.x.shift, place, op.cut.in.C, 0);
    }
}

/* The gates of an item's images, between the rows of the item before and its own. */
static __device__ __forceinline__ void dw_forward_gates(const struct dw_forward_args &op,
                                                        const dw_forward_shared &memory,
                                                        const dw_place &place,
                                                        const struct dw_item &item)
{
    const int C = op.cut.in.C;
    __syncthreads();
    for (int image = place.warp; image < item.images && op.x.gate; image += place.warps)
        dw_fetch(memory.gate + image * DW_LANES, op.x.gate + (size_t)(item.image + image) * C,
                 place, C, 1);
    __syncthreads();
}

/* An item's sums, about a value of it, to this thread's. */
static __device__ __forceinline__ void dw_forward_end(shared<double> sums, const dw_place &place,
                                                      const raw_sums &item)
{
    shared<double> mine = sums + place.warp * DW_SUMS * DW_LANES + place.lane;
    double sum = mine[0], square = mine[DW_LANES];
    raw_sums_end(&item, &sum, &square);
    mine[0] = sum;
    mine[DW_LANES] = square;
}

/* This block's sums of its channels, to its part. */
static __device__ __forceinline__ void dw_forward_leave(const struct dw_forward_args &op,
                                                        const dw_place &place, shared<double> sums)
{
    const int block = (int)(blockIdx.x * gridDim.y + blockIdx.y);
    double *part = op.parts + (size_t)block * DW_SUMS * DW_LANES + place.lane;
    __syncthreads();
    for (int i = 0; i < DW_SUMS && place.warp == 0; i++) {
        double total = 0;
        for (int warp = 0; warp < place.warps; warp++)
            total += sums[(warp * DW_SUMS + i) * DW_LANES + place.lane];
        gpu_store(part + i * DW_LANES, total);
    }
}

static __device__ __forceinline__ void dw_forward_norm(const struct dw_forward_args &op,
                                                       const dw_place &place, shared<double> sums)
{
    const bool has_channel = place.warp == 0 && place.c < op.cut.out.C;
    double total[DW_SUMS];
    if (op.norm.kind == NORM_FIXED) {
        if (blockIdx.y == 0 && has_channel)
            norm_fix(op.norm, place.c);
        return;
    }
    dw_forward_leave(op, place, sums);
    if (!gpu_is_last_block(op.tickets + blockIdx.x, gridDim.y))
        return;
    dw_total(total, op.parts + (size_t)blockIdx.x * gridDim.y * DW_SUMS * DW_LANES, (int)gridDim.y,
             sums, place);
    if (has_channel)
        norm_finish(op.norm, op.cut.out.C, place.c, op.pixels, total[0], total[1]);
}

template <typename E, int R, int S, int T>
static __global__ void __launch_bounds__(dw_forward_bound(sizeof(E), R, S))
    dw_forward_kernel(struct dw_forward_args op)
{
    GPU_SHARED_DYNAMIC(rows);
    GPU_SHARED(float, channels, FORWARD_CHANNELS);
    GPU_SHARED(float, taps, R == 7 ? R * R * DW_LANES : 1);
    GPU_SHARED(double, room, DW_ROOM);
    const dw_forward_shared memory = {shared_cast<float>(rows), channels, channels + DW_LANES,
                                      channels + 2 * DW_LANES,  taps,     room};
    const dw_place place = dw_place_of(op.cut);
    const int first = (int)blockIdx.y * op.cut.run;
    int parity = 0;
    dw_forward_lane<R, S, T> lane;
    dw_forward_begin<E>(op, memory, place, &lane);
    for (int i = first; i < min(first + op.cut.run, op.cut.items); i++) {
        dw_forward_item item = dw_forward_item_at<R, S, T>(op, place, i);
        dw_forward_gates(op, memory, place, item.at);
        lane.sums = raw_sums_zero();
#pragma unroll
        for (int k = 0; k < dw_forward_tile<R, S, T>::slots; k++)
#pragma unroll
            for (int t = 0; t < T; t++)
                lane.z[k][t] = 0;
        dw_forward_run<E>(op, memory, place, item, &lane, &parity);
        dw_forward_end(memory.sums, place, lane.sums);
    }
    if (op.has_norm)
        dw_forward_norm(op, place, memory.sums);
}

static struct dw_cut dw_forward_cut(const struct conv *conv)
{
    int least = 16 * (conv->R - 1) / conv->S;
    struct dims out = conv_out(conv);
    struct dw_walk walk = {};
    walk.H = out.H;
    walk.W = out.W;
    walk.width = FORWARD_WIDTH;
    walk.warps = DW_WARPS;
    walk.least_rows = dw_is_small(conv->in) ? 4 : least;
    walk.blocks = 1024;
    walk.groups = 256;
    return dw_cut_of(conv, &walk);
}

static size_t parts_bytes(const struct dw_cut *cut)
{
    return (size_t)cut->tiles * cut->groups * DW_SUMS * DW_LANES * sizeof(double);
}

size_t cuda_dw_forward_plan(const struct work *work, enum precision precision)
{
    struct dw_cut cut = dw_forward_cut(&work->conv);
    (void)precision;
    return parts_bytes(&cut);
}

/* The view of two rows. */
static size_t rows_bytes(const struct conv *conv, const struct dw_cut *cut)
{
    int columns = (cut->columns * FORWARD_WIDTH - 1) * conv->S + conv->R;
    return (size_t)(2 * cut->images * columns) * DW_LANES * sizeof(float);
}

typedef void dw_forward_fn(struct dw_forward_args);

template <typename E> static dw_forward_fn *kernel_of(int R, int S)
{
    static dw_forward_fn *const kernels[3][2] = {
        {dw_forward_kernel<E, 3, 1, FORWARD_WIDTH>, dw_forward_kernel<E, 3, 2, FORWARD_WIDTH>},
        {dw_forward_kernel<E, 5, 1, FORWARD_WIDTH>, dw_forward_kernel<E, 5, 2, FORWARD_WIDTH>},
        {dw_forward_kernel<E, 7, 1, FORWARD_WIDTH>, dw_forward_kernel<E, 7, 2, FORWARD_WIDTH>}};
    return kernels[(R - 3) / 2][S - 1];
}

void cuda_dw_forward(struct device *device, const struct conv *conv, struct view x, const void *w,
                     void *z, const struct norm_forward *norm)
{
    struct cuda *cuda = cuda_of(device);
    struct work work = {};
    struct dw_forward_args op = {};
    op.cut = dw_forward_cut(conv);
    work.kind = WORK_DW_FORWARD;
    work.conv = *conv;
    op.parts = (double *)cuda_scratch(cuda, &work, parts_bytes(&op.cut));
    if (!op.parts)
        return;
    op.x = x;
    op.w = w;
    op.z = z;
    op.has_norm = norm != NULL;
    if (norm)
        op.norm = *norm;
    op.pixels = dims_pixels(op.cut.out);
    op.tickets = cuda->tickets;
    op.is_aligned = dw_is_aligned(x.z, conv->in.C, device->map_bytes);
    cuda_launch(
        cuda, "dw_forward",
        (cuda->precision == PRECISION_BF16 ? kernel_of<bf16> : kernel_of<float>)(conv->R, conv->S),
        dim3((unsigned)op.cut.tiles, (unsigned)op.cut.groups), dim3((unsigned)dw_threads(&op.cut)),
        rows_bytes(conv, &op.cut), &op);
    device->traffic.raw_bytes += device->map_bytes * (size_t)op.pixels * (size_t)op.cut.out.C;
}
