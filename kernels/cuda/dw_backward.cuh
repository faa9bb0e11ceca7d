/* What a thread of a depthwise backward does with rows: those of dz, formed while they are loaded;
 * of the input, kept in rings; of the input's gradient, stored and summed for the sink. */
#ifndef KERNELS_CUDA_DW_BACKWARD_CUH
#define KERNELS_CUDA_DW_BACKWARD_CUH

#include "kernels/cuda/dw.cuh"

struct dw_backward_args {
    struct dw_cut cut;
    struct grad dz;
    struct view x;
    const void *w;
    struct grad_sink sink;
    struct norm_backward norm;
    bool has_sink, has_norm, is_aligned;
    bool is_x; /* the sink's tensor is x */
    double pixels;
    float *dw;
    int teams, team;     /* of groups, whose weights are added up by the last of them */
    float *weight_parts; /* (tiles,groups,R*R,DW_LANES) */
    double *weight_sums; /* (tiles,teams,R*R,DW_LANES), of several teams */
    double *sum_parts;   /* (tiles,groups,DW_SUMS,DW_LANES) */
    double *gate_parts;  /* (N,strips * bands,3,C), or NULL: an image has one item */
    unsigned *tickets;   /* (tiles) and (tiles,teams) */
};

enum { GATE_SUMS = 3 };

/* T, the input columns of a thread: its registers hold R rows of them beside the taps' gradients.
 */
static constexpr int backward_width(size_t element_bytes, int R)
{
    return R > 3 && element_bytes == 4 ? 4 : 8;
}

/* Threads that a multiprocessor shall have room for: what bounds the registers of one. */
static constexpr int dw_backward_bound(size_t element_bytes, int R)
{
    return R == 3 && element_bytes == 2 ? 384 : 256;
}

/* Of a thread: T columns of the input. */
template <int R, int S, int T> struct dw_backward_tile {
    static const int reach = (T + R - 2) / S + 1; /* columns of dz that they met */
    static const int loads = (reach * DW_QUADS + GPU_WARP - 1) / GPU_WARP;
};

/* One thread's registers. */
template <typename E, int R, int S, int T> struct dw_backward_lane {
    float w[R == 7 ? 1 : R * R]; /* those of a side of 7 stay in shared memory */
    float dw[R * R];
    float q[R][T];
    E coming[S][T]; /* rows of x on their way */
    sink_sums sums; /* of this item */
};

/* Rows of one channel for the views of the input and of the sink, and of four for dz. */
enum dw_backward_row {
    ROW_DZ_SCALE,
    ROW_DZ_SHIFT,
    ROW_DZ_A,
    ROW_DZ_B,
    ROW_DZ_C,
    ROW_X_SCALE,
    ROW_X_SHIFT,
    ROW_OF_SCALE,
    ROW_OF_SHIFT,
    ROW_OF_MEAN,
    ROW_S,                          /* of each image */
    ROW_P = ROW_S + DW_IMAGES,      /* of each image */
    ROW_X_GATE = ROW_P + DW_IMAGES, /* of each image */
    BACKWARD_ROWS = ROW_X_GATE + DW_IMAGES
};

/* Shared memory of a block. What is (R,T,threads) is a thread's own: a ring of rows. */
template <typename E> struct dw_backward_shared {
    shared<double> weights; /* (R*R,DW_LANES) sums of this block */
    shared<double> sums;    /* (GATE_SUMS,threads) */
    shared<float> dz;       /* (2,images * columns,DW_LANES) */
    shared<float> y;        /* (R,T,threads) the view of x */
    shared<float> channels; /* (BACKWARD_ROWS,DW_LANES) */
    shared<float> w;        /* (R*R,DW_LANES) */
    shared<E> z;            /* (R,T,threads) x as it is stored */
};

struct dw_backward_item {
    struct dw_item at;
    struct dw_window window; /* of dz */
    int first, end;          /* input rows */
    int from, last;          /* rows of dz that meet them, those behind the map too */
    int column;              /* the first of this thread's, may be -1 */
    ptrdiff_t base;          /* of its element in row 0 of the image, in the maps of the input */
    bool is_there;           /* image and channel */
    bool is_whole;           /* and all of its columns */
};

