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

/* An operand is made four channels at a time, which keeps registers few: `fours` of a granule. */
template <typename E> struct granule_fours {
    static const int value = map_width<E>::value / 4;
};

template <typename E>
static __device__ __forceinline__ void granule_widen(float (&to)[4], granule from, int four)
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        to[i] = sizeof(E) == 4 ? __uint_as_float(from.words[i])
                               : __uint_as_float((uint32_t)from.halves[four * 4 + i] << 16);
}

template <typename E>
static __device__ __forceinline__ void granule_narrow(granule *to, int four, const float (&from)[4])
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (sizeof(E) == 4)
            to->words[i] = __float_as_uint(from[i]);
        else if (i % 2)
            to->words[four * 2 + i / 2] = ptx_bf16_pair(from[i ? i - 1 : 0], from[i]);
}

/* Four of a row of gates or of p in memory; NULL: `otherwise`. V > 1: 16-aligned. */
template <int V>
static __device__ __forceinline__ void granule_row(float (&to)[4], const float *row, int there,
                                                   float otherwise)
{
    float4 four = make_float4(otherwise, otherwise, otherwise, otherwise);
    if (V > 1 && row && there > 0)
        four = gpu_load(reinterpret_cast<const float4 *>(row));
    to[0] = four.x;
    to[1] = four.y;
    to[2] = four.z;
    to[3] = four.w;
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (V == 1 && row && i < there)
            to[i] = gpu_load(row + i);
}

/* Numbers per channel, each array padded with zeros to `padded`: scale, shift; behind them of a
 * gradient a, b, c. An array has the first fours of all granules, then the second ones: neighbours
 * read neighbours. */
struct channel_tables {
    shared<float> first;
    int padded;
};

enum channel_table {
    TABLE_SCALE,
    TABLE_SHIFT,
    VIEW_TABLES,
    TABLE_A = VIEW_TABLES,
    TABLE_B,
    TABLE_C,
    GRAD_TABLES
};

template <typename E>
static __device__ __forceinline__ int channel_tables_index(channel_tables tables, int i)
{
    const int W = map_width<E>::value, FOURS = granule_fours<E>::value;
    return i % W / 4 * (tables.padded / FOURS) + i / W * 4 + i % 4;
}

/* Channels [c0, c0 + padded) of C. By all threads of a block; a __syncthreads() makes it whole. */
template <typename E>
static __device__ __forceinline__ void channel_tables_view(channel_tables tables,
                                                           const struct view &view, int c0, int C)
{
    for (int i = (int)threadIdx.x; i < tables.padded; i += (int)blockDim.x) {
        shared<float> to = tables.first + channel_tables_index<E>(tables, i);
        view_channel k = {0, 0};
        if (c0 + i < C)
            k = view_channel_load(view, c0 + i);
        to[TABLE_SCALE * tables.padded] = k.scale;
        to[TABLE_SHIFT * tables.padded] = k.shift;
    }
}

template <typename E>
static __device__ __forceinline__ void channel_tables_grad(channel_tables tables,
                                                           const struct grad &grad, int c0, int C)
{
    for (int i = (int)threadIdx.x; i < tables.padded; i += (int)blockDim.x) {
        shared<float> to = tables.first + channel_tables_index<E>(tables, i);
        grad_channel k = {0, 0, 0, 0, 0};
        if (c0 + i < C)
            k = grad_channel_load(grad, c0 + i);
        to[TABLE_SCALE * tables.padded] = k.scale;
        to[TABLE_SHIFT * tables.padded] = k.shift;
        to[TABLE_A * tables.padded] = k.a;
        to[TABLE_B * tables.padded] = k.b;
        to[TABLE_C * tables.padded] = k.c;
    }
}

/* A four of the granule that begins at channel i of the tables. */
template <typename E>
static __device__ __forceinline__ void granule_numbers(float (&to)[4], channel_tables tables,
                                                       enum channel_table table, int i, int four)
{
    int at = (int)table * tables.padded + four * (tables.padded / granule_fours<E>::value) +
             i / granule_fours<E>::value;
    float4 numbers = shared_load<float4>(tables.first + at);
    to[0] = numbers.x;
    to[1] = numbers.y;
    to[2] = numbers.z;
    to[3] = numbers.w;
}

static __device__ __forceinline__ void granule_act(const enum act act, float (&z)[4],
                                                   const float (&scale)[4], const float (&shift)[4])
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        view_channel channel = {scale[i], shift[i]};
        z[i] = view_value(act, channel, z[i]);
    }
}

