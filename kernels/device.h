/* The border between the algorithm and the hardware: one table of operations per device (DESIGN: "a
 * tensor travels raw; its normalisation travels with it"). kernels/cpu is the specification;
 * another device has the same names.
 *
 * Activations are dense NHWC fp32 at the active width; weights stay at full width and are read
 * through a leading dimension, so the first C channels of a weight are a sub-network's weight. A
 * convolution writes its raw output z and the per-channel sums that batch norm needs. Nobody writes
 * a normalised or activated map: the reader gets a view and applies it while loading; padding is
 * zero after the view. A gradient travels as struct grad and is formed while loading too. The only
 * activated maps ever written are residual sums (narrow) and (N,C) vectors behind a pool.
 *
 * Every pointer is device memory unless it says host. An operation may return before it is done;
 * device_sync waits. Every operation is deterministic for given shapes, instruction set and
 * library: threads never change a bit. Sums are fp32 inside a fixed tile (about a tile-local shift,
 * so that large means cost no digits) and fp64, in order, across tiles. One thread at a time may
 * call into a device. */
#ifndef KERNELS_DEVICE_H
#define KERNELS_DEVICE_H

#include "base/act.h"
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum isa {
    ISA_AUTO,
    ISA_V2,
    ISA_V3,
    ISA_V4
}; /* x86-64-v2 (SSE4.2), v3 (AVX2, FMA), v4 (AVX-512) */

struct dims { /* of an activation map */
    int N, H, W, C;
};

/* A raw tensor as its reader sees it: y = gate[n,c] * act(scale[c] z + shift[c]).
 * scale and shift are both NULL for a tensor that is already what it should be (image, residual
 * sum). */
struct view {
    const float *z;     /* (N,H,W,C) */
    const float *scale; /* (C) or NULL: 1 */
    const float *shift; /* (C) or NULL: 0 */
    const float *gate;  /* (N,C) or NULL: 1. Squeeze-excite, or a dropout mask */
    enum act act;
};

/* The gradient of a raw tensor before it is formed: g = (q s + p) act'(scale z + shift), dz = a g +
 * b z + c, with s = of.gate (1 when NULL). q NULL: 0 (behind a global pool). p NULL: 0. a NULL: dz
 * = g (no batch norm). */
struct grad {
    const float *q; /* (N,H,W,C) or NULL */
    struct view of; /* the tensor itself */
    const float *p; /* (N,C) or NULL */
    const float *a; /* (C) or NULL */
    const float *b; /* (C) */
    const float *c; /* (C) */
};

/* Where a backward pass writes the gradient of the map it had read, and what it accumulates while
 * it has it in hand. q[i] = sum + (add ? add[i] : 0). Then g = q act'(of.scale z + of.shift)
 * (of.gate is not applied): sums[0..C)  = sum g,  sums[C..2C) = sum g (z - mean)         when sums
 * != NULL (no gate) gate_sums (N,3,C) = per image sum q y, sum q act', sum q act' (z - mean), y =
 * act(...) before the gate Only one of sums and gate_sums is set. Behind a residual sum `of` is the
 * branch that was added last (act none). */
struct grad_sink {
    float *q;         /* (N,H,W,C), out */
    const float *add; /* (N,H,W,C) the shortcut's gradient or NULL; may be q itself */
    struct view of;
    const float *mean; /* (C) of that batch norm; NULL: 0 */
    double *sums;      /* (2,C) or NULL, overwritten */
    double *gate_sums; /* (N,3,C) or NULL, overwritten */
};

/* A batch norm's numbers for one pass; all (C) floats. */
struct norm {
    float *scale; /* gamma / sqrt(var + eps) */
    float *shift; /* beta - mean scale */
    float *mean;
    float *inverse_deviation; /* 1 / sqrt(var + eps) */
};

struct conv { /* every convolution: "same" padding R/2, out side (in - 1) / S + 1 */
    struct dims in;
    int K;  /* channels out; = in.C for a depthwise convolution */
    int R;  /* kernel side: 1 pointwise, 3 stem, 3 5 7 depthwise */
    int S;  /* stride 1 or 2; pointwise always 1 */
    int ld; /* leading dimension of the weight: pointwise (K,C): >= C; depthwise (R*R,C): >= C; stem
               (R*R*C,K): >= K */
};

struct dims conv_out(const struct conv *conv);

struct squeeze_excite { /* weights at full width: reduce (Cr,ld_reduce), expand (C,ld_expand) */
    int C, Cr;
    int ld_reduce, ld_expand;
    const float *reduce_w, *reduce_b, *expand_w, *expand_b;
};