template <int R, int S, int T>
static __device__ __forceinline__ dw_backward_item
dw_backward_item_at(const struct dw_backward_args &op, const dw_place &place, int i)
{
    const struct dw_cut &cut = op.cut;
    dw_backward_item item = {};
    item.at = dw_item_at(cut, i);
    int odd = cut.left % S, column = item.at.strip * cut.columns * T - odd;
    item.window.map = cut.out;
    item.window.columns = (cut.columns * T + R - 2) / S + 1;
    item.window.first = (column + cut.left - (R - 1)) / S; /* without a rest */
    item.window.images = item.at.images;
    item.first = item.at.band * cut.rows;
    item.end = min(item.first + cut.rows, cut.in.H);
    item.from = max(0, item.first + cut.top - (R - 1) + S - 1) / S;
    item.last = (item.end - 1 + cut.top) / S;
    if (!op.has_sink)
        item.last = min(item.last, cut.out.H - 1);
    item.column = column + place.tile * T;
    ptrdiff_t rows = (ptrdiff_t)(item.at.image + place.image) * cut.in.H;
    item.base = (rows * cut.in.W + item.column) * cut.in.C + place.c;
    item.is_there = place.image < item.at.images && place.c < cut.in.C;
    item.is_whole = item.is_there && item.column >= 0 && item.column + T <= cut.in.W;
    return item;
}

/* Whether column t of this thread is one of the map. */
static __device__ __forceinline__ bool dw_has_column(const struct dw_backward_args &op,
                                                     const dw_backward_item &item, int t)
{
    return item.is_there && item.column + t >= 0 && item.column + t < op.cut.in.W;
}

static __device__ __forceinline__ bool dw_has_row(const dw_backward_item &item, int row)
{
    return row >= item.first && row < item.end;
}

/* Row `row` of x, or what is left of the map's columns. */
template <typename E, int T>
static __device__ __forceinline__ void dw_backward_load(const struct dw_backward_args &op,
                                                        const dw_backward_item &item,
                                                        const void *map, int row, E (&to)[T])
{
    const int C = op.cut.in.C;
    const E *from = (const E *)map + item.base + row * op.cut.in.W * C;
    if (item.is_whole) {
#pragma unroll
        for (int t = 0; t < T; t++)
            to[t] = gpu_load(from + t * C);
        return;
    }
#pragma unroll
    for (int t = 0; t < T; t++)
        to[t] = dw_has_column(op, item, t) ? gpu_load(from + t * C) : map_narrow<E>(0);
}

/* Four numbers of a thread at a time: (T / 4,threads,4) of a slot. */
static __device__ __forceinline__ int dw_ring_at(int slot, int T, int t)
{
    return ((slot * T + t) / 4 * (int)blockDim.x + (int)threadIdx.x) * 4;
}

template <typename E> struct dw_four {
    typedef typename map_access<4 * (int)sizeof(E)>::type access;
};

template <typename E, int T>
static __device__ __forceinline__ void dw_ring_write(shared<E> ring, int slot, const E (&row)[T])
{
#pragma unroll
    for (int t = 0; t < T; t += 4) {
        map_bits<E, 4> bits;
#pragma unroll
        for (int i = 0; i < 4; i++)
            dw_bits_set(&bits, i, row[t + i]);
        shared_store(ring + dw_ring_at(slot, T, t), bits.access);
    }
}

/* Widened. */
template <typename E, int T>
static __device__ __forceinline__ void dw_ring_read(shared<E> ring, int slot, float (&row)[T])
{
#pragma unroll
    for (int t = 0; t < T; t += 4) {
        map_bits<E, 4> bits;
        float four[4];
        bits.access = shared_load<typename dw_four<E>::access>(ring + dw_ring_at(slot, T, t));
        dw_widen<E>(four, bits);
#pragma unroll
        for (int i = 0; i < 4; i++)
            row[t + i] = four[i];
    }
}

static __device__ __forceinline__ float dw_channel_of(shared<float> channels, int row,
                                                      const dw_place &place)
{
    return channels[row * DW_LANES + place.lane];
}

