/* The global pool, each way. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/pool.cuh"
#include "kernels/cuda/sums.cuh"

enum { BACK_CHANNELS = 32, BACK_PARTS = 8 };

template <typename E, int N> static __global__ void pool_forward_kernel(struct pool op)
{
    GPU_SHARED_DYNAMIC(memory);
    pool_image<E, N>(op, (int)blockIdx.y, (int)blockIdx.x * op.width, shared_cast<double>(memory));
}

template <typename E, int N> static void queue(struct cuda *cuda, const struct pool *op)
{
    dim3 grid((unsigned)pool_tiles(op->dims.C), (unsigned)op->dims.N);
    cuda_launch(cuda, "pool_forward_kernel", pool_forward_kernel<E, N>, grid, dim3(POOL_THREADS),
                pool_shared_bytes(N), op);
}

template <typename E> static void run(struct cuda *cuda, const struct pool *op)
{
    if (op->dims.C % 4 == 0)
        queue<E, 4>(cuda, op);
    else
        queue<E, 1>(cuda, op);
}

void cuda_pool_forward(struct device *device, struct dims dims, struct view x, const float *mean,
                       float *pooled, double *pool_sums)
{
    struct cuda *cuda = cuda_of(device);
    struct pool op = {dims, x, mean, pooled, pool_sums, pool_width(dims.C)};
    if (cuda->precision == PRECISION_BF16)
        run<bf16>(cuda, &op);
    else
        run<float>(cuda, &op);
}

struct pool_backward {
    struct dims dims;
    double count; /* pixels of a channel */
    struct pool_grad grad;
    struct norm_backward norm;
};

/* Channel c of images first, first + BACK_PARTS, ...: p, and what they add to the sums. */
static __device__ __forceinline__ void spread(const struct pool_backward &op, int c, int first,
                                              double *sum, double *moment)
{
    float share = 1.0f / (float)(op.dims.H * op.dims.W);
    size_t C = (size_t)op.dims.C;
    for (int n = first; n < op.dims.N; n += BACK_PARTS) {
        float p = gpu_load(op.grad.dpooled + n * C + c) * share;
        gpu_store(op.grad.p + n * C + c, p);
        *sum += (double)p * gpu_load(op.grad.pool_sums + n * 2 * C + c);
        *moment += (double)p * gpu_load(op.grad.pool_sums + n * 2 * C + C + c);
    }
}

/* A block has BACK_CHANNELS channels of all images. */
static __global__ void pool_backward_kernel(struct pool_backward op)
{
    GPU_SHARED(double, sums, 2 * BACK_PARTS * BACK_CHANNELS);
    int column = threadIdx.x % BACK_CHANNELS, part = threadIdx.x / BACK_CHANNELS;
    int c = (int)blockIdx.x * BACK_CHANNELS + column, at = part * BACK_CHANNELS + column;
    double sum = 0, moment = 0;
    if (c < op.dims.C)
        spread(op, c, part, &sum, &moment);
    sums[at] = sum;
    sums[BACK_PARTS * BACK_CHANNELS + at] = moment;
    __syncthreads();
    if (part > 0 || c >= op.dims.C)
        return;
    for (int i = 1; i < BACK_PARTS; i++) {
        sum += sums[i * BACK_CHANNELS + column];
        moment += sums[(BACK_PARTS + i) * BACK_CHANNELS + column];
    }
    gpu_store(op.grad.sums + c, sum);
    gpu_store(op.grad.sums + op.dims.C + c, moment);
    if (op.grad.norm)
        norm_backward_finish(op.norm, c, op.count, sum, moment);
}

void cuda_pool_backward(struct device *device, struct dims dims, const struct pool_grad *grad)
{
    struct pool_backward op = {dims, dims_pixels(dims), *grad, {}};
    unsigned blocks = (unsigned)((dims.C + BACK_CHANNELS - 1) / BACK_CHANNELS);
    if (grad->norm)
        op.norm = *grad->norm;
    cuda_launch(cuda_of(device), "pool_backward_kernel", pool_backward_kernel, dim3(blocks),
                dim3(BACK_CHANNELS * BACK_PARTS), 0, &op);
}
