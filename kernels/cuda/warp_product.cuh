/* Products of tiles in shared memory, by the eight warps of a block: two along the rows, four along
 * the columns. bf16 goes by tensor cores, floats by fmaf; both have their results in the lanes that
 * mma.m16n8k16 gives them to, so that whatever comes in front and behind is the same.
 *
 * A warp has A pieces of 16 rows and G pieces of 16 columns: piece i of the rows is the block's
 * piece 2 i + (its number along the rows), piece j of the columns the block's 4 j + (its number
 * along the columns), so that a product of few columns is shared by all warps. Columns beyond
 * `columns` are left out where a whole piece is, and of a transposed operand rows beyond `rows`.
 * `depth` is a multiple of 16, beyond the last one operands are 0. Strides are in elements and odd
 * multiples of 16 bytes: ldmatrix finds its rows in different banks. */
#ifndef KERNELS_CUDA_WARP_PRODUCT_CUH
#define KERNELS_CUDA_WARP_PRODUCT_CUH

#include "kernels/cuda/ptx.cuh"

enum {
    PRODUCT_THREADS = 256,
    PRODUCT_ROWS = 32,   /* of one piece of each warp */
    PRODUCT_COLUMNS = 64 /* of one piece of each warp */
};

struct product_lane {
    int lane, row_warp, column_warp; /* 0..31, 0..1, 0..3 */
};

static __device__ __forceinline__ product_lane product_lane_own(void)
{
    int warp = (int)threadIdx.x / GPU_WARP;
    product_lane own = {(int)threadIdx.x % GPU_WARP, warp % 2, warp / 2};
    return own;
}

/* Of result (i, j) of a lane: the row of its elements 0 and 1 (2 and 3 are 8 below) and the column
 * of 0 and 2 (1 and 3 are right of them). j counts 8 columns. */
static __device__ __forceinline__ int product_row(product_lane own, int i)
{
    return (2 * i + own.row_warp) * 16 + own.lane / 4;
}

static __device__ __forceinline__ int product_column(product_lane own, int j)
{
    return (4 * (j / 2) + own.column_warp) * 16 + j % 2 * 8 + own.lane % 4 * 2;
}

static __device__ __forceinline__ int product_piece(product_lane own, int j)
{
    return (4 * j + own.column_warp) * 16;
}

static __device__ __forceinline__ int product_row_piece(product_lane own, int i)
{
    return (2 * i + own.row_warp) * 16;
}

template <int A, int G>
static __device__ __forceinline__ void product_zero(float (&sums)[A][2 * G][4])
{
#pragma unroll
    for (int i = 0; i < A; i++)
#pragma unroll
        for (int j = 0; j < 2 * G; j++)
#pragma unroll
            for (int k = 0; k < 4; k++)
                sums[i][j][k] = 0;
}

template <typename E> struct tile { /* in shared memory */
    shared<E> at;
    int stride;
};

/* 16 rows, 16 deep, of an operand whose rows are rows: a[0..3] of mma. */
static __device__ __forceinline__ void fragment_rows(uint32_t (&a)[4], tile<bf16> from, int row,
                                                     int depth, int lane)
{
    ptx_ldmatrix(a, from.at + (row + lane % 16) * from.stride + depth + lane / 16 * 8);
}

/* The same of one that lies transposed: its rows go along the depth. */
static __device__ __forceinline__ void fragment_rows_transposed(uint32_t (&a)[4], tile<bf16> from,
                                                                int row, int depth, int lane)
{
    int down = depth + lane % 8 + lane / 16 * 8;
    ptx_ldmatrix_transposed(a, from.at + down * from.stride + row + lane / 8 % 2 * 8);
}

/* 16 columns, 16 deep, of an operand that has a row for each column: b[0..1] of the first eight,
 * then of the others. */
static __device__ __forceinline__ void fragment_columns(uint32_t (&b)[4], tile<bf16> from,
                                                        int column, int depth, int lane)
{
    int row = column + lane % 8 + lane / 16 * 8;
    ptx_ldmatrix(b, from.at + row * from.stride + depth + lane / 8 % 2 * 8);
}

/* The same of one whose rows go along the depth. */
static __device__ __forceinline__ void
fragment_columns_transposed(uint32_t (&b)[4], tile<bf16> from, int column, int depth, int lane)
{
    ptx_ldmatrix_transposed(b,
                            from.at + (depth + lane % 16) * from.stride + column + lane / 16 * 8);
}