/* A row goes to a slot of the rings; outside the map its view is 0. */
template <typename E, int T>
static __device__ __forceinline__ void
dw_backward_keep(const struct dw_backward_args &op, const dw_backward_shared<E> &memory,
                 const dw_place &place, const dw_backward_item &item, int slot, const E (&row)[T])
{
    float scale = dw_channel_of(memory.channels, ROW_X_SCALE, place);
    float shift = dw_channel_of(memory.channels, ROW_X_SHIFT, place);
    float gate = op.x.gate ? dw_channel_of(memory.channels, ROW_X_GATE + place.image, place) : 1.0f;
    float y[T];
#pragma unroll
    for (int t = 0; t < T; t++)
        y[t] = fmaf(map_widen(row[t]), scale, shift);
    dw_act(op.x.act, y);
#pragma unroll
    for (int t = 0; t < T && op.x.gate; t++)
        y[t] *= gate;
#pragma unroll
    for (int t = 0; t < T && !item.is_whole; t++)
        y[t] = dw_has_column(op, item, t) ? y[t] : 0.0f;
    dw_ring_write(memory.y, slot, y);
    if (op.is_x)
        dw_ring_write(memory.z, slot, row);
}

/* A row that is none of the item's: it adds nothing to the weights. */
template <typename E, int T>
static __device__ __forceinline__ void dw_backward_skip(const dw_backward_shared<E> &memory,
                                                        int slot)
{
    const float zeros[T] = {};
    dw_ring_write(memory.y, slot, zeros);
}

/* dz of four channels; `channels` at the first of them. */
template <typename E>
static __device__ __forceinline__ void dw_form(const struct grad &grad, shared<float> channels,
                                               int image, const map_bits<E, 4> &q_bits,
                                               const map_bits<E, 4> &z_bits, float (&dz)[4])
{
    float q[4] = {0, 0, 0, 0}, z[4], x[4], k[4], b[4], c[4];
    dw_widen<E>(z, z_bits);
    if (grad.q)
        dw_widen<E>(q, q_bits);
    if (grad.of.gate || grad.p) {
        dw_quad_read(k, channels + (ROW_S + image) * DW_LANES);
        dw_quad_read(b, channels + (ROW_P + image) * DW_LANES);
#pragma unroll
        for (int i = 0; i < 4; i++)
            q[i] = fmaf(q[i], k[i], b[i]);
    }
    dw_quad_read(k, channels + ROW_DZ_SCALE * DW_LANES);
    dw_quad_read(b, channels + ROW_DZ_SHIFT * DW_LANES);
#pragma unroll
    for (int i = 0; i < 4; i++)
        x[i] = fmaf(z[i], k[i], b[i]);
    dw_act_backward(grad.of.act, q, x);
    dw_quad_read(k, channels + ROW_DZ_A * DW_LANES);
    dw_quad_read(b, channels + ROW_DZ_B * DW_LANES);
    dw_quad_read(c, channels + ROW_DZ_C * DW_LANES);
#pragma unroll
    for (int i = 0; i < 4; i++)
        dz[i] = fmaf(k[i], q[i], fmaf(b[i], z[i], c[i]));
}

/* What came of a row of q and of z becomes dz. */
template <typename E, int K>
static __device__ __forceinline__ void
dw_backward_form(const struct dw_backward_args &op, const dw_backward_shared<E> &memory,
                 const dw_backward_item &item, const dw_aim<K> &aim, const dw_row<E, K> &q,
                 const dw_row<E, K> &z, shared<float> to)
{
    shared<float> channels = memory.channels + (int)threadIdx.x % DW_QUADS * 4;
    int quads = op.cut.images * item.window.columns * DW_QUADS;
#pragma unroll
    for (int k = 0; k < K; k++) {
        int quad = (int)(threadIdx.x + k * blockDim.x);
        float dz[4] = {0, 0, 0, 0};
        if (quad >= quads)
            break;
        if (aim.offset[k] >= 0)
            dw_form<E>(op.dz, channels, dw_image_of(dw_pixel(k), item.window.columns), q.quads[k],
                       z.quads[k], dz);
        dw_quad_write(to + quad * 4, dz);
    }
}

/* Column t of the input met column (t - tap + R - 1) / S of dz by a tap, where that has no rest.
 * The input rows move up by S and get what the row of dz adds to them. */
template <typename E, int R, int S, int T, int D>
static __device__ __forceinline__ void dw_backward_inputs(dw_backward_lane<E, R, S, T> *lane,
                                                          const float (&dz)[D], shared<float> taps)
{
#pragma unroll
    for (int k = 0; k < R; k++) {
        float w[R];
#pragma unroll
        for (int i = 0; i < R; i++)
            w[i] = R == 7 ? (float)taps[(k * R + i) * DW_LANES] : lane->w[R == 7 ? 0 : k * R + i];
#pragma unroll
        for (int t = 0; t < T; t++) {
            float q = k + S < R ? lane->q[k + S < R ? k + S : 0][t] : 0.0f;
#pragma unroll
            for (int i = 0; i < R; i++)
                if ((t - i + R - 1) % S == 0)
                    q = fmaf(dz[(t - i + R - 1) / S], w[i], q);
            lane->q[k][t] = q;
        }
    }
}

