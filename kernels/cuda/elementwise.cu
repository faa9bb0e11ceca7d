/* Arrays of weights, gradients and sums. A thread has 16 bytes of floats; what is left over behind
 * the last whole ones, and arrays that begin anywhere, go float by float. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/sums.cuh"

enum { THREADS = 256, WIDE = 4 };

static dim3 blocks_of(size_t count, int width)
{
    size_t each = (size_t)THREADS * (size_t)width;
    return dim3((unsigned)((count + each - 1) / each));
}

static bool is_wide(const void *x)
{
    return (uintptr_t)x % 16 == 0;
}

/* The first of this thread's N items. */
template <int N> static __device__ __forceinline__ size_t item(void)
{
    return ((size_t)blockIdx.x * THREADS + threadIdx.x) * N;
}

struct fold {
    size_t count;
    float *x, *sum;
};

template <int N> static __device__ __forceinline__ void fold_items(const struct fold &op, size_t i)
{
    float x[N], sum[N];
    map_load<float, N>(x, op.x + i);
    map_load<float, N>(sum, op.sum + i);
#pragma unroll
    for (int k = 0; k < N; k++) {
        sum[k] += x[k];
        x[k] = 0;
    }
    map_store<float, N>(op.sum + i, sum);
    map_store<float, N>(op.x + i, x);
}

template <int N> static __global__ void fold_kernel(struct fold op)
{
    size_t i = item<N>();
    if (i + N <= op.count)
        fold_items<N>(op, i);
    else
        for (; i < op.count; i++)
            fold_items<1>(op, i);
}

void cuda_fold(struct device *device, size_t count, float *x, float *sum)
{
    struct cuda *cuda = cuda_of(device);
    struct fold op = {count, x, sum};
    if (is_wide(x) && is_wide(sum))
        cuda_launch(cuda, "fold", fold_kernel<WIDE>, blocks_of(count, WIDE), dim3(THREADS), 0, &op);
    else
        cuda_launch(cuda, "fold", fold_kernel<1>, blocks_of(count, 1), dim3(THREADS), 0, &op);
}

struct fold_doubles {
    size_t count;
    double *x, *sum;
};

static __global__ void fold_doubles_kernel(struct fold_doubles op)
{
    size_t i = item<1>();
    if (i >= op.count)
        return;
    gpu_store(op.sum + i, gpu_load(op.sum + i) + gpu_load(op.x + i));
    gpu_store(op.x + i, 0.0);
}

void cuda_fold_doubles(struct device *device, size_t count, double *x, double *sum)
{
    struct fold_doubles op = {count, x, sum};
    cuda_launch(cuda_of(device), "fold_doubles", fold_doubles_kernel, blocks_of(count, 1),
                dim3(THREADS), 0, &op);
}

template <typename E> struct cast {
    size_t count;
    const float *w;
    E *to;
};

template <typename E, int N>
static __device__ __forceinline__ void cast_items(const struct cast<E> &op, size_t i)
{
    float w[N];
    map_load<float, N>(w, op.w + i);
    map_store<E, N>(op.to + i, w);
}

template <typename E, int N> static __global__ void cast_kernel(struct cast<E> op)
{
    size_t i = item<N>();
    if (i + N <= op.count)
        cast_items<E, N>(op, i);
    else
        for (; i < op.count; i++)
            cast_items<E, 1>(op, i);
}

template <typename E>
static void cast_launch(struct cuda *cuda, size_t count, const float *w, void *to)
{
    struct cast<E> op = {
        count, w, (E *)to
    };
    if (is_wide(w) && is_wide(to))
        cuda_launch(cuda, "cast", cast_kernel<E, WIDE>, blocks_of(count, WIDE), dim3(THREADS), 0,
                    &op);
    else
        cuda_launch(cuda, "cast", cast_kernel<E, 1>, blocks_of(count, 1), dim3(THREADS), 0, &op);
}

void cuda_cast(struct device *device, size_t count, const float *w, void *to)
{
    struct cuda *cuda = cuda_of(device);
    if (to == w)
        return;
    if (cuda->precision == PRECISION_BF16)
        cast_launch<bf16>(cuda, count, w, to);
    else
        cast_launch<float>(cuda, count, w, to);
}

struct search {
    size_t count;
    const float *x;
    struct flaw flaw;
};

template <int N>
static __device__ __forceinline__ bool search_items(const struct search &op, size_t i)
{
    float x[N];
    map_load<float, N>(x, op.x + i);
#pragma unroll
    for (int k = 0; k < N; k++)
        if (!isfinite(x[k])) {
            flaw_note(op.flaw, i + k);
            return true;
        }
    return false;
}

template <int N> static __global__ void search_kernel(struct search op)
{
    size_t i = item<N>();
    if (i + N <= op.count)
        search_items<N>(op, i);
    else
        while (i < op.count && !search_items<1>(op, i))
            i++;
}

void cuda_find_nonfinite(struct device *device, size_t count, const float *x, struct flaw flaw)
{
    struct cuda *cuda = cuda_of(device);
    struct search op = {count, x, flaw};
    if (is_wide(x))
        cuda_launch(cuda, "find_nonfinite", search_kernel<WIDE>, blocks_of(count, WIDE),
                    dim3(THREADS), 0, &op);
    else
        cuda_launch(cuda, "find_nonfinite", search_kernel<1>, blocks_of(count, 1), dim3(THREADS), 0,
                    &op);
}

struct set_word {
    uint64_t value, *word;
};

static __global__ void set_word_kernel(struct set_word op)
{
    gpu_store(op.word, op.value);
}

void cuda_set_word(struct device *device, uint64_t value, uint64_t *word)
{
    struct set_word op = {value, word};
    cuda_launch(cuda_of(device), "set_word", set_word_kernel, dim3(1), dim3(1), 0, &op);
}
