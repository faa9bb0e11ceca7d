/* What every operation does while it loads: apply a view, or form a gradient (struct view, struct
 * grad in kernels/device.h). The arithmetic is that of kernels/cpu/view.h. One channel at a time;
 * its numbers are fetched once and kept in registers over rows. */
#ifndef KERNELS_CUDA_VIEW_CUH
#define KERNELS_CUDA_VIEW_CUH

#include "kernels/cuda/border.h"
#include "kernels/cuda/map.cuh"

static __device__ __forceinline__ float act_ramp(float x) /* relu6(x + 3) / 6 */
{
    return __saturatef(fmaf(x, 1.0f / 6, 0.5f)); /* one instruction */
}

static __device__ __forceinline__ float act_value(enum act act, float x)
{
    if (act == ACT_NONE)
        return x;
    if (act == ACT_HSWISH)
        return x * act_ramp(x);
    float positive = x <= 0.0f ? 0.0f : x; /* a NaN stays one */
    return act == ACT_RELU6 && positive > 6.0f ? 6.0f : positive;
}

/* act'(x), 0 at the kinks of ReLU and ReLU6 as in the reference. */
static __device__ __forceinline__ float act_slope(enum act act, float x)
{
    if (act == ACT_NONE)
        return 1.0f;
    if (act == ACT_HSWISH)
        return x <= -3.0f ? 0.0f : x >= 3.0f ? 1.0f : fmaf(x, 1.0f / 3, 0.5f);
    return x > 0.0f && (act == ACT_RELU || x < 6.0f) ? 1.0f : 0.0f;
}

/* q act'(x). Where the slope is 0 the product is, whatever q is. */
static __device__ __forceinline__ float act_backward(enum act act, float q, float x)
{
    float slope = act_slope(act, x);
    return act == ACT_HSWISH || act == ACT_NONE ? q * slope : slope != 0.0f ? q : 0.0f;
}

static __device__ __forceinline__ float gpu_load_or(const float *from, size_t index,
                                                    float otherwise)
{
    return from ? gpu_load(from + index) : otherwise;
}

/* Of one channel. */
struct view_channel {
    float scale, shift;
};

static __device__ __forceinline__ view_channel view_channel_load(const struct view &view, int c)
{
    view_channel k = {gpu_load_or(view.scale, c, 1), gpu_load_or(view.shift, c, 0)};
    return k;
}

static __device__ __forceinline__ float view_gate(const struct view &view, int C, int n, int c)
{
    return gpu_load_or(view.gate, (size_t)n * C + c, 1);
}

/* act(scale z + shift), before the gate. */
static __device__ __forceinline__ float view_value(enum act act, view_channel k, float z)
{
    return act_value(act, fmaf(z, k.scale, k.shift));
}

struct grad_channel {
    float scale, shift, a, b, c;
};

static __device__ __forceinline__ grad_channel grad_channel_load(const struct grad &grad, int c)
{
    view_channel of = view_channel_load(grad.of, c);
    grad_channel k = {of.scale, of.shift, 1, 0, 0};
    if (grad.a) {
        k.a = gpu_load(grad.a + c);
        k.b = gpu_load(grad.b + c);
        k.c = gpu_load(grad.c + c);
    }
    return k;
}

/* dz = a g + (b z + c), g = (q s + p) act'(scale z + shift); s the gate or 1, p its row or 0. */
static __device__ __forceinline__ float grad_value(enum act act, grad_channel k, float z, float q,
                                                   float s, float p)
{
    float g = act_backward(act, fmaf(q, s, p), fmaf(z, k.scale, k.shift));
    return fmaf(k.a, g, fmaf(k.b, z, k.c));
}

#endif