enum product_kind {
    PRODUCT_NT, /* a (rows,depth), b (columns,depth) */
    PRODUCT_NN, /* a (rows,depth), b (depth,columns) */
    PRODUCT_TN  /* a (depth,rows), b (depth,columns) */
};

/* Piece i of a warp's rows, 16 deep. */
static __device__ __forceinline__ void fragment_a(const enum product_kind kind, uint32_t (&to)[4],
                                                  tile<bf16> a, product_lane own, int i, int depth)
{
    if (kind == PRODUCT_TN)
        fragment_rows_transposed(to, a, product_row_piece(own, i), depth, own.lane);
    else
        fragment_rows(to, a, product_row_piece(own, i), depth, own.lane);
}

/* Piece j of its columns. */
static __device__ __forceinline__ void fragment_b(const enum product_kind kind, uint32_t (&to)[4],
                                                  tile<bf16> b, product_lane own, int j, int depth)
{
    if (kind == PRODUCT_NT)
        fragment_columns(to, b, product_piece(own, j), depth, own.lane);
    else
        fragment_columns_transposed(to, b, product_piece(own, j), depth, own.lane);
}

static __device__ __forceinline__ void fragment_product(float (&left)[4], float (&right)[4],
                                                        const uint32_t (&a)[4],
                                                        const uint32_t (&b)[4])
{
    const uint32_t first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
    ptx_mma(left, a, first);
    ptx_mma(right, a, second);
}

struct product_pieces { /* of a warp, those that are there */
    int rows, columns;
};

/* 16 deep. What there is less of is held in registers: of rows, or of columns. */
template <int A, int G>
static __device__ __forceinline__ void
product_hold_rows(const enum product_kind kind, float (&sums)[A][2 * G][4], tile<bf16> a,
                  tile<bf16> b, product_lane own, product_pieces there, int depth)
{
    uint32_t left[A][4], right[4];
#pragma unroll
    for (int i = 0; i < A; i++)
        if (i < there.rows)
            fragment_a(kind, left[i], a, own, i, depth);
#pragma unroll
    for (int j = 0; j < G; j++) {
        if (j >= there.columns)
            break;
        fragment_b(kind, right, b, own, j, depth);
#pragma unroll
        for (int i = 0; i < A; i++)
            if (i < there.rows)
                fragment_product(sums[i][2 * j], sums[i][2 * j + 1], left[i], right);
    }
}

template <int A, int G>
static __device__ __forceinline__ void
product_hold_columns(const enum product_kind kind, float (&sums)[A][2 * G][4], tile<bf16> a,
                     tile<bf16> b, product_lane own, product_pieces there, int depth)
{
    uint32_t left[4], right[G][4];
#pragma unroll
    for (int j = 0; j < G; j++)
        if (j < there.columns)
            fragment_b(kind, right[j], b, own, j, depth);
#pragma unroll
    for (int i = 0; i < A; i++) {
        if (i >= there.rows)
            break;
        fragment_a(kind, left, a, own, i, depth);
#pragma unroll
        for (int j = 0; j < G; j++)
            if (j < there.columns)
                fragment_product(sums[i][2 * j], sums[i][2 * j + 1], left, right[j]);
    }
}

/* kind TN alone leaves out rows. */
template <int A>
static __device__ __forceinline__ product_pieces product_pieces_own(const enum product_kind kind,
                                                                    product_lane own, int rows,
                                                                    int columns)
{
    product_pieces there = {(rows - own.row_warp * 16 + PRODUCT_ROWS - 1) / PRODUCT_ROWS,
                            (columns - own.column_warp * 16 + PRODUCT_COLUMNS - 1) /
                                PRODUCT_COLUMNS};
    if (kind != PRODUCT_TN)
        there.rows = A;
    return there;
}

/* sums += a b. kind: a constant. */
template <int A, int G>
static __device__ __forceinline__ void product_add(const enum product_kind kind,
                                                   float (&sums)[A][2 * G][4], tile<bf16> a,
                                                   tile<bf16> b, int depth, int rows, int columns)
{
    product_lane own = product_lane_own();
    product_pieces there = product_pieces_own<A>(kind, own, rows, columns);
#pragma unroll(A == 2 ? 2 : 1)
    for (int k = 0; k < depth; k += 16)
        if (A > 2 * G)
            product_hold_columns<A, G>(kind, sums, a, b, own, there, k);
        else
            product_hold_rows<A, G>(kind, sums, a, b, own, there, k);
}