static __device__ __forceinline__ void
granule_activate(enum act act, float (&z)[4], const float (&scale)[4], const float (&shift)[4])
{
    if (act == ACT_NONE)
        granule_act(ACT_NONE, z, scale, shift);
    else if (act == ACT_RELU)
        granule_act(ACT_RELU, z, scale, shift);
    else if (act == ACT_RELU6)
        granule_act(ACT_RELU6, z, scale, shift);
    else
        granule_act(ACT_HSWISH, z, scale, shift);
}

/* y of a granule whose first channel is i in the tables; `gate` its place in the image's row of
 * gates, or NULL. */
template <typename E, int V>
static __device__ __forceinline__ granule granule_view(const struct view &view,
                                                       channel_tables tables, int i, granule raw,
                                                       const float *gate, int there)
{
    granule made;
#pragma unroll
    for (int four = 0; four < granule_fours<E>::value; four++) {
        float z[4], k[4], shift[4];
        granule_widen<E>(z, raw, four);
        granule_numbers<E>(k, tables, TABLE_SCALE, i, four);
        granule_numbers<E>(shift, tables, TABLE_SHIFT, i, four);
        granule_activate(view.act, z, k, shift);
        if (gate) {
            granule_row<V>(k, gate + four * 4, there - four * 4, 0);
#pragma unroll
            for (int j = 0; j < 4; j++)
                z[j] *= k[j];
        }
        granule_narrow<E>(&made, four, z);
    }
    return made;
}

/* g: q becomes q act'(scale z + shift). */
static __device__ __forceinline__ void granule_slope(const enum act act, float (&q)[4],
                                                     const float (&z)[4], const float (&scale)[4],
                                                     const float (&shift)[4])
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        q[i] = act_backward(act, q[i], fmaf(z[i], scale[i], shift[i]));
}

template <typename E>
static __device__ __forceinline__ void granule_chain(enum act act, float (&q)[4],
                                                     const float (&z)[4], channel_tables tables,
                                                     int i, int four)
{
    float scale[4], shift[4];
    if (act == ACT_NONE)
        return;
    granule_numbers<E>(scale, tables, TABLE_SCALE, i, four);
    granule_numbers<E>(shift, tables, TABLE_SHIFT, i, four);
    if (act == ACT_RELU)
        granule_slope(ACT_RELU, q, z, scale, shift);
    else if (act == ACT_RELU6)
        granule_slope(ACT_RELU6, q, z, scale, shift);
    else
        granule_slope(ACT_HSWISH, q, z, scale, shift);
}

/* dz: a g + (b z + c). */
template <typename E>
static __device__ __forceinline__ void granule_norm(float (&q)[4], const float (&z)[4],
                                                    channel_tables tables, int i, int four)
{
    float k[4], sum[4];
    granule_numbers<E>(k, tables, TABLE_B, i, four);
    granule_numbers<E>(sum, tables, TABLE_C, i, four);
#pragma unroll
    for (int j = 0; j < 4; j++)
        sum[j] = fmaf(k[j], z[j], sum[j]);
    granule_numbers<E>(k, tables, TABLE_A, i, four);
#pragma unroll
    for (int j = 0; j < 4; j++)
        q[j] = fmaf(k[j], q[j], sum[j]);
}

struct granule_rows { /* a granule's place in the image's row of gates and of p; or NULL */
    const float *gate, *p;
};

/* dz of a granule: grad_value(). */
template <typename E, int V>
static __device__ __forceinline__ granule granule_grad(const struct grad &grad,
                                                       channel_tables tables, int i, granule raw_z,
                                                       granule raw_q, granule_rows rows, int there)
{
    granule made;
#pragma unroll
    for (int four = 0; four < granule_fours<E>::value; four++) {
        float z[4], q[4];
        granule_widen<E>(z, raw_z, four);
        granule_widen<E>(q, raw_q, four);
        if (rows.gate || rows.p) {
            float s[4], p[4];
            granule_row<V>(s, rows.gate ? rows.gate + four * 4 : NULL, there - four * 4, 1);
            granule_row<V>(p, rows.p ? rows.p + four * 4 : NULL, there - four * 4, 0);
#pragma unroll
            for (int j = 0; j < 4; j++)
                q[j] = fmaf(q[j], s[j], p[j]);
        }
        granule_chain<E>(grad.of.act, q, z, tables, i, four);
        if (grad.a)
            granule_norm<E>(q, z, tables, i, four);
        granule_narrow<E>(&made, four, q);
    }
    return made;
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
