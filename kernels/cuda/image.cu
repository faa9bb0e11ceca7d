/* Squares out of u8 pixels: kernels/image.c pixel by pixel, with each product and sum rounded where
 * it rounds them, so that the bits are the CPU's. A thread makes one pixel; the block's pixels lie
 * side by side and are stored whole sectors at a time. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/map.cuh"

enum { THREADS = 256, CHANNELS = 3 };

struct images {
    struct image_batch batch;
    void *to;
    int pixels; /* N R R */
};

struct tap { /* two neighbours and the weight of the second */
    int low, high;
    float weight;
};

/* Where the centre of output pixel i falls among the centres of `size` pixels from `first` on, the
 * border repeated. */
static __device__ __forceinline__ tap tap_at(int i, double start, double step, int first, int size)
{
    double at = __dadd_rn(__dadd_rn(start, __dmul_rn(i + 0.5, step)), -0.5);
    tap found = {0, 0, 0};
    if (at <= first)
        return found;
    if (at >= first + size - 1) {
        found.low = found.high = size - 1;
        return found;
    }
    int low = (int)at;
    found.low = low - first;
    found.high = found.low + 1;
    found.weight = (float)__dadd_rn(at, -(double)low);
    return found;
}

/* low + weight (high - low) */
static __device__ __forceinline__ float mix(float low, float high, float weight)
{
    return __fadd_rn(low, __fmul_rn(weight, __fadd_rn(high, -low)));
}

/* One channel between two rows. */
static __device__ __forceinline__ float mix_rows(const uint8_t *low, const uint8_t *high,
                                                 float weight)
{
    return mix((float)gpu_load(low), (float)gpu_load(high), weight);
}

static __device__ __forceinline__ float clamp(float value)
{
    return value < 0.0f ? 0.0f : value > 255.0f ? 255.0f : value;
}

static __device__ __forceinline__ void brighten(float factor, float (&values)[CHANNELS])
{
#pragma unroll
    for (int c = 0; c < CHANNELS; c++)
        values[c] = clamp(__fmul_rn(values[c], factor));
}

/* Away from or towards the grey of the same luminance (ITU-R BT.601). */
static __device__ __forceinline__ void saturate(float factor, float (&values)[CHANNELS])
{
    float grey = __fadd_rn(__fadd_rn(__fmul_rn(0.299f, values[0]), __fmul_rn(0.587f, values[1])),
                           __fmul_rn(0.114f, values[2]));
#pragma unroll
    for (int c = 0; c < CHANNELS; c++)
        values[c] = clamp(__fadd_rn(grey, __fmul_rn(factor, __fadd_rn(values[c], -grey))));
}

static __device__ __forceinline__ void colour(const struct image_crop *crop, int C,
                                              float (&values)[CHANNELS])
{
    if (!gpu_load(&crop->has_colour))
        return;
    bool saturates = C == CHANNELS, is_first = gpu_load(&crop->saturation_first);
    if (saturates && is_first)
        saturate(gpu_load(&crop->saturation), values);
    brighten(gpu_load(&crop->brightness), values);
    if (saturates && !is_first)
        saturate(gpu_load(&crop->saturation), values);
}

/* values (C) of the pixel in row y and column x of a square. */
static __device__ __forceinline__ void interpolate(const struct images &op,
                                                   const struct image_crop *crop, int y, int x,
                                                   float (&values)[CHANNELS])
{
    int C = op.batch.C, W = gpu_load(&crop->W);
    int from = gpu_load(&crop->is_mirrored) ? op.batch.R - 1 - x : x;
    tap row = tap_at(y, gpu_load(&crop->y), gpu_load(&crop->step_y), gpu_load(&crop->top),
                     gpu_load(&crop->H));
    tap column =
        tap_at(from, gpu_load(&crop->x), gpu_load(&crop->step_x), gpu_load(&crop->left), W);
    const uint8_t *pixels = op.batch.pixels + gpu_load(&crop->first);
    const uint8_t *low = pixels + (size_t)row.low * W * C;
    const uint8_t *high = pixels + (size_t)row.high * W * C;
#pragma unroll
    for (int c = 0; c < CHANNELS; c++) {
        int left = column.low * C + c, right = column.high * C + c;
        values[c] = c >= C ? 0
                           : mix(mix_rows(low + left, high + left, row.weight),
                                 mix_rows(low + right, high + right, row.weight), column.weight);
    }
}

static __device__ __forceinline__ void make_pixel(const struct images &op, int pixel,
                                                  shared<float> to)
{
    int R = op.batch.R, n = pixel / (R * R), y = pixel / R % R, x = pixel % R;
    const struct image_crop *crop = op.batch.crops + n;
    float values[CHANNELS];
    interpolate(op, crop, y, x, values);
    colour(crop, op.batch.C, values);
#pragma unroll
    for (int c = 0; c < CHANNELS; c++)
        if (c < op.batch.C)
            to[c] = __fadd_rn(__fmul_rn(values[c], op.batch.scale[c]), op.batch.shift[c]);
}

/* `count` values of a block, the first of them 16-aligned in the map. */
template <typename E>
static __device__ __forceinline__ void store_values(shared<float> values, int count, E *to)
{
    const int N = map_width<E>::value;
    for (int i = threadIdx.x * N; i < count; i += THREADS * N) {
        float some[N];
#pragma unroll
        for (int j = 0; j < N; j += 4) {
            float4 four = shared_load<float4>(values + i + j);
            some[j] = four.x;
            some[j + 1] = four.y;
            some[j + 2] = four.z;
            some[j + 3] = four.w;
        }
        if (i + N <= count)
            map_store(to + i, some);
        else
#pragma unroll
            for (int j = 0; j < N; j++)
                if (i + j < count)
                    gpu_store(to + i + j, map_narrow<E>(some[j]));
    }
}

template <typename E> static __global__ void image_forward_kernel(struct images op)
{
    GPU_SHARED(float4, memory, THREADS * CHANNELS / 4);
    shared<float> values = shared_cast<float>(memory);
    int C = op.batch.C, first = (int)blockIdx.x * THREADS, pixel = first + (int)threadIdx.x;
    int count = op.pixels - first < THREADS ? op.pixels - first : THREADS;
    if (pixel < op.pixels)
        make_pixel(op, pixel, values + threadIdx.x * C);
    else
        for (int c = 0; c < C; c++)
            values[threadIdx.x * C + c] = 0;
    __syncthreads();
    store_values(values, count * C, static_cast<E *>(op.to) + (size_t)first * C);
}

void cuda_image_forward(struct device *device, const struct image_batch *batch, void *images)
{
    struct cuda *cuda = cuda_of(device);
    struct images op = {*batch, images, batch->N * batch->R * batch->R};
    dim3 grid((unsigned)((op.pixels + THREADS - 1) / THREADS)), block(THREADS);
    if (cuda->precision == PRECISION_BF16)
        cuda_launch(cuda, "image_forward_kernel", image_forward_kernel<bf16>, grid, block, 0, &op);
    else
        cuda_launch(cuda, "image_forward_kernel", image_forward_kernel<float>, grid, block, 0, &op);
}
