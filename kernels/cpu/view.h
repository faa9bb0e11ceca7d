/* What every operation does while it loads: apply a view (scale, shift, activation, gate), or form
 * a gradient (struct grad). One vector of channels at a time; the activation is a parameter that
 * callers pass as a constant (ACT_SWITCH), so that no branch is left in the inner loop.
 *
 * A NULL in struct view or struct grad means 1 or 0. `struct channels` turns these into padded
 * arrays of ones and zeros, so that inner loops read one form only; padding channels have scale,
 * shift, a, b and c = 0 and may be loaded as whole vectors. */
#ifndef KERNELS_CPU_VIEW_H
#define KERNELS_CPU_VIEW_H

#include "kernels/cpu/vec.h"
#include "kernels/device.h"
#include <string.h>

VEC_INLINE vec act_value(enum act act, vec x)
{
    switch (act) {
    case ACT_NONE:
        return x;
    case ACT_RELU:
        return vec_max(vec_zero(), x);
    case ACT_RELU6:
        return vec_min(vec_set(6), vec_max(vec_zero(), x));
    case ACT_HSWISH:
        return x * (vec_min(vec_set(6), vec_max(vec_zero(), x + 3.0f)) * (1.0f / 6));
    }
    __builtin_unreachable();
}

/* act'(x), 0 at the kinks of ReLU and ReLU6 as in the reference. */
VEC_INLINE vec act_slope(enum act act, vec x)
{
    switch (act) {
    case ACT_NONE:
        return vec_set(1);
    case ACT_RELU:
        return vec_keep(x > 0.0f, vec_set(1));
    case ACT_RELU6:
        return vec_keep((x > 0.0f) & (x < 6.0f), vec_set(1));
    case ACT_HSWISH: { /* x r(x) / 6, r = relu6(x + 3): r / 6 + (0 < x + 3 < 6 ? x / 6 : 0) */
        vec moved = x + 3.0f;
        vec ramp = vec_min(vec_set(6), vec_max(vec_zero(), moved)) * (1.0f / 6);
        return ramp + vec_keep((moved > 0.0f) & (moved < 6.0f), x * (1.0f / 6));
    }
    }
    __builtin_unreachable();
}

/* q act'(x): cheaper than the product for all but h-swish. */
VEC_INLINE vec act_backward(enum act act, vec q, vec x)
{
    switch (act) {
    case ACT_NONE:
        return q;
    case ACT_RELU:
        return vec_keep(x > 0.0f, q);
    case ACT_RELU6:
        return vec_keep((x > 0.0f) & (x < 6.0f), q);
    case ACT_HSWISH:
        return q * act_slope(ACT_HSWISH, x);
    }
    __builtin_unreachable();
}

/* Calls function(ACT_..., arguments) with the activation as a constant; `function` is VEC_INLINE.
 */
#define ACT_SWITCH(act_variable, function, ...)                                                    \
    do {                                                                                           \
        switch (act_variable) {                                                                    \
        case ACT_NONE:                                                                             \
            function(ACT_NONE, __VA_ARGS__);                                                       \
            break;                                                                                 \
        case ACT_RELU:                                                                             \
            function(ACT_RELU, __VA_ARGS__);                                                       \
            break;                                                                                 \
        case ACT_RELU6:                                                                            \
            function(ACT_RELU6, __VA_ARGS__);                                                      \
            break;                                                                                 \
        case ACT_HSWISH:                                                                           \
            function(ACT_HSWISH, __VA_ARGS__);                                                     \
            break;                                                                                 \
        }                                                                                          \
    } while (0)

/* The per-channel numbers of a view or gradient without NULLs, each padded to whole vectors. */
struct channels {
    const float *scale, *shift;
    const float *a, *b, *c; /* of struct grad; 1, 0, 0 for a plain view */
    const float *ones;      /* (C) stands in for a gate row */
    const float *zeros;     /* (C) stands in for a p row or a q row */
};

enum { CHANNELS_ARRAYS = 7 };

static inline size_t channels_bytes(int C)
{
    return CHANNELS_ARRAYS * (size_t)vec_round(C) * sizeof(float);
}

static inline const float *channels_fill(float **memory, int C, const float *from, float otherwise)
{
    float *to = *memory;
    int padded = vec_round(C);
    for (int c = 0; c < C; c++)
        to[c] = from ? from[c] : otherwise;
    memset(to + C, 0, (size_t)(padded - C) * sizeof *to);
    *memory += padded;
    return to;
}

/* `memory`: channels_bytes(C), 64-aligned. `grad` may be NULL. */
static inline struct channels channels_init(float *memory, int C, const struct view *view,
                                            const struct grad *grad)
{
    struct channels channels;
    channels.scale = channels_fill(&memory, C, view->scale, 1);
    channels.shift = channels_fill(&memory, C, view->shift, 0);
    channels.a = channels_fill(&memory, C, grad ? grad->a : NULL, 1);
    channels.b = channels_fill(&memory, C, grad && grad->a ? grad->b : NULL, 0);
    channels.c = channels_fill(&memory, C, grad && grad->a ? grad->c : NULL, 0);
    channels.ones = channels_fill(&memory, C, NULL, 1);
    channels.zeros = channels_fill(&memory, C, NULL, 0);
    return channels;
}

/* The constants of one vector of channels, kept in registers over rows. */
struct view_vec {
    vec scale, shift;
};

struct grad_vec {
    vec scale, shift, a, b, c;
};

VEC_INLINE struct view_vec view_vec_load(const struct channels *channels, int c)
{
    return (struct view_vec){vec_load(channels->scale + c), vec_load(channels->shift + c)};
}

VEC_INLINE struct grad_vec grad_vec_load(const struct channels *channels, int c)
{
    return (struct grad_vec){vec_load(channels->scale + c), vec_load(channels->shift + c),
                             vec_load(channels->a + c), vec_load(channels->b + c),
                             vec_load(channels->c + c)};
}

/* act(scale z + shift), before the gate. */
VEC_INLINE vec view_value(enum act act, const struct view_vec *k, vec z)
{
    return act_value(act, z * k->scale + k->shift);
}

/* dz = a g + b z + c, g = (q s + p) act'(scale z + shift). */
VEC_INLINE vec grad_value(enum act act, const struct grad_vec *k, vec z, vec q, vec s, vec p)
{
    vec g = act_backward(act, q * s + p, z * k->scale + k->shift);
    return k->a * g + (k->b * z + k->c);
}

/* The row of channels of image n, or the stand-in. Global rows end at C: load their tail with
 * vec_load_part. */
VEC_INLINE const float *view_gate_row(const struct view *view, const struct channels *channels,
                                      int C, int n)
{
    return view->gate ? view->gate + (size_t)n * (size_t)C : channels->ones;
}

VEC_INLINE const float *grad_p_row(const struct grad *grad, const struct channels *channels, int C,
                                   int n)
{
    return grad->p ? grad->p + (size_t)n * (size_t)C : channels->zeros;
}

#endif
