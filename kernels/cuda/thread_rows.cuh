/* Sums over a block whose threads are rows of `across` groups of N channels each. Each thread puts
 * down its doubles, then the sum of a place is taken over the rows, in order. Places are numbered
 * so that neighbours are neighbours in shared memory: place j across + g is channel j of group g;
 * and a row takes (N + 1) across, so that rows that are stored together have banks of their own. */
#ifndef KERNELS_CUDA_THREAD_ROWS_CUH
#define KERNELS_CUDA_THREAD_ROWS_CUH

#include "kernels/cuda/gpu.cuh"

static __host__ __device__ inline int thread_rows_doubles(int N, int across, int rows)
{
    return rows * (N + 1) * across;
}

/* to: thread_rows_doubles(). */
template <int N>
static __device__ __forceinline__ void thread_rows_put(shared<double> to, int across, int row,
                                                       int group, const double (&values)[N])
{
#pragma unroll
    for (int j = 0; j < N; j++)
        to[(row * (N + 1) + j) * across + group] = values[j];
}

/* Behind a barrier. */
template <int N>
static __device__ __forceinline__ double thread_rows_sum(shared<double> from, int across, int rows,
                                                         int place)
{
    double sum = 0;
    for (int row = 0; row < rows; row++)
        sum += from[row * (N + 1) * across + place];
    return sum;
}

/* The channel of a place, from the first group's first on. */
template <int N> static __device__ __forceinline__ int thread_rows_channel(int across, int place)
{
    return place % across * N + place / across;
}

#endif
