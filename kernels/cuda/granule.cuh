/* A granule is 16 bytes of a map's row: 4 floats or 8 bf16, the unit in which products load. It is
 * fetched as it lies, kept in registers while others compute, and made an operand when it is stored
 * to shared memory: seen through its view, or formed as a gradient, and rounded
 * (docs/precision.md).
 *
 * V is the width of an access to memory: a granule's, or 1 where the number of channels or an
 * address does not allow it. Channels behind the last are 0 in z, q and in the tables of numbers
 * per channel, and so in every operand. */
#ifndef KERNELS_CUDA_GRANULE_CUH
#define KERNELS_CUDA_GRANULE_CUH

#include "kernels/cuda/view.cuh"

union granule {
    uint4 bits;
    uint32_t words[4];
    uint16_t halves[8];
};

static __device__ __forceinline__ granule granule_zero(void)
{
    granule zero;
    zero.bits = make_uint4(0, 0, 0, 0);
    return zero;
}

static __device__ __forceinline__ void granule_put(granule *to, int i, float value)
{
    to->words[i] = __float_as_uint(value);
}

static __device__ __forceinline__ void granule_put(granule *to, int i, bf16 value)
{
    to->halves[i] = value.bits;
}

/* The first `there` elements (<= 0: none is read), the others 0. V > 1: all or none. */
template <typename E, int V>
static __device__ __forceinline__ granule granule_load(const E *from, int there)
{
    granule to = granule_zero();
    if (V > 1 && there > 0)
        to.bits = gpu_load(reinterpret_cast<const uint4 *>(from));
#pragma unroll
    for (int i = 0; i < map_width<E>::value; i++)
        if (V == 1 && i < there)
            granule_put(&to, i, gpu_load(from + i));
    return to;
}

template <typename E, int W>
static __device__ __forceinline__ void granule_widen(float (&to)[W], granule from)
{
#pragma unroll
    for (int i = 0; i < W; i++)
        to[i] = sizeof(E) == 4 ? __uint_as_float(from.words[sizeof(E) == 4 ? i : 0])
                               : __uint_as_float((uint32_t)from.halves[i] << 16);
}

template <typename E, int W>
static __device__ __forceinline__ granule granule_narrow(const float (&from)[W])
{
    granule to;
#pragma unroll
    for (int i = 0; i < W; i++)
        if (sizeof(E) == 4)
            to.words[sizeof(E) == 4 ? i : 0] = __float_as_uint(from[i]);
        else if (i % 2)
            to.words[i / 2] = ptx_bf16_pair(from[i ? i - 1 : 0], from[i]);
    return to;
}

/* W floats of a table in shared memory, 16-aligned. */
template <int W>
static __device__ __forceinline__ void granule_numbers(float (&to)[W], shared<float> table)
{
#pragma unroll
    for (int i = 0; i < W; i += 4) {
        float4 four = shared_load<float4>(table + i);
        to[i] = four.x;
        to[i + 1] = four.y;
        to[i + 2] = four.z;
        to[i + 3] = four.w;
    }
}

/* The same of a row of gates or of p in memory; NULL: `otherwise`. V > 1: 16-aligned. */
template <int V, int W>
static __device__ __forceinline__ void granule_row(float (&to)[W], const float *row, int there,
                                                   float otherwise)
{
#pragma unroll
    for (int i = 0; i < W; i++)
        to[i] = otherwise;
    if (!row)
        return;
#pragma unroll
    for (int i = 0; i < W; i += 4) {
        if (V > 1 && i < there) {
            float4 four = gpu_load(reinterpret_cast<const float4 *>(row + i));
            to[i] = four.x;
            to[i + 1] = four.y;
            to[i + 2] = four.z;
            to[i + 3] = four.w;
        }
        for (int j = i; V == 1 && j < i + 4; j++)
            if (j < there)
                to[j] = gpu_load(row + j);
    }
}

/* Numbers per channel, each array padded with zeros to `padded`: scale, shift; behind them of a
 * gradient a, b, c. */
struct channel_tables {
    shared<float> first;
    int padded;
};

enum { VIEW_TABLES = 2, GRAD_TABLES = 5 };

/* Channels [c0, c0 + padded) of C. By all threads of a block; a __syncthreads() makes it whole. */
static __device__ __forceinline__ void channel_tables_view(channel_tables tables,
                                                           const struct view &view, int c0, int C)
{
    for (int i = (int)threadIdx.x; i < tables.padded; i += (int)blockDim.x) {
        view_channel k = {0, 0};
        if (c0 + i < C)
            k = view_channel_load(view, c0 + i);
        tables.first[i] = k.scale;
        tables.first[tables.padded + i] = k.shift;
    }
}

static __device__ __forceinline__ void channel_tables_grad(channel_tables tables,
                                                           const struct grad &grad, int c0, int C)
{
    for (int i = (int)threadIdx.x; i < tables.padded; i += (int)blockDim.x) {
        grad_channel k = {0, 0, 0, 0, 0};
        if (c0 + i < C)
            k = grad_channel_load(grad, c0 + i);
        tables.first[i] = k.scale;
        tables.first[tables.padded + i] = k.shift;
        tables.first[2 * tables.padded + i] = k.a;
        tables.first[3 * tables.padded + i] = k.b;
        tables.first[4 * tables.padded + i] = k.c;
    }
}

