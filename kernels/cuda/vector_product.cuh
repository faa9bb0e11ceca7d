/* Small fp32 products of (N,C) vectors and full-width weights, on CUDA cores: linear layers and
 * squeeze-excite. A block has a tile of T x T sums, a thread (T / 16)^2 of them; operands are
 * formed while they are loaded and lie in shared memory, two tiles in turn. Every sum is one
 * thread's, in order. */
#ifndef KERNELS_CUDA_VECTOR_PRODUCT_CUH
#define KERNELS_CUDA_VECTOR_PRODUCT_CUH

#include "kernels/cuda/view.cuh"

enum operand_kind {
    OPERAND_PLAIN,
    OPERAND_VIEW,         /* a linear layer's input */
    OPERAND_RELU,         /* squeeze-excite's hidden vector */
    OPERAND_GATE_GRADIENT /* of the hard sigmoid's input: `from` is the gate, gate_sums its gradient
                             in the first third of a row; the slope is 1/6 inside */
};

/* A matrix (n,c) in memory, element from[n * ld + c], and what is made of it. */
struct operand {
    enum operand_kind kind;
    bool is_transposed; /* the operand's rows are the matrix's columns */
    const float *from;
    int ld;
    struct view view;
    const double *gate_sums; /* (N,3,ld) */
};

/* sum[i,j] = a[i,0] b[j,0] + a[i,1] b[j,1] + ... */
struct vector_product {
    struct operand a, b;
    int rows, columns; /* of the sums: a's, and b's */
    int inner;
};

enum { VECTOR_PRODUCT_THREADS = 256, VECTOR_PRODUCT_SIDE = 16, VECTOR_PRODUCT_LOADS = 4 };

/* T: the side of a tile of sums. */
template <int T> struct vector_product_tile {
    static const int own = T / VECTOR_PRODUCT_SIDE; /* rows, and columns, of a thread: 16 apart */
    static const int step =
        VECTOR_PRODUCT_LOADS * VECTOR_PRODUCT_THREADS / T; /* of the inner dimension */
    /* from one step to the next in shared memory: a warp that stores along it, and one that reads
     * across, meets no bank twice */
    static const int ld = T == 64 ? T + 2 : T + 1;
};

static inline int vector_product_blocks(int rows, int T)
{
    return (rows + T - 1) / T;
}

static inline struct operand operand_plain(const float *from, int ld, bool is_transposed)
{
    struct operand operand = {};
    operand.kind = OPERAND_PLAIN;
    operand.from = from;
    operand.ld = ld;
    operand.is_transposed = is_transposed;
    return operand;
}

/* x (N,C) as its reader sees it. */
static inline struct operand operand_view(struct view x, int C, bool is_transposed)
{
    struct operand operand = operand_plain(static_cast<const float *>(x.z), C, is_transposed);
    operand.kind = OPERAND_VIEW;
    operand.view = x;
    return operand;
}

static __device__ __forceinline__ float operand_value(const struct operand &op, int n, int c)
{
    size_t at = (size_t)n * op.ld + c;
    float value = gpu_load(op.from + at);
    switch (op.kind) {
    case OPERAND_PLAIN:
        return value;
    case OPERAND_VIEW:
        return view_value(op.view.act, view_channel_load(op.view, c), value) *
               gpu_load_or(op.view.gate, at, 1);
    case OPERAND_RELU:
        return value > 0 ? value : 0;
    case OPERAND_GATE_GRADIENT:
        if (value > 0 && value < 1)
            return (float)(gpu_load(op.gate_sums + (size_t)n * 3 * op.ld + c) * (1.0 / 6));
        return 0;
    }
    return value;
}

/* This thread's elements of rows i0.. and inner columns k0.., neighbours in memory by neighbours:
 * 0 outside. */
template <int T>
static __device__ __forceinline__ void operand_load(const struct operand &op, int rows, int inner,
                                                    int i0, int k0,
                                                    float (&values)[VECTOR_PRODUCT_LOADS])
{
    const int step = vector_product_tile<T>::step;
#pragma unroll
    for (int l = 0; l < VECTOR_PRODUCT_LOADS; l++) {
        int e = (int)threadIdx.x + l * VECTOR_PRODUCT_THREADS;
        int i = i0 + (op.is_transposed ? e % T : e / step);
        int k = k0 + (op.is_transposed ? e / T : e % step);
        values[l] = 0;
        if (i < rows && k < inner)
            values[l] = op.is_transposed ? operand_value(op, k, i) : operand_value(op, i, k);
    }
}