template <typename E, int R, int S, int T>
static __device__ __forceinline__ void dw_backward_move_up(dw_backward_lane<E, R, S, T> *lane)
{
#pragma unroll
    for (int k = 0; k < R; k++)
#pragma unroll
        for (int t = 0; t < T; t++)
            lane->q[k][t] = k + S < R ? lane->q[k + S < R ? k + S : 0][t] : 0.0f;
}

/* dw of the taps of kernel row k: y, the input row that met dz by them. */
template <typename E, int R, int S, int T, int D>
static __device__ __forceinline__ void dw_backward_weights(dw_backward_lane<E, R, S, T> *lane,
                                                           int k, const float (&dz)[D],
                                                           const float (&y)[T])
{
#pragma unroll
    for (int t = 0; t < T; t++)
#pragma unroll
        for (int i = 0; i < R; i++)
            if ((t - i + R - 1) % S == 0)
                lane->dw[k * R + i] = fmaf(dz[(t - i + R - 1) / S], y[t], lane->dw[k * R + i]);
}

/* What the sink asks of a row: q as it was stored, z of its tensor. */
template <int T>
static __device__ __forceinline__ void
dw_backward_sum(const struct dw_backward_args &op, shared<float> channels, const dw_place &place,
                const float (&q)[T], const float (&z)[T], sink_sums *sums)
{
    float mean = dw_channel_of(channels, ROW_OF_MEAN, place);
    float scale = dw_channel_of(channels, ROW_OF_SCALE, place);
    float shift = dw_channel_of(channels, ROW_OF_SHIFT, place);
    float x[T], g[T];
#pragma unroll
    for (int t = 0; t < T; t++) {
        x[t] = fmaf(z[t], scale, shift);
        g[t] = q[t];
    }
    dw_act_backward(op.sink.of.act, g, x);
#pragma unroll
    for (int t = 0; t < T; t++) {
        sums->sum += g[t];
        sums->moment = fmaf(g[t], z[t] - mean, sums->moment);
    }
    if (!op.sink.gate_sums)
        return;
    dw_act(op.sink.of.act, x);
#pragma unroll
    for (int t = 0; t < T; t++)
        sums->gated = fmaf(q[t], x[t], sums->gated);
}

/* Input row `row`, the uppermost but s, is complete; its x is in `slot`. */
template <typename E, int R, int S, int T>
static __device__ __forceinline__ void
dw_backward_store(const struct dw_backward_args &op, const dw_backward_shared<E> &memory,
                  const dw_place &place, const dw_backward_item &item,
                  dw_backward_lane<E, R, S, T> *lane, int s, int row, int slot)
{
    const int C = op.cut.in.C;
    E *to = (E *)op.sink.q + item.base + row * op.cut.in.W * C;
    E other[T];
    float q[T], z[T];
    if (op.sink.add) {
        dw_backward_load(op, item, op.sink.add, row, other);
#pragma unroll
        for (int t = 0; t < T; t++)
            lane->q[s][t] += map_widen(other[t]);
    }
#pragma unroll
    for (int t = 0; t < T; t++)
        other[t] = map_narrow<E>(lane->q[s][t]);
    if (item.is_whole) {
#pragma unroll
        for (int t = 0; t < T; t++)
            gpu_store(to + t * C, other[t]);
    } else {
#pragma unroll
        for (int t = 0; t < T; t++)
            if (dw_has_column(op, item, t))
                gpu_store(to + t * C, other[t]);
            else
                other[t] = map_narrow<E>(0);
    }
#pragma unroll
    for (int t = 0; t < T; t++)
        q[t] = map_widen(other[t]);
    if (!op.sink.sums && !op.sink.gate_sums)
        return;
    if (op.is_x) {
        dw_ring_read(memory.z, slot, z);
    } else {
        dw_backward_load(op, item, op.sink.of.z, row, other);
#pragma unroll
        for (int t = 0; t < T; t++)
            z[t] = map_widen(other[t]);
    }
    dw_backward_sum(op, memory.channels, place, q, z, &lane->sums);
}

#endif