template <int W> struct granule_channels { /* of one granule */
    float scale[W], shift[W];
};

template <int W>
static __device__ __forceinline__ void granule_act(const enum act act, float (&z)[W],
                                                   const granule_channels<W> &k)
{
#pragma unroll
    for (int i = 0; i < W; i++) {
        view_channel channel = {k.scale[i], k.shift[i]};
        z[i] = view_value(act, channel, z[i]);
    }
}

/* y of a granule whose first channel is i in the tables; `gate` its place in the image's row of
 * gates, or NULL. */
template <typename E, int V>
static __device__ __forceinline__ granule granule_view(const struct view &view,
                                                       channel_tables tables, int i, granule raw,
                                                       const float *gate, int there)
{
    const int W = map_width<E>::value;
    float z[W], factor[W];
    granule_channels<W> k;
    granule_widen<E>(z, raw);
    granule_numbers(k.scale, tables.first + i);
    granule_numbers(k.shift, tables.first + tables.padded + i);
    switch (view.act) {
    case ACT_NONE:
        granule_act(ACT_NONE, z, k);
        break;
    case ACT_RELU:
        granule_act(ACT_RELU, z, k);
        break;
    case ACT_RELU6:
        granule_act(ACT_RELU6, z, k);
        break;
    case ACT_HSWISH:
        granule_act(ACT_HSWISH, z, k);
        break;
    }
    if (gate) {
        granule_row<V>(factor, gate, there, 0);
#pragma unroll
        for (int j = 0; j < W; j++)
            z[j] *= factor[j];
    }
    return granule_narrow<E>(z);
}

/* g of a granule: q becomes (q s + p) act'(scale z + shift). */
template <int W>
static __device__ __forceinline__ void
granule_slope(const enum act act, float (&q)[W], const float (&z)[W], const granule_channels<W> &k)
{
#pragma unroll
    for (int i = 0; i < W; i++)
        q[i] = act_backward(act, q[i], fmaf(z[i], k.scale[i], k.shift[i]));
}

template <int W>
static __device__ __forceinline__ void
granule_chain(enum act act, float (&q)[W], const float (&z)[W], channel_tables tables, int i)
{
    granule_channels<W> k;
    if (act == ACT_NONE)
        return;
    granule_numbers(k.scale, tables.first + i);
    granule_numbers(k.shift, tables.first + tables.padded + i);
    if (act == ACT_RELU)
        granule_slope(ACT_RELU, q, z, k);
    else if (act == ACT_RELU6)
        granule_slope(ACT_RELU6, q, z, k);
    else
        granule_slope(ACT_HSWISH, q, z, k);
}

struct granule_rows { /* a granule's place in the image's row of gates and of p; or NULL */
    const float *gate, *p;
};

/* dz of a granule. */
template <typename E, int V>
static __device__ __forceinline__ granule granule_grad(const struct grad &grad,
                                                       channel_tables tables, int i, granule raw_z,
                                                       granule raw_q, granule_rows rows, int there)
{
    const int W = map_width<E>::value;
    float z[W], q[W], k[W], add[W];
    granule_widen<E>(z, raw_z);
    granule_widen<E>(q, raw_q);
    if (rows.gate || rows.p) {
        granule_row<V>(k, rows.gate, there, 1);
        granule_row<V>(add, rows.p, there, 0);
#pragma unroll
        for (int j = 0; j < W; j++)
            q[j] = fmaf(q[j], k[j], add[j]);
    }
    granule_chain(grad.of.act, q, z, tables, i);
    if (grad.a) {
        granule_numbers(k, tables.first + 3 * tables.padded + i);
        granule_numbers(add, tables.first + 4 * tables.padded + i);
#pragma unroll
        for (int j = 0; j < W; j++)
            add[j] = fmaf(k[j], z[j], add[j]);
        granule_numbers(k, tables.first + 2 * tables.padded + i);
#pragma unroll
        for (int j = 0; j < W; j++)
            q[j] = fmaf(k[j], q[j], add[j]);
    }
    return granule_narrow<E>(q);
}

/* Two neighbours of a row, as a lane of a product has them. */
template <typename E> struct pair_access {
    typedef typename map_access<2 * (int)sizeof(E)>::type type;
};

template <typename E>
static __device__ __forceinline__ void pair_load(float (&to)[2], shared<E> from)
{
    map_bits<E, 2> bits;
    bits.access = shared_load<typename pair_access<E>::type>(from);
#pragma unroll
    for (int i = 0; i < 2; i++)
        to[i] = sizeof(E) == 4 ? __uint_as_float(bits.words[sizeof(E) == 4 ? i : 0])
                               : __uint_as_float((uint32_t)bits.halves[i] << 16);
}

/* Rounded. */
template <typename E>
static __device__ __forceinline__ void pair_store(shared<E> to, float first, float second)
{
    map_bits<E, 2> bits;
    if (sizeof(E) == 2)
        bits.words[0] = ptx_bf16_pair(first, second);
    else
        bits.words[0] = __float_as_uint(first);
    if (sizeof(E) == 4)
        bits.words[sizeof(E) == 4 ? 1 : 0] = __float_as_uint(second);
    shared_store(to, bits.access);
}

#endif
