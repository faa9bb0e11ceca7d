/* The active kernels of all layers of a pass, and what flows back to the stored ones (OFA, ICLR
 * 2020, sec. 3.2): five = m75 centre(w7), three = m53 centre(five). A block has a slice of a
 * layer's channels, a thread a channel; the gradients of the matrices are products over all
 * channels, so a layer's last block adds up what its slices left. */
#include "kernels/cuda/last_block.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/map.cuh"
#include "kernels/device.h"

enum {
    LAYERS = 32,       /* of a launch: an argument holds 4 KB */
    SLICE = 64,        /* channels */
    PITCH = SLICE + 1, /* of rows of a slice, so that a column lies in banks of its own */
    GRADIENT_THREADS = 256,
    FIVE = 25, /* taps */
    THREE = 9,
    M75 = FIVE * FIVE, /* elements of a matrix */
    M53 = THREE * THREE,
    MATRICES = M75 + M53
};

struct kernel_forward_args {
    struct kernel_transform layers[LAYERS];
};

struct kernel_backward_args {
    struct kernel_gradient layers[LAYERS];
    int slices;   /* of the widest layer */
    float *parts; /* (layers,slices,MATRICES) */
    unsigned *tickets;
};

/* Tap i of the centre of side `side` in a kernel of side `from`. */
static __device__ __forceinline__ constexpr int centre(int from, int side, int i)
{
    return (i / side + (from - side) / 2) * from + i % side + (from - side) / 2;
}

/* The matrices of a layer, of those it has. By all threads. */
static __device__ __forceinline__ void matrices_load(const struct kernel_transform &k,
                                                     shared<float> m75, shared<float> m53)
{
    for (int i = (int)threadIdx.x; i < M75 && k.m75; i += (int)blockDim.x)
        m75[i] = gpu_load(k.m75 + i);
    for (int i = (int)threadIdx.x; i < M53 && k.m53; i += (int)blockDim.x)
        m53[i] = gpu_load(k.m53 + i);
    __syncthreads();
}

/* The centre of the stored kernel of channel c. */
static __device__ __forceinline__ void centre_load(const struct kernel_transform &k, int c,
                                                   float (&five)[FIVE])
{
#pragma unroll
    for (int i = 0; i < FIVE; i++)
        five[i] = gpu_load(k.w7 + (size_t)centre(7, 5, i) * k.ld + c);
}

template <int N>
static __device__ __forceinline__ float dot(shared<float> row, int pitch, const float (&x)[N])
{
    float sum = 0;
#pragma unroll
    for (int i = 0; i < N; i++)
        sum = fmaf(row[i * pitch], x[i], sum);
    return sum;
}

/* The centre of the transformed 5x5. */
static __device__ __forceinline__ void inner_three(const struct kernel_transform &k,
                                                   shared<float> m75, const float (&stored)[FIVE],
                                                   float (&three)[THREE])
{
#pragma unroll
    for (int i = 0; i < THREE; i++) {
        const int at = centre(5, 3, i);
        three[i] = k.m75 ? dot(m75 + at * FIVE, 1, stored) : stored[at];
    }
}

template <typename E>
static __device__ __forceinline__ void
forward_five(const struct kernel_transform &k, shared<float> m75, const float (&stored)[FIVE], E *w)
{
#pragma unroll
    for (int i = 0; i < FIVE; i++)
        gpu_store(w + (size_t)i * k.C,
                  map_narrow<E>(k.m75 ? dot(m75 + i * FIVE, 1, stored) : stored[i]));
}

template <typename E>
static __device__ __forceinline__ void forward_three(const struct kernel_transform &k,
                                                     shared<float> m75, shared<float> m53,
                                                     const float (&stored)[FIVE], E *w)
{
    float three[THREE];
    inner_three(k, m75, stored, three);
#pragma unroll
    for (int i = 0; i < THREE; i++)
        gpu_store(w + (size_t)i * k.C,
                  map_narrow<E>(k.m53 ? dot(m53 + i * THREE, 1, three) : three[i]));
}