template <int T>
static __device__ __forceinline__ void
operand_place(bool is_transposed, const float (&values)[VECTOR_PRODUCT_LOADS], shared<float> tile)
{
    const int step = vector_product_tile<T>::step, ld = vector_product_tile<T>::ld;
#pragma unroll
    for (int l = 0; l < VECTOR_PRODUCT_LOADS; l++) {
        int e = (int)threadIdx.x + l * VECTOR_PRODUCT_THREADS;
        int i = is_transposed ? e % T : e / step, k = is_transposed ? e / T : e % step;
        tile[k * ld + i] = values[l];
    }
}

template <int T>
static __device__ __forceinline__ void
vector_product_step(shared<float> a, shared<float> b,
                    float (&sums)[vector_product_tile<T>::own][vector_product_tile<T>::own])
{
    const int own = vector_product_tile<T>::own, ld = vector_product_tile<T>::ld;
    int row = threadIdx.x / VECTOR_PRODUCT_SIDE, column = threadIdx.x % VECTOR_PRODUCT_SIDE;
#pragma unroll
    for (int k = 0; k < vector_product_tile<T>::step; k++) {
        float left[own], right[own];
#pragma unroll
        for (int u = 0; u < own; u++) {
            left[u] = a[k * ld + row + u * VECTOR_PRODUCT_SIDE];
            right[u] = b[k * ld + column + u * VECTOR_PRODUCT_SIDE];
        }
#pragma unroll
        for (int u = 0; u < own; u++)
#pragma unroll
            for (int v = 0; v < own; v++)
                sums[u][v] = fmaf(left[u], right[v], sums[u][v]);
    }
}

/* The tile at (i0, j0): thread t has in sums[u][v] the sum of row i0 + t / 16 + 16 u and column j0
 * + t % 16 + 16 v, whatever lies outside. All of a block's VECTOR_PRODUCT_THREADS threads call it.
 */
template <int T>
static __device__ __forceinline__ void
vector_product_make(const struct vector_product &op, int i0, int j0,
                    float (&sums)[vector_product_tile<T>::own][vector_product_tile<T>::own])
{
    const int own = vector_product_tile<T>::own, step = vector_product_tile<T>::step;
    const int size = step * vector_product_tile<T>::ld;
    GPU_SHARED(float, tiles, 4 * size);
    float a[VECTOR_PRODUCT_LOADS], b[VECTOR_PRODUCT_LOADS];
    shared<float> to = tiles, other = to + 2 * size;
#pragma unroll
    for (int u = 0; u < own; u++)
#pragma unroll
        for (int v = 0; v < own; v++)
            sums[u][v] = 0;
    operand_load<T>(op.a, op.rows, op.inner, i0, 0, a);
    operand_load<T>(op.b, op.columns, op.inner, j0, 0, b);
    for (int k = 0; k < op.inner; k += step) {
        operand_place<T>(op.a.is_transposed, a, to);
        operand_place<T>(op.b.is_transposed, b, to + size);
        __syncthreads();
        operand_load<T>(op.a, op.rows, op.inner, i0, k + step, a);
        operand_load<T>(op.b, op.columns, op.inner, j0, k + step, b);
        vector_product_step<T>(to, to + size, sums);
        shared<float> next = other;
        other = to;
        to = next;
    }
}

/* to[i] += the sum over n of operand (n,i) for i0 <= i < i0 + T, fp64 in order over
 * VECTOR_PRODUCT_THREADS / T parts; the operand is transposed. All threads call it. */
template <int T>
static __device__ __forceinline__ void operand_add_rows(const struct operand &op, int rows,
                                                        int inner, int i0, float *to)
{
    const int parts = VECTOR_PRODUCT_THREADS / T;
    GPU_SHARED(double, sums, VECTOR_PRODUCT_THREADS);
    int column = (int)threadIdx.x % T, part = (int)threadIdx.x / T, i = i0 + column;
    double sum = 0;
    for (int n = part; i < rows && n < inner; n += parts)
        sum += (double)operand_value(op, n, i);
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (part > 0 || i >= rows)
        return;
    for (int p = 1; p < parts; p++)
        sum += sums[p * T + column];
    gpu_store(to + i, gpu_load(to + i) + (float)sum);
}

#endif
