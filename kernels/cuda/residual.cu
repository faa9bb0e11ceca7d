/* The only activated map that is ever written: a residual sum, which is narrow. Memory decides its
 * time: a thread keeps the numbers of its channels over rows, and a warp's accesses lie side by
 * side. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/view.cuh"

enum { THREADS = 256, ROWS_AT_ONCE = 2, TURNS = 2 };

struct residual {
    struct dims map;
    struct view x, y;
    void *sum;
    size_t rows; /* N H W */
};

/* numbers (C) of channels c, ..., all the same where there are none. */
template <int N>
static __device__ __forceinline__ void load_numbers(float (&to)[N], const float *numbers, int c,
                                                    float otherwise)
{
    const int step = N % 4 == 0 ? 4 : 1;
#pragma unroll
    for (int i = 0; i < N; i += step) {
        float some[step];
#pragma unroll
        for (int j = 0; j < step; j++)
            some[j] = otherwise;
        if (numbers)
            map_load(some, numbers + c + i);
#pragma unroll
        for (int j = 0; j < step; j++)
            to[i + j] = some[j];
    }
}

template <int N>
static __device__ __forceinline__ void load_channels(view_channel (&k)[N], const struct view &view,
                                                     int c)
{
    float scale[N], shift[N];
    load_numbers(scale, view.scale, c, 1);
    load_numbers(shift, view.shift, c, 0);
#pragma unroll
    for (int i = 0; i < N; i++) {
        k[i].scale = scale[i];
        k[i].shift = shift[i];
    }
}

/* values (N) seen through the view, in place. */
template <int N>
static __device__ __forceinline__ void see(float (&values)[N], const view_channel (&k)[N],
                                           const struct residual &op, const struct view &view,
                                           size_t row, int c)
{
    int n = view.gate ? (int)(row / ((size_t)op.map.H * op.map.W)) : 0;
#pragma unroll
    for (int i = 0; i < N; i++) {
        float value = view_value(view.act, k[i], values[i]);
        values[i] = view.gate ? value * view_gate(view, op.map.C, n, c + i) : value;
    }
}

/* ROWS_AT_ONCE rows, blockDim.y apart: what is loaded for one does not wait for the other. */
template <typename E, int N>
static __device__ __forceinline__ void
add_rows(const struct residual &op, const view_channel (&x_channels)[N],
         const view_channel (&y_channels)[N], size_t first, int c)
{
    float x[ROWS_AT_ONCE][N], y[ROWS_AT_ONCE][N];
#pragma unroll
    for (int i = 0; i < ROWS_AT_ONCE; i++) {
        size_t row = first + (size_t)i * blockDim.y, at = row * op.map.C + c;
        if (row < op.rows) {
            map_load(x[i], static_cast<const E *>(op.x.z) + at);
            map_load(y[i], static_cast<const E *>(op.y.z) + at);
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS_AT_ONCE; i++) {
        size_t row = first + (size_t)i * blockDim.y;
        if (row >= op.rows)
            return;
        see(x[i], x_channels, op, op.x, row, c);
        see(y[i], y_channels, op, op.y, row, c);
#pragma unroll
        for (int j = 0; j < N; j++)
            x[i][j] += y[i][j];
        map_store(static_cast<E *>(op.sum) + row * op.map.C + c, x[i]);
    }
}

/* Threads along x are groups of N channels, along y rows. */
template <typename E, int N> static __global__ void residual_forward_kernel(struct residual op)
{
    int c = (int)(blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (c >= op.map.C)
        return;
    view_channel x_channels[N], y_channels[N];
    load_channels(x_channels, op.x, c);
    load_channels(y_channels, op.y, c);
    size_t rows = (size_t)ROWS_AT_ONCE * blockDim.y;
    size_t first = blockIdx.x * rows * TURNS + threadIdx.y;
    for (int turn = 0; turn < TURNS; turn++)
        add_rows<E>(op, x_channels, y_channels, first + (size_t)turn * rows, c);
}

template <typename E, int N> static void queue(struct cuda *cuda, const struct residual *op)
{
    int groups = op->map.C / N, across = groups < THREADS ? groups : THREADS;
    int down = THREADS / across;
    size_t rows = (size_t)down * ROWS_AT_ONCE * TURNS;
    dim3 grid((unsigned)((op->rows + rows - 1) / rows), (unsigned)((groups + across - 1) / across));
    dim3 block((unsigned)across, (unsigned)down);
    cuda_launch(cuda, "residual_forward_kernel", residual_forward_kernel<E, N>, grid, block, 0, op);
}

static bool is_wide(const void *memory)
{
    return (uintptr_t)memory % 16 == 0;
}

static bool is_view_wide(const struct view *view)
{
    return is_wide(view->z) && is_wide(view->scale) && is_wide(view->shift);
}

template <typename E> static void run(struct cuda *cuda, const struct residual *op)
{
    if (op->map.C % map_width<E>::value == 0 && is_view_wide(&op->x) && is_view_wide(&op->y) &&
        is_wide(op->sum))
        queue<E, map_width<E>::value>(cuda, op);
    else
        queue<E, 1>(cuda, op);
    cuda->face.traffic.residual_bytes += sizeof(E) * op->rows * (size_t)op->map.C;
}

void cuda_residual_forward(struct device *device, struct dims map, struct view x, struct view y,
                           void *sum)
{
    struct cuda *cuda = cuda_of(device);
    struct residual op = {map, x, y, sum, (size_t)map.N * map.H * map.W};
    if (cuda->precision == PRECISION_BF16)
        run<bf16>(cuda, &op);
    else
        run<float>(cuda, &op);
}
