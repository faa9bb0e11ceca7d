/* How long the emulated GPU of tests/support/cuda takes for what kernels do most, in ns of one host
 * thread. usage: bench_gpu_emulator   (GPU_EMULATOR_RACES=0, GPU_EMULATOR_REPORT=PATH as ever) */
#include "kernels/cuda/gpu.cuh"
#include "kernels/cuda/ptx.cuh"
#include <stdio.h>
#include <time.h>

enum { FLOATS = 1 << 20, THREADS = 1024, ROUNDS = 1000, REPEATS = 5 };

struct work {
    float *at;
    int count;
};

static __global__ void elementwise_kernel(struct work op)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < op.count)
        gpu_store(op.at + i, 2 * gpu_load(op.at + i));
}

static __global__ void barrier_kernel(struct work op)
{
    for (int i = 0; i < op.count; i++)
        __syncthreads();
}

static __global__ void shuffle_kernel(struct work op)
{
    float sum = (float)threadIdx.x;
    for (int i = 0; i < op.count; i++)
        sum += __shfl_xor_sync(GPU_WHOLE_WARP, sum, 1 + i % 16);
    gpu_store(op.at + threadIdx.x, sum);
}

template <typename V> static __global__ void shared_kernel(struct work op)
{
    GPU_SHARED(V, memory, THREADS);
    shared<float> tile = shared_cast<float>(memory);
    enum { WIDTH = sizeof(V) / sizeof(float) };
    float sum = 0;
    for (int i = 0; i < WIDTH; i++)
        tile[(int)threadIdx.x * WIDTH + i] = 1.0f;
    __syncthreads();
    for (int i = 0; i < op.count; i++) {
        V value = shared_load<V>(tile + ((int)threadIdx.x + i) % THREADS * WIDTH);
        sum += reinterpret_cast<const float &>(value);
    }
    gpu_store(op.at + threadIdx.x, sum);
}

static __global__ void mma_kernel(struct work op)
{
    float d[4] = {0, 0, 0, 0};
    const uint32_t a[4] = {1, 2, 3, threadIdx.x}, b[2] = {1, 2};
    for (int i = 0; i < op.count; i++)
        ptx_mma(d, a, b);
    gpu_store(op.at + threadIdx.x, d[0]);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void measure(const char *what, void (*kernel)(struct work), unsigned blocks,
                    unsigned threads, struct work op, double times)
{
    struct launch at = {"measured", dim3(blocks), dim3(threads), 0, NULL};
    double best = 1e9;
    for (int i = 0; i <= REPEATS; i++) {
        double started = seconds();
        if (gpu_launch(kernel, &at, &op) != cudaSuccess)
            return;
        double took = seconds() - started;
        best = i > 0 && took < best ? took : best;
    }
    printf("%8.2f ns  %s\n", 1e9 * best / times, what);
}

int main(void)
{
    struct work op = {NULL, FLOATS};
    if (cudaMalloc((void **)&op.at, FLOATS * sizeof(float)) != cudaSuccess)
        return 1;
    cudaMemset(op.at, 0, FLOATS * sizeof(float));
    measure("a thread that loads and stores one element", elementwise_kernel, FLOATS / 256, 256, op,
            FLOATS);
    op.count = ROUNDS;
    double times = (double)THREADS * ROUNDS;
    measure("a thread at a barrier of 1,024", barrier_kernel, 1, THREADS, op, times);
    measure("a lane's shuffle", shuffle_kernel, 1, THREADS, op, times);
    measure("a load of 4 bytes of shared memory", shared_kernel<float>, 1, THREADS, op, times);
    measure("a load of 16 bytes of shared memory", shared_kernel<float4>, 1, THREADS, op, times);
    measure("an mma of a warp (2,048 multiply-adds)", mma_kernel, 1, THREADS, op, times / GPU_WARP);
    return 0;
}