struct squeeze_excite_grad { /* accumulated into, same shapes */
    float *reduce_w, *reduce_b, *expand_w, *expand_b;
};

struct kernel_matrices { /* one depthwise layer, OFA sec. 3.2; tap-major weights */
    const float *w7;     /* (49,ld): channel c of tap t at w7[t * ld + c] */
    const float *m75;    /* (25,25) row-major, out tap by in tap; NULL: plain crop */
    const float *m53;    /* (9,9), applied to the centre of the transformed 5x5 */
    int C, ld;
};

struct loss { /* mean over the batch of CE(smoothed labels) label_weight + distil_weight
                 CE(softmax(teacher), student) */
    int N, K;
    const float *logits;         /* (N,K) */
    const int32_t *labels;       /* (N) */
    const float *teacher_logits; /* (N,K) or NULL: no distillation */
    float smoothing;             /* 0.1 */
    float label_weight;          /* 1, or 0 for in-place distillation */
    float distil_weight;         /* 1 */
    float divisor;               /* the gradient's: the global batch */
};

struct sgd { /* torch.optim.SGD: d = g + decay w; v = momentum v + d; w -= rate (nesterov ? d +
                momentum v : v) */
    size_t count;
    float *w, *v;
    const float *g;
    float rate, momentum, decay;
    bool is_nesterov;
};

/* Bytes written since device_open, by kind (fp32 maps only). A test holds the first rule of this
 * page to it. */
struct device_traffic {
    uint64_t raw_bytes;          /* raw convolution outputs z */
    uint64_t gradient_bytes;     /* q maps */
    uint64_t residual_bytes;     /* residual sums */
    uint64_t scratch_peak_bytes; /* largest activated scratch a single operation held, per thread */
    uint64_t
        working_peak_bytes;     /* largest scratch of any kind an operation asked for, per thread */
    uint64_t shared_peak_bytes; /* largest block an operation shared among its threads */
};

struct device;

/* Shapes in brackets. "+=" means accumulated into. Nothing here can fail but what returns enum err.
 */
struct device_ops {
    const char *name; /* "cpu" */

    /* y = x * w: the 3x3 stem on the image (in.C 1 or 3 channels). w (R*R*C,ld). z (N,H',W',K),
     * sums (2,K) or NULL */
    void (*stem_forward)(struct device *, const struct conv *, struct view x, const float *w,
                         float *z, double *sums);
    /* dw += ; no gradient flows to the image */
    void (*stem_backward)(struct device *, const struct conv *, const struct grad *dz,
                          struct view x, float *dw);

    /* 1x1 convolution: z[m,k] = sum_c x[m,c] w[k * ld + c]; sums (2,K): sum z, sum z^2, or NULL */
    void (*pw_forward)(struct device *, const struct conv *, struct view x, const float *w,
                       float *z, double *sums);
    /* one pass: dz is formed once, sink->q = dz w (+ add), dw (K,ld) += dz^T x. sink NULL: weights
     * only */
    void (*pw_backward)(struct device *, const struct conv *, const struct grad *dz, struct view x,
                        const float *w, const struct grad_sink *sink, float *dw);

    /* depthwise: w (R*R,ld) tap-major */
    void (*dw_forward)(struct device *, const struct conv *, struct view x, const float *w,
                       float *z, double *sums);
    void (*dw_backward)(struct device *, const struct conv *, const struct grad *dz, struct view x,
                        const float *w, const struct grad_sink *sink, float *dw);

    /* sum = x + y, both seen through their views; (N,H,W,C) */
    void (*residual_forward)(struct device *, struct dims, struct view x, struct view y,
                             float *sum);

    /* mean over H,W of the view without its gate -> pooled (N,C).
     * pool_sums (N,2,C) or NULL: sum act', sum act' (z - mean), what the backward needs of p */
    void (*pool_forward)(struct device *, struct dims, struct view x, const float *mean,
                         float *pooled, double *pool_sums);
    /* dpooled (N,C) -> p = dpooled / HW (N,C), and sums (2,C): sum g, sum g (z - mean) for q = 0 */
    void (*pool_backward)(struct device *, struct dims, const float *dpooled,
                          const double *pool_sums, float *p, double *sums);

    /* gate (N,C) = h_sigmoid(expand relu(reduce pooled)); hidden (N,Cr) is kept for the backward
     * (before ReLU) */
    void (*se_forward)(struct device *, int N, const struct squeeze_excite *, const float *pooled,
                       float *hidden, float *gate);
    /* gate_sums (N,3,C) from the sink, pool_sums (N,2,C) -> p (N,C), sums (2,C) of the gated
     * tensor; weights += */
    void (*se_backward)(struct device *, struct dims, const struct squeeze_excite *,
                        const float *pooled, const float *hidden, const float *gate,
                        const double *gate_sums, const double *pool_sums, float *p, double *sums,
                        const struct squeeze_excite_grad *);

