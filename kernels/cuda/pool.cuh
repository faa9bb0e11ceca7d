/* The mean of a map over its pixels, and the sums that its backward needs: one block for an image
 * and a tile of channels. pool.cu has it alone, excite.cu in front of its products. */
#ifndef KERNELS_CUDA_POOL_CUH
#define KERNELS_CUDA_POOL_CUH

#include "kernels/cuda/thread_rows.cuh"
#include "kernels/cuda/view.cuh"

/* ROWS: of a thread, added in fp32. CHANNELS: at most, of a tile. SUMS: y, act', act' (z - mean).
 */
enum { POOL_THREADS = 256, POOL_CHANNELS = 64, POOL_ROWS = 8, POOL_SUMS = 3 };

struct pool {
    struct dims dims;
    struct view x;
    const float *mean; /* (C) or NULL: 0 */
    float *pooled;     /* (N,C) */
    double *pool_sums; /* (N,2,C) or NULL */
    int width;         /* of a tile of channels */
};

/* Whole sectors of 32 bytes in bf16, and tiles of about the same width. */
static inline int pool_width(int C)
{
    enum { SECTOR = 16 };
    int tiles = (C + POOL_CHANNELS - 1) / POOL_CHANNELS, width = (C + tiles - 1) / tiles;
    return (width + SECTOR - 1) / SECTOR * SECTOR;
}

static inline int pool_tiles(int C)
{
    return (C + pool_width(C) - 1) / pool_width(C);
}

/* Dynamic shared memory of a block whose threads have N channels each. */
static inline size_t pool_shared_bytes(int N)
{
    return sizeof(double) * POOL_SUMS * (size_t)thread_rows_doubles(N, POOL_THREADS, 1);
}

template <int N> struct pool_channels {
    view_channel view[N];
    float mean[N];
};

/* total (POOL_SUMS,N) += what rows first, first + step, ... give; POOL_ROWS of them at most. */
template <typename E, int N>
static __device__ __forceinline__ void pool_rows(const struct pool &op, const pool_channels<N> &k,
                                                 const E *image, int first, int step,
                                                 double (&total)[POOL_SUMS][N])
{
    float sum[POOL_SUMS][N] = {};
    int rows = op.dims.H * op.dims.W;
#pragma unroll
    for (int i = 0; i < POOL_ROWS; i++) {
        int row = first + i * step;
        if (row < rows) {
            float z[N];
            map_load(z, image + (size_t)row * op.dims.C);
#pragma unroll
            for (int j = 0; j < N; j++) {
                float x = fmaf(z[j], k.view[j].scale, k.view[j].shift);
                float slope = act_slope(op.x.act, x);
                sum[0][j] += act_value(op.x.act, x);
                sum[1][j] += slope;
                sum[2][j] = fmaf(slope, z[j] - k.mean[j], sum[2][j]);
            }
        }
    }
#pragma unroll
    for (int s = 0; s < POOL_SUMS; s++)
#pragma unroll
        for (int j = 0; j < N; j++)
            total[s][j] += (double)sum[s][j];
}

/* One thread's share of image n, channels from c on. */
template <typename E, int N>
static __device__ __forceinline__ void pool_walk(const struct pool &op, int n, int c, int first,
                                                 int step, double (&total)[POOL_SUMS][N])
{
    int rows = op.dims.H * op.dims.W;
    const E *image = static_cast<const E *>(op.x.z) + (size_t)n * rows * op.dims.C + c;
    pool_channels<N> k;
#pragma unroll
    for (int j = 0; j < N; j++) {
        k.view[j] = view_channel_load(op.x, c + j);
        k.mean[j] = gpu_load_or(op.mean, c + j, 0);
    }
    for (int row = first; row < rows; row += step * POOL_ROWS)
        pool_rows(op, k, image, row, step, total);
}

/* Sum number s of channel c, complete. */
static __device__ __forceinline__ void pool_store(const struct pool &op, int n, int c, int s,
                                                  double sum)
{
    int C = op.dims.C;
    if (s == 0)
        gpu_store(op.pooled + (size_t)n * C + c, (float)(sum / (op.dims.H * op.dims.W)));
    else if (op.pool_sums)
        gpu_store(op.pool_sums + ((size_t)n * 2 + s - 1) * C + c, sum);
}

/* Image n, channels [c0, c0 + op.width): by all of the block's POOL_THREADS threads. */
template <typename E, int N>
static __device__ __forceinline__ void pool_image(const struct pool &op, int n, int c0,
                                                  shared<double> sums)
{
    int t = threadIdx.x, across = op.width / N, rows = POOL_THREADS / across;
    int group = t % across, row = t / across, size = thread_rows_doubles(N, across, rows);
    double total[POOL_SUMS][N] = {};
    if (row < rows && c0 + group * N < op.dims.C)
        pool_walk<E, N>(op, n, c0 + group * N, row, rows, total);
    if (row < rows)
#pragma unroll
        for (int s = 0; s < POOL_SUMS; s++)
            thread_rows_put<N>(sums + s * size, across, row, group, total[s]);
    __syncthreads();
    for (int e = t; e < POOL_SUMS * op.width; e += POOL_THREADS) {
        int s = e / op.width, place = e % op.width;
        int c = c0 + thread_rows_channel<N>(across, place);
        double sum = thread_rows_sum<N>(sums + s * size, across, rows, place);
        if (c < op.dims.C)
            pool_store(op, n, c, s, sum);
    }
}

#endif