/* Four elements along the depth of what a lane has of a piece: rows g and g + 8. */
static __device__ __forceinline__ void floats_along(float (&to)[4], shared<float> from)
{
    float4 four = shared_load<float4>(from);
    to[0] = four.x;
    to[1] = four.y;
    to[2] = four.z;
    to[3] = four.w;
}

static __device__ __forceinline__ void floats_across(float (&to)[4], tile<float> from, int row,
                                                     int depth)
{
#pragma unroll
    for (int k = 0; k < 4; k++)
        to[k] = from.at[(depth + k) * from.stride + row];
}

/* Four deep of the columns 2 t and 2 t + 1 of eight. */
static __device__ __forceinline__ void float_columns(const enum product_kind kind,
                                                     float (&to)[2][4], tile<float> from,
                                                     int column, int depth)
{
    if (kind == PRODUCT_NT) {
        floats_along(to[0], from.at + column * from.stride + depth);
        floats_along(to[1], from.at + (column + 1) * from.stride + depth);
        return;
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
        float2 two = shared_load<float2>(from.at + (depth + k) * from.stride + column);
        to[0][k] = two.x;
        to[1][k] = two.y;
    }
}

static __device__ __forceinline__ void float_step(float (&sums)[4], const float (&a)[2][4],
                                                  const float (&b)[2][4])
{
#pragma unroll
    for (int k = 0; k < 4; k++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            sums[i] = fmaf(a[i / 2][k], b[i % 2][k], sums[i]);
}

/* Four deep of rows g and g + 8 of piece i. */
static __device__ __forceinline__ void float_rows(const enum product_kind kind, float (&to)[2][4],
                                                  tile<float> from, int row, int depth)
{
#pragma unroll
    for (int i = 0; i < 2; i++)
        if (kind == PRODUCT_TN)
            floats_across(to[i], from, row + 8 * i, depth);
        else
            floats_along(to[i], from.at + (row + 8 * i) * from.stride + depth);
}

template <int A, int G>
static __device__ __forceinline__ void
product_hold_rows(const enum product_kind kind, float (&sums)[A][2 * G][4], tile<float> a,
                  tile<float> b, product_lane own, product_pieces there, int depth)
{
    float left[A][2][4], right[2][4];
#pragma unroll
    for (int i = 0; i < A; i++)
        if (i < there.rows)
            float_rows(kind, left[i], a, product_row(own, i), depth);
#pragma unroll
    for (int j = 0; j < 2 * G; j++) {
        if (j / 2 >= there.columns)
            break;
        float_columns(kind, right, b, product_column(own, j), depth);
#pragma unroll
        for (int i = 0; i < A; i++)
            if (i < there.rows)
                float_step(sums[i][j], left[i], right);
    }
}

template <int A, int G>
static __device__ __forceinline__ void
product_hold_columns(const enum product_kind kind, float (&sums)[A][2 * G][4], tile<float> a,
                     tile<float> b, product_lane own, product_pieces there, int depth)
{
    float left[2][4], right[2 * G][2][4];
#pragma unroll
    for (int j = 0; j < 2 * G; j++)
        if (j / 2 < there.columns)
            float_columns(kind, right[j], b, product_column(own, j), depth);
#pragma unroll
    for (int i = 0; i < A; i++) {
        if (i >= there.rows)
            break;
        float_rows(kind, left, a, product_row(own, i), depth);
#pragma unroll
        for (int j = 0; j < 2 * G; j++)
            if (j / 2 < there.columns)
                float_step(sums[i][j], left, right[j]);
    }
}

template <int A, int G>
static __device__ __forceinline__ void product_add(const enum product_kind kind,
                                                   float (&sums)[A][2 * G][4], tile<float> a,
                                                   tile<float> b, int depth, int rows, int columns)
{
    product_lane own = product_lane_own();
    product_pieces there = product_pieces_own<A>(kind, own, rows, columns);
#pragma unroll 1
    for (int k = 0; k < depth; k += 4)
        if (A > 2 * G)
            product_hold_columns<A, G>(kind, sums, a, b, own, there, k);
        else
            product_hold_rows<A, G>(kind, sums, a, b, own, there, k);
}

#endif
