/* What a convolution adds up for the next pass while it stores: batch norm's sums of a raw output,
 * and what a sink asks of a gradient; and how the last block makes a norm of them. Arithmetic as in
 * kernels/cpu/sums.h and norm.c: fp32 over the few rows that one thread has in hand, about one of
 * their values, so that large means cost no digits; fp64, in an order that only the shape decides,
 * from there on. */
#ifndef KERNELS_CUDA_SUMS_CUH
#define KERNELS_CUDA_SUMS_CUH

#include "kernels/cuda/view.cuh"

/* Of one channel of a raw output, about `shift`, the first value that was added. */
struct raw_sums {
    float shift, sum, square;
    int count;
};

static __device__ __forceinline__ raw_sums raw_sums_zero(void)
{
    raw_sums sums = {0, 0, 0, 0};
    return sums;
}

/* z as it was stored: map_stored(). */
static __device__ __forceinline__ void raw_sums_add(raw_sums *sums, float z)
{
    sums->shift = sums->count ? sums->shift : z;
    float about = z - sums->shift;
    sums->sum += about;
    sums->square = fmaf(about, about, sums->square);
    sums->count++;
}

/* *sum += sum z, *square += sum z^2 */
static __device__ __forceinline__ void raw_sums_end(const raw_sums *sums, double *sum,
                                                    double *square)
{
    double k = sums->shift, count = sums->count, about = sums->sum;
    *sum += about + count * k;
    *square += (double)sums->square + 2 * k * about + count * k * k;
}

/* Of one channel of a gradient q that arrives at y = act(x), x = scale z + shift: g = q act'(x).
 * q as it was stored. */
struct sink_sums {
    float gated, sum, moment; /* q y, g, g (z - mean) */
};

static __device__ __forceinline__ void sink_sums_add(enum act act, sink_sums *sums, view_channel k,
                                                     float mean, float q, float z)
{
    float x = fmaf(z, k.scale, k.shift), g = act_backward(act, q, x);
    sums->gated = fmaf(q, act_value(act, x), sums->gated);
    sums->sum += g;
    sums->moment = fmaf(g, z - mean, sums->moment);
}

static __device__ __forceinline__ void flaw_note(const struct flaw &flaw, uint64_t index)
{
    if (flaw.word)
        atomicMin((unsigned long long *)flaw.word, (unsigned long long)(flaw.code + index));
}

/* scale z + shift is exact about the mean however large that is: the shift is made with the scale
 * as it was rounded. */
static __device__ __forceinline__ void norm_set(const struct norm_forward &op, int c, double mean,
                                                double variance)
{
    double inverse_deviation = 1 / sqrt(variance + (double)op.eps);
    float scale = (float)((double)gpu_load(op.gamma + c) * inverse_deviation);
    gpu_store(op.norm.scale + c, scale);
    gpu_store(op.norm.shift + c, (float)((double)gpu_load(op.beta + c) - mean * (double)scale));
    gpu_store(op.norm.mean + c, (float)mean);
    gpu_store(op.norm.inverse_deviation + c, (float)inverse_deviation);
}

/* Channel c of a NORM_BATCH whose sums are complete: writes op.sums, the totals and the norm.
 * count: dims_pixels() of the map. */
static __device__ __forceinline__ void norm_finish(const struct norm_forward &op, int C, int c,
                                                   double count, double sum, double square)
{
    double mean = sum / count, variance = square / count - mean * mean;
    gpu_store(op.sums + c, sum);
    gpu_store(op.sums + C + c, square);
    if (!isfinite(sum) || !isfinite(square))
        flaw_note(op.flaw, (uint64_t)c);
    if (op.total) {
        gpu_store(op.total + c, gpu_load(op.total + c) + sum);
        gpu_store(op.total_square + c, gpu_load(op.total_square + c) + square);
    }
    if (variance < 0) /* rounding; NaN stays NaN */
        variance = 0;
    if (op.gamma)
        norm_set(op, c, mean, variance);
}

/* Channel c of a NORM_FIXED: any block may, once. */
static __device__ __forceinline__ void norm_fix(const struct norm_forward &op, int c)
{
    norm_set(op, c, (double)gpu_load(op.mean + c), (double)gpu_load(op.variance + c));
}

/* Channel c of a batch norm's backward whose sums are complete. With r the inverse deviation, S =
 * sum g, T = sum g (z - mean) and n = count: dz = gamma r (g - S / n - (z - mean) r^2 T / n). */
static __device__ __forceinline__ void norm_backward_finish(const struct norm_backward &op, int c,
                                                            double count, double sum, double moment)
{
    double r = gpu_load(op.norm.inverse_deviation + c), scale = (double)gpu_load(op.gamma + c) * r;
    float slope = (float)(-scale * r * r * moment / count);
    gpu_store(op.dbeta + c, gpu_load(op.dbeta + c) + (float)sum);
    gpu_store(op.dgamma + c, gpu_load(op.dgamma + c) + (float)(moment * r));
    gpu_store(op.a + c, (float)scale);
    gpu_store(op.b + c, slope);
    gpu_store(op.c + c,
              (float)(-scale * sum / count - (double)slope * (double)gpu_load(op.norm.mean + c)));
}

#endif