template <typename E> static __global__ void kernel_forward_kernel(struct kernel_forward_args op)
{
    GPU_SHARED(float, m75, M75);
    GPU_SHARED(float, m53, M53);
    const struct kernel_transform &k = op.layers[blockIdx.y];
    int c = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    float stored[FIVE];
    matrices_load(k, m75, m53);
    if (c >= k.C)
        return;
    centre_load(k, c, stored);
    if (k.R == 5)
        forward_five(k, m75, stored, (E *)k.w + c);
    else
        forward_three(k, m75, m53, stored, (E *)k.w + c);
}

/* A slice of a layer: rows (taps,PITCH) of what goes into each matrix and of what comes back. */
struct slice {
    shared<float> m75, m53;
    shared<float> five, dfive, three, dthree;
};

template <int N>
static __device__ __forceinline__ void slice_write(shared<float> rows, const float (&values)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++)
        rows[i * PITCH + (int)threadIdx.x] = values[i];
}

/* Down to the gradient of the transformed 5x5. */
static __device__ __forceinline__ void back_through_three(const struct kernel_gradient &gradient,
                                                          const struct slice &slice, int c,
                                                          const float (&stored)[FIVE],
                                                          float (&dfive)[FIVE])
{
    const struct kernel_transform &k = gradient.of;
    float three[THREE], dthree[THREE];
#pragma unroll
    for (int i = 0; i < THREE; i++)
        dthree[i] = c < k.C ? gpu_load(gradient.dw + (size_t)i * k.C + c) : 0.0f;
    inner_three(k, slice.m75, stored, three);
    slice_write(slice.three, three);
    slice_write(slice.dthree, dthree);
#pragma unroll
    for (int i = 0; i < FIVE; i++)
        dfive[i] = 0;
#pragma unroll
    for (int i = 0; i < THREE; i++)
        dfive[centre(5, 3, i)] = k.m53 ? dot(slice.m53 + i, THREE, dthree) : dthree[i];
}

/* Channel c: its part of dw7, and its column of the slice. */
static __device__ __forceinline__ void back_channel(const struct kernel_gradient &gradient,
                                                    const struct slice &slice, int c)
{
    const struct kernel_transform &k = gradient.of;
    float stored[FIVE] = {}, dfive[FIVE];
    if (c < k.C)
        centre_load(k, c, stored);
    if (k.R == 3)
        back_through_three(gradient, slice, c, stored, dfive);
#pragma unroll
    for (int i = 0; i < FIVE && k.R == 5; i++)
        dfive[i] = c < k.C ? gpu_load(gradient.dw + (size_t)i * k.C + c) : 0.0f;
    slice_write(slice.five, stored);
    slice_write(slice.dfive, dfive);
#pragma unroll 1
    for (int i = 0; i < FIVE; i++) {
        float *dw7 = gradient.dw7 + (size_t)centre(7, 5, i) * k.ld + c;
        float sum = k.m75 ? dot(slice.m75 + i, FIVE, dfive)
                          : (float)slice.dfive[i * PITCH + (int)threadIdx.x];
        if (c < k.C)
            gpu_store(dw7, gpu_load(dw7) + sum);
    }
}

/* part (taps,taps) = dto from^T over the slice's channels. */
static __device__ __forceinline__ void slice_product(int taps, shared<float> dto,
                                                     shared<float> from, float *part)
{
    for (int i = (int)threadIdx.x; i < taps * taps; i += (int)blockDim.x) {
        float sum = 0;
        for (int c = 0; c < SLICE; c++)
            sum = fmaf(dto[i / taps * PITCH + c], from[i % taps * PITCH + c], sum);
        gpu_store(part + i, sum);
    }
}

/* matrix += the slices' parts, in order. */
static __device__ __forceinline__ void slices_add(int count, int slices, const float *parts,
                                                  float *matrix)
{
    for (int i = (int)threadIdx.x; i < count && matrix; i += (int)blockDim.x) {
        double total = 0;
#pragma unroll 4
        for (int slice = 0; slice < slices; slice++)
            total += (double)gpu_load_fresh(parts + (size_t)slice * MATRICES + i);
        gpu_store(matrix + i, gpu_load(matrix + i) + (float)total);
    }
}