    /* y (N,K) = x w^T + bias; x (N,C) through its view (dims 1x1), w (K,ld), bias (K) or NULL */
    void (*linear_forward)(struct device *, const struct conv *, struct view x, const float *w,
                           const float *bias, float *y);
    /* dx (N,C) is the gradient of x.z (act', scale and gate applied) or NULL; dw (K,ld) +=, dbias
     * (K) += or NULL */
    void (*linear_backward)(struct device *, const struct conv *, const float *dy, struct view x,
                            const float *w, float *dx, float *dw, float *dbias);

    /* batch statistics: sums (2,C) over `count` elements, biased variance */
    void (*norm_forward)(struct device *, int C, double count, const double *sums,
                         const float *gamma, const float *beta, float eps, struct norm);
    /* given statistics (running or calibrated) */
    void (*norm_fixed)(struct device *, int C, const float *mean, const float *variance,
                       const float *gamma, const float *beta, float eps, struct norm);
    /* sums (2,C): sum g, sum g (z - mean); dgamma, dbeta (C) +=; a, b, c (C) of struct grad */
    void (*norm_backward)(struct device *, int C, double count, const double *sums,
                          const float *gamma, struct norm, float *dgamma, float *dbeta, float *a,
                          float *b, float *c);

    /* the active kernel of side R (3, 5) for the first C channels: w (R*R,C) dense. R = 7 needs
     * none */
    void (*kernel_forward)(struct device *, const struct kernel_matrices *, int R, float *w);
    /* dw (R*R,C) -> dw7 (49,ld) +=, dm75 +=, dm53 += (NULL with plain crop) */
    void (*kernel_backward)(struct device *, const struct kernel_matrices *, int R, const float *dw,
                            float *dw7, float *dm75, float *dm53);

    /* mask[n,c] = 0 with probability `rate`, else 1 / (1 - rate): rng(seed, RNG_DROPOUT, 0, step,
     * first + n C + c) */
    void (*dropout_mask)(struct device *, int N, int C, float rate, uint64_t seed, uint64_t step,
                         uint64_t first, float *mask);

    /* dlogits (N,K) or NULL, already divided; *loss_sum (host): sum over images, not divided;
     * *correct (host): top-1 */
    void (*loss_forward)(struct device *, const struct loss *, float *dlogits, double *loss_sum,
                         int64_t *correct);

    void (*sgd_step)(struct device *, const struct sgd *);
    void (*add)(struct device *, size_t count, const float *x, float *sum); /* sum += x */
    void (*zero)(struct device *, size_t size_bytes, void *memory);
    /* every bit set: a NaN in every type of float. For debug builds, to spoil what is dead */
    void (*fill_nan)(struct device *, size_t size_bytes, void *memory);
    /* the index of the first element that is NaN or infinite, or count */
    size_t (*find_nonfinite)(struct device *, size_t count, const float *x);

    enum err (*alloc)(struct device *, size_t size_bytes,
                      void **memory);            /* zeroed, 64-aligned; ERR_MEMORY */
    void (*free)(struct device *, void *memory); /* accepts NULL */
    void (*upload)(struct device *, void *to, const void *host, size_t size_bytes);
    void (*download)(struct device *, void *host, const void *from, size_t size_bytes);
    void (*sync)(struct device *);
    void (*close)(struct device *);
};

#define DEVICE_LINEAGE    256
#define DEVICE_LINEAGE_ON " on "

struct device {
    const struct device_ops *ops;
    struct device_traffic traffic;
    /* What the results depend on: "cpu x86-64-v4 oneDNN 2.7.2 on <model>". In front of " on " what
     * decides the arithmetic; behind it the model, whose caches a library's blocking may follow. */
    char lineage[DEVICE_LINEAGE];
    void *own; /* the device's own state */
};

struct device_cfg {
    const char *name; /* "auto" or "cpu" */
    int threads;      /* compute threads of a CPU device, >= 1 */
    enum isa isa;     /* ISA_AUTO: the best this machine has */
};

/* Returns owned in *device. ERR_UNAVAILABLE when the device or the pinned instruction set is not
 * there. */
MUST_CHECK enum err device_open(const struct device_cfg *cfg, struct device **device);
void device_close(struct device **device); /* accepts NULL and a pointer to NULL; sets NULL */

MUST_CHECK enum err isa_parse(const char *name,
                              enum isa *isa); /* auto, x86-64-v2, x86-64-v3, x86-64-v4 */

#endif
