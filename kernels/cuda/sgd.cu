/* torch.optim.SGD in one pass over weights, momentum and gradients; all segments in one launch. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/map.cuh"

enum { THREADS = 256, WIDE = 4 };

template <typename E, int N>
static __device__ __forceinline__ void sgd_items(const struct sgd &op, float decay, size_t i)
{
    float w[N], v[N], g[N];
    map_load<float, N>(w, op.w + i);
    map_load<float, N>(v, op.v + i);
    map_load<float, N>(g, op.g + i);
#pragma unroll
    for (int k = 0; k < N; k++) {
        float d = fmaf(decay, w[k], g[k]);
        v[k] = fmaf(op.momentum, v[k], d);
        w[k] = fmaf(-op.rate, op.is_nesterov ? fmaf(op.momentum, v[k], d) : v[k], w[k]);
        g[k] = 0;
    }
    map_store<float, N>(op.v + i, v);
    map_store<float, N>(op.g + i, g);
    map_store<float, N>(op.w + i, w);
    if (op.shadow != op.w)
        map_store<E, N>((E *)op.shadow + i, w);
}

/* Segments begin and end anywhere: N weights at a time lie where N divides their index, and those
 * that lie in no segment as a whole go one by one. */
template <typename E, int N> static __global__ void sgd_kernel(struct sgd op)
{
    struct sgd_segment segment = op.segments[blockIdx.y];
    size_t end = segment.first + segment.count;
    size_t i = segment.first / N * N + ((size_t)blockIdx.x * THREADS + threadIdx.x) * N;
    if (i >= end || (op.flaw && gpu_load(op.flaw) != FLAW_NONE))
        return;
    if (i >= segment.first && i + N <= end) {
        sgd_items<E, N>(op, segment.decay, i);
        return;
    }
    for (int k = 0; k < N; k++)
        if (i + k >= segment.first && i + k < end)
            sgd_items<E, 1>(op, segment.decay, i + k);
}

template <typename E, int N> static void sgd_launch(struct cuda *cuda, const struct sgd *sgd)
{
    size_t most = 0, each = (size_t)THREADS * N;
    for (int i = 0; i < sgd->segment_count; i++) {
        const struct sgd_segment *of = &sgd->segments[i];
        size_t blocks = of->count ? (of->first % N + of->count + each - 1) / each : 0;
        most = blocks > most ? blocks : most;
    }
    cuda_launch(cuda, "sgd_step", sgd_kernel<E, N>,
                dim3((unsigned)most, (unsigned)sgd->segment_count), dim3(THREADS), 0, sgd);
}

static bool is_wide(const struct sgd *sgd)
{
    uintptr_t bits = (uintptr_t)sgd->w | (uintptr_t)sgd->v | (uintptr_t)sgd->g;
    return (bits | (uintptr_t)sgd->shadow) % 16 == 0;
}

void cuda_sgd_step(struct device *device, const struct sgd *sgd)
{
    struct cuda *cuda = cuda_of(device);
    bool is_bf16 = cuda->precision == PRECISION_BF16;
    if (is_wide(sgd))
        is_bf16 ? sgd_launch<bf16, WIDE>(cuda, sgd) : sgd_launch<float, WIDE>(cuda, sgd);
    else
        is_bf16 ? sgd_launch<bf16, 1>(cuda, sgd) : sgd_launch<float, 1>(cuda, sgd);
}