static __global__ void __launch_bounds__(GRADIENT_THREADS)
    kernel_backward_kernel(struct kernel_backward_args op)
{
    GPU_SHARED(float, m75, M75);
    GPU_SHARED(float, m53, M53);
    GPU_SHARED(float, rows, 2 * (FIVE + THREE) * PITCH);
    const struct slice slice = {m75,
                                m53,
                                rows,
                                rows + FIVE * PITCH,
                                rows + 2 * FIVE * PITCH,
                                rows + (2 * FIVE + THREE) * PITCH};
    const struct kernel_gradient &gradient = op.layers[blockIdx.y];
    const int slices = (gradient.of.C + SLICE - 1) / SLICE;
    float *parts = op.parts + (size_t)blockIdx.y * op.slices * MATRICES;
    float *part = parts + (size_t)blockIdx.x * MATRICES;
    bool has_three = gradient.dm53 && gradient.of.R == 3;
    if ((int)blockIdx.x >= slices)
        return;
    matrices_load(gradient.of, m75, m53);
    if (threadIdx.x < SLICE)
        back_channel(gradient, slice, (int)(blockIdx.x * SLICE + threadIdx.x));
    __syncthreads();
    if (gradient.dm75)
        slice_product(FIVE, slice.dfive, slice.five, part);
    if (has_three)
        slice_product(THREE, slice.dthree, slice.three, part + M75);
    if (!gpu_is_last_block(op.tickets + blockIdx.y, (unsigned)slices))
        return;
    slices_add(M75, slices, parts, gradient.dm75);
    slices_add(M53, slices, parts + M75, has_three ? gradient.dm53 : NULL);
}

static int slices_of(int C)
{
    return (C + SLICE - 1) / SLICE;
}

size_t cuda_kernel_backward_plan(const struct work *work, enum precision precision)
{
    size_t layers = work->count < (size_t)LAYERS ? work->count : (size_t)LAYERS;
    (void)precision;
    return layers * (size_t)slices_of(work->conv.in.C) * MATRICES * sizeof(float);
}

void cuda_kernel_forward(struct device *device, int count,
                         const struct kernel_transform *transforms)
{
    struct cuda *cuda = cuda_of(device);
    for (int first = 0; first < count; first += LAYERS) {
        struct kernel_forward_args op = {};
        int layers = count - first < LAYERS ? count - first : LAYERS, widest = 0;
        for (int i = 0; i < layers; i++) {
            op.layers[i] = transforms[first + i];
            widest = op.layers[i].C > widest ? op.layers[i].C : widest;
        }
        cuda_launch(cuda, "kernel_forward",
                    cuda->precision == PRECISION_BF16 ? kernel_forward_kernel<bf16>
                                                      : kernel_forward_kernel<float>,
                    dim3((unsigned)slices_of(widest), (unsigned)layers), dim3(SLICE), 0, &op);
    }
}

void cuda_kernel_backward(struct device *device, int count, const struct kernel_gradient *gradients)
{
    struct cuda *cuda = cuda_of(device);
    struct work work = {};
    work.kind = WORK_KERNEL_BACKWARD;
    work.count = (size_t)count;
    for (int i = 0; i < count; i++)
        if (gradients[i].of.C > work.conv.in.C)
            work.conv.in.C = gradients[i].of.C;
    float *parts =
        (float *)cuda_scratch(cuda, &work, cuda_kernel_backward_plan(&work, cuda->precision));
    for (int first = 0; first < count && parts; first += LAYERS) {
        struct kernel_backward_args op = {};
        int layers = count - first < LAYERS ? count - first : LAYERS;
        for (int i = 0; i < layers; i++)
            op.layers[i] = gradients[first + i];
        op.slices = slices_of(work.conv.in.C);
        op.parts = parts;
        op.tickets = cuda->tickets;
        cuda_launch(cuda, "kernel_backward", kernel_backward_kernel,
                    dim3((unsigned)op.slices, (unsigned)layers), dim3(GRADIENT_THREADS), 0, &op);
    }
}
