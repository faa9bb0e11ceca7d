/* The border between the algorithm and the hardware: one table of operations per device (DESIGN: "a
 * tensor travels raw; its normalisation travels with it"). kernels/cpu is the specification;
 * another device has the same names.
 *
 * Maps. An activation map is dense NHWC at the active width. Its element is the device's choice
 * (map_bytes), so maps are void * and only the device looks inside: z, q, residual sums, the
 * images' map, and the weights of convolutions (a shadow of the master weights in the same type).
 * Everything else is fp32, sums are fp64. Weights stay at full width and are read through a leading
 * dimension, so the first C channels of a weight are a sub-network's weight. A convolution writes
 * its raw output z and the per-channel sums that batch norm needs. Nobody writes a normalised or
 * activated map: the reader gets a view and applies it while loading; padding is zero after the
 * view. A gradient travels as struct grad and is formed while loading too. The only activated maps
 * ever written are residual sums (narrow) and (N,C) vectors behind a pool.
 *
 * Memory. Every pointer is device memory unless it says host. Only operations look behind a device
 * pointer; whoever else holds one may add to it and hand it on, nothing more. Structs of arguments
 * are the caller's again when the call returns.
 *
 * Time. Operations run in the order they were called, and may do so after the call has returned:
 * only sync, download and event_wait wait. No operation returns a number: what the host wants to
 * know (losses, counts, the first value that was not finite) is added up in device words and
 * downloaded once. An operation that fails leaves an error that sticks: from then on whoever waits
 * gets it, and results are worth nothing.
 *
 * Every operation is deterministic for given shapes, instruction set and library: threads never
 * change a bit. Sums are fp32 inside a fixed tile (about a tile-local shift, so that large means
 * cost no digits) and fp64, in order, across tiles. One thread at a time may call into a device,
 * but for event_wait, which any thread may call. */
#ifndef KERNELS_DEVICE_H
#define KERNELS_DEVICE_H

#include "base/act.h"
#include "base/err.h"
#include "base/pad.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum isa {
    ISA_AUTO,
    ISA_V2,
    ISA_V3,
    ISA_V4,
    ISA_V4_BF16
}; /* x86-64-v2 (SSE4.2), v3 (AVX2, FMA), v4 (AVX-512), v4-bf16 (products of bf16 pairs; for fp32
      maps the same as v4) */

enum precision { /* of maps */
                 PRECISION_FP32,
                 PRECISION_BF16 /* rounded to nearest, ties to even: docs/precision.md */
};

struct dims { /* of an activation map */
    int N, H, W, C;
};

/* Elements of one channel, as sums count them. */
static inline double dims_pixels(struct dims dims)
{
    return (double)dims.N * dims.H * dims.W;
}

/* A raw tensor as its reader sees it: y = gate[n,c] * act(scale[c] z + shift[c]).
 * scale and shift are both NULL for a tensor that is already what it should be (image, residual
 * sum). */
struct view {
    const void *z;      /* (N,H,W,C) map; (N,C) fp32 where a linear layer reads it */
    const float *scale; /* (C) or NULL: 1 */
    const float *shift; /* (C) or NULL: 0 */
    const float *gate;  /* (N,C) or NULL: 1. Squeeze-excite, or a dropout mask */
    enum act act;
};

/* The gradient of a raw tensor before it is formed: g = (q s + p) act'(scale z + shift), dz = a g +
 * b z + c, with s = of.gate (1 when NULL). q NULL: 0 (behind a global pool). p NULL: 0. a NULL: dz
 * = g (no batch norm). */
struct grad {
    const void *q;  /* (N,H,W,C) map or NULL */
    struct view of; /* the tensor itself */
    const float *p; /* (N,C) or NULL */
    const float *a; /* (C) or NULL */
    const float *b; /* (C) */
    const float *c; /* (C) */
};

/* A batch norm's numbers for one pass; all (C) floats. */
struct norm {
    float *scale; /* gamma / sqrt(var + eps) */
    float *shift; /* beta - mean scale */
    float *mean;
    float *inverse_deviation; /* 1 / sqrt(var + eps) */
};

/* Where an operation notes that a value was not finite: *word = min(*word, code + something below
 * 2^32), so that the smallest code is known at the end, whoever came first. */
#define FLAW_NONE UINT64_MAX
struct flaw {
    uint64_t *word; /* device; NULL: nobody asks */
    uint64_t code;
};

enum norm_kind {
    NORM_BATCH, /* statistics of this batch, biased variance */
    NORM_FIXED  /* given statistics: running or calibrated */
};

/* The batch norm behind a convolution, which finishes it in the same call. */
struct norm_forward {
    enum norm_kind kind;
    double *sums;                 /* (2,C) sum z, sum z^2: written with NORM_BATCH */
    const float *gamma, *beta;    /* (C); NULL: the sums are all that is wanted */
    float eps;                    /* of the variance */
    const float *mean, *variance; /* (C) with NORM_FIXED */
    double *total, *total_square; /* (C) += the sums, for calibration; or NULL */
    struct norm norm;             /* out */
    struct flaw flaw;             /* a sum that is not finite */
};

/* The backward of a batch norm, finished by whoever has its sums (2,C) complete: sum g, sum g (z -
 * mean). dgamma, dbeta (C) +=; a, b, c (C) of struct grad are written. */
struct norm_backward {
    const float *gamma;
    struct norm norm;
    float *dgamma, *dbeta;
    float *a, *b, *c;
};

/* Where a backward pass writes the gradient of the map it had read, and what it accumulates while
 * it has it in hand. q[i] = sum + (add ? add[i] : 0). Then g = q act'(of.scale z + of.shift)
 * (of.gate is not applied): sums[0..C)  = sum g,  sums[C..2C) = sum g (z - mean)         when sums
 * != NULL (no gate) gate_sums (N,3,C) = per image sum q y, sum q act', sum q act' (z - mean), y =
 * act(...) before the gate Only one of sums and gate_sums is set. Behind a residual sum `of` is the
 * branch that was added last (act none). */
struct grad_sink {
    void *q;         /* (N,H,W,C) map, out */
    const void *add; /* (N,H,W,C) map: the shortcut's gradient, or NULL; may be q itself */
    struct view of;
    const float *mean;                /* (C) of that batch norm; NULL: 0 */
    double *sums;                     /* (2,C) or NULL, overwritten */
    double *gate_sums;                /* (N,3,C) or NULL, overwritten */
    const struct norm_backward *norm; /* finished from sums; NULL: the sums are all */
};

struct conv { /* every convolution: out side (in - 1) / S + 1 */
    struct dims in;
    int K;  /* channels out; = in.C for a depthwise convolution */
    int R;  /* kernel side: 1 pointwise, 3 stem, 3 5 7 depthwise */
    int S;  /* stride 1 or 2; pointwise always 1 */
    int ld; /* leading dimension of the weight: pointwise (K,C): >= C; depthwise (R*R,C): >= C; stem
               (R*R*C,K): >= K */
    enum pad pad; /* where the zeros around the map go */
};

struct dims conv_out(const struct conv *conv);

struct squeeze_excite { /* weights at full width: reduce (Cr,ld_reduce), expand (C,ld_expand) */
    int C, Cr;
    int ld_reduce, ld_expand;
    const float *reduce_w, *reduce_b, *expand_w, *expand_b;
};

struct excitation {    /* what the forward writes and the backward reads */
    float *pooled;     /* (N,C) */
    float *hidden;     /* (N,Cr) before ReLU */
    float *gate;       /* (N,C) */
    double *pool_sums; /* (N,2,C): sum act', sum act' (z - mean); NULL: there is no backward */
};

struct squeeze_excite_grad { /* accumulated into, same shapes */
    float *reduce_w, *reduce_b, *expand_w, *expand_b;
};

struct excitation_grad {
    const double *gate_sums; /* (N,3,C) from the sink of the gated tensor */
    struct squeeze_excite_grad weights;
    float *p;                         /* (N,C) out: of the gated tensor, as sums */
    double *sums;                     /* (2,C) out: sum g, sum g (z - mean) */
    const struct norm_backward *norm; /* finished from sums, or NULL */
};

struct pool_grad {
    const float *dpooled;             /* (N,C) */
    const double *pool_sums;          /* (N,2,C) from the forward */
    float *p;                         /* (N,C) out: of the pooled tensor, as sums */
    double *sums;                     /* (2,C) out: sum g, sum g (z - mean) for q = 0 */
    const struct norm_backward *norm; /* finished from sums, or NULL */
};

/* The active kernel of one depthwise layer, OFA sec. 3.2; tap-major weights. The side of the stored
 * kernel is 7; a layer that uses it whole needs none of this. */
struct kernel_transform {
    const float *w7;  /* (49,ld) master weights: channel c of tap t at w7[t * ld + c] */
    const float *m75; /* (25,25) row-major, out tap by in tap; NULL: plain crop */
    const float *m53; /* (9,9), applied to the centre of the transformed 5x5 */
    int C, ld;
    int R;   /* 3 or 5 */
    void *w; /* (R*R,C) dense, as convolutions read weights: out */
};

struct kernel_gradient {
    struct kernel_transform of;
    const float *dw;          /* (R*R,C) */
    float *dw7, *dm75, *dm53; /* (49,ld), (25,25), (9,9) +=; matrices NULL with plain crop */
};

enum loss_sum {               /* what the loss adds up, one double each */
                LOSS_TOTAL,   /* what is minimised, summed over images, not divided */
                LOSS_DISTIL,  /* the distillation part, unweighted; 0 without a teacher */
                LOSS_CORRECT, /* top-1 */
                LOSS_IMAGES,
                LOSS_SUMS
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
    double *sums;                /* (LOSS_SUMS) += */
    struct flaw flaw;            /* a loss that is not finite */
};

enum { SGD_MAX_SEGMENTS = 8 };

struct sgd_segment { /* weights [first, first + count) */
    size_t first, count;
    float decay;
};

/* torch.optim.SGD over segments: d = g + decay w; v = momentum v + d; w -= rate (nesterov ? d +
 * momentum v : v). In the same pass the shadow gets the new weights and g becomes zero. */
struct sgd {
    int segment_count; /* what is in none of them is left as it is */
    struct sgd_segment segments[SGD_MAX_SEGMENTS];
    float *w, *v;
    float *g;
    void *shadow; /* of w, in the maps' type; w itself where that is fp32 */
    float rate, momentum;
    bool is_nesterov;
    const uint64_t *flaw; /* where it is not FLAW_NONE, nothing is changed; NULL: always */
};

/* How one image of a batch becomes a square of R x R: what the host drew, and where the pixels lie
 * that it cut out and averaged down. */
struct image_crop {
    size_t first;          /* of its pixels (H,W,C) among the batch's, in bytes */
    int H, W;              /* R to 2R where the picture is big enough */
    int top, left;         /* where they lie in the picture that y and x are measured in */
    double y, x;           /* upper left corner of what becomes the square, in pixels of it */
    double step_y, step_x; /* pixels from one row, and column, of the square to the next */
    bool is_mirrored;      /* left to right */
    bool has_colour;       /* brightness, and saturation where there are three channels */
    bool saturation_first;
    float brightness, saturation; /* factors */
};

struct image_batch { /* everything device memory */
    int N, R, C;     /* C: 1 or 3 */
    const uint8_t *pixels;
    const struct image_crop *crops; /* (N) */
    float scale[3], shift[3];       /* normalised = value scale[c] + shift[c] */
};

/* Bytes of maps written since device_open, by kind. A test holds the first rule of this
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
struct workload; /* kernels/workload.h: the shapes of operations to come */

struct event; /* a moment in the order of operations */

/* Shapes in brackets. "+=" means accumulated into. What returns enum err also returns an error that
 * an earlier operation left. */
struct device_ops {
    const char *name; /* "cpu" */

    /* Sizes all scratch: waits for what was queued, and from now on the device holds what the
     * largest of these works needs, and of those it was prepared for before. ERR_MEMORY: it holds
     * what it held. Operations on a device that was prepared allocate nothing; one that needs more
     * leaves an error that names its shape. On a device that nobody prepared scratch grows as
     * operations ask for it, which is for tests and tools alone. */
    MUST_CHECK enum err (*prepare)(struct device *, const struct workload *);

    /* images (N,R,R,C): row i of a square lies at y + (i + 1/2) step_y - 1/2 between the centres of
     * rows of pixels, columns likewise, and pixels go on for ever beyond their border. Bilinear,
     * rows first: low + weight (high - low), the weight a float of a difference of doubles. Then
     * brightness and saturation, clamped to 0..255, then normalised. fp32, each product and sum
     * rounded (none fused): the same bits on every instruction set. kernels/image.h has it for one
     * image. */
    void (*image_forward)(struct device *, const struct image_batch *, void *images);

    /* z = view(x) * w. The 3x3 stem on the image (in.C 1 or 3 channels); w (R*R*C,ld), z
     * (N,H',W',K). norm NULL: neither sums nor norm. */
    void (*stem_forward)(struct device *, const struct conv *, struct view x, const void *w,
                         void *z, const struct norm_forward *norm);
    /* dw += ; no gradient flows to the image */
    void (*stem_backward)(struct device *, const struct conv *, const struct grad *dz,
                          struct view x, float *dw);

    /* 1x1 convolution: z[m,k] = sum_c x[m,c] w[k * ld + c] */
    void (*pw_forward)(struct device *, const struct conv *, struct view x, const void *w, void *z,
                       const struct norm_forward *norm);
    /* one pass: dz is formed once, sink->q = dz w (+ add), dw (K,ld) += dz^T x. sink NULL: weights
     * only */
    void (*pw_backward)(struct device *, const struct conv *, const struct grad *dz, struct view x,
                        const void *w, const struct grad_sink *sink, float *dw);

    /* depthwise: w (R*R,ld) tap-major */
    void (*dw_forward)(struct device *, const struct conv *, struct view x, const void *w, void *z,
                       const struct norm_forward *norm);
    void (*dw_backward)(struct device *, const struct conv *, const struct grad *dz, struct view x,
                        const void *w, const struct grad_sink *sink, float *dw);

    /* sum = x + y, both seen through their views; (N,H,W,C) map */
    void (*residual_forward)(struct device *, struct dims, struct view x, struct view y, void *sum);

    /* mean over H,W of the view without its gate -> pooled (N,C).
     * pool_sums (N,2,C) or NULL: sum act', sum act' (z - mean), what the backward needs of p */
    void (*pool_forward)(struct device *, struct dims, struct view x, const float *mean,
                         float *pooled, double *pool_sums);
    /* p = dpooled / HW, and sums of q = 0 */
    void (*pool_backward)(struct device *, struct dims, const struct pool_grad *);

    /* squeeze-excite on the view x (without gate), the pool included: gate (N,C) =
     * h_sigmoid(expand relu(reduce pooled)). mean (C): of x's batch norm */
    void (*excite_forward)(struct device *, struct dims, const struct squeeze_excite *,
                           struct view x, const float *mean, const struct excitation *);
    /* through the gate, down to the pool */
    void (*excite_backward)(struct device *, struct dims, const struct squeeze_excite *,
                            const struct excitation *, const struct excitation_grad *);

    /* y (N,K) = x w^T + bias; x (N,C) fp32 through its view (dims 1x1), w (K,ld), bias (K) or NULL
     */
    void (*linear_forward)(struct device *, const struct conv *, struct view x, const float *w,
                           const float *bias, float *y);
    /* dx (N,C) is the gradient of x.z (act', scale and gate applied) or NULL; dw (K,ld) +=, dbias
     * (K) += or NULL */
    void (*linear_backward)(struct device *, const struct conv *, const float *dy, struct view x,
                            const float *w, float *dx, float *dw, float *dbias);

    /* the active kernels of all layers of a pass at once */
    void (*kernel_forward)(struct device *, int count, const struct kernel_transform *);
    void (*kernel_backward)(struct device *, int count, const struct kernel_gradient *);

    /* mask[n,c] = 0 with probability `rate`, else 1 / (1 - rate): rng(seed, RNG_DROPOUT, 0, step,
     * first + n C + c) */
    void (*dropout_mask)(struct device *, int N, int C, float rate, uint64_t seed, uint64_t step,
                         uint64_t first, float *mask);

    /* dlogits (N,K) or NULL, already divided */
    void (*loss_forward)(struct device *, const struct loss *, float *dlogits);

    void (*sgd_step)(struct device *, const struct sgd *);
    /* sum += x, x = 0 */
    void (*fold)(struct device *, size_t count, float *x, float *sum);
    void (*fold_doubles)(struct device *, size_t count, double *x, double *sum);
    void (*zero)(struct device *, size_t size_bytes, void *memory);
    /* every bit set: a NaN in every type of float. For debug builds, to spoil what is dead */
    void (*fill_nan)(struct device *, size_t size_bytes, void *memory);
    void (*copy)(struct device *, size_t size_bytes, const void *from, void *to); /* apart */
    /* the shadow of `count` weights in the maps' type; to may be w where that is fp32 */
    void (*cast)(struct device *, size_t count, const float *w, void *to);
    /* the first element that is NaN or infinite, if there is one: flaw.code + its index */
    void (*find_nonfinite)(struct device *, size_t count, const float *x, struct flaw flaw);
    void (*set_word)(struct device *, uint64_t value, uint64_t *word);

    enum err (*alloc)(struct device *, size_t size_bytes,
                      void **memory);            /* zeroed, 64-aligned; ERR_MEMORY */
    void (*free)(struct device *, void *memory); /* behind what was queued; accepts NULL */
    /* host memory that copies run from and to while the host goes on; 64-aligned, ERR_MEMORY */
    enum err (*pin)(struct device *, size_t size_bytes, void **host);
    void (*unpin)(struct device *, void *host); /* accepts NULL; nothing queued may use it */

    void (*upload)(struct device *, void *to, const void *host,
                   size_t size_bytes); /* host memory has been read when it returns */
    /* pinned host memory is read, or written, until an event behind it has passed */
    void (*upload_async)(struct device *, void *to, const void *host, size_t size_bytes);
    void (*download_async)(struct device *, void *host, const void *from, size_t size_bytes);
    MUST_CHECK enum err (*download)(struct device *, void *host, const void *from,
                                    size_t size_bytes); /* waits */
    MUST_CHECK enum err (*sync)(struct device *);       /* waits for everything */

    enum err (*event_create)(struct device *, struct event **event); /* passed; returns owned */
    void (*event_destroy)(struct device *, struct event *event);     /* accepts NULL */
    void (*event_record)(struct device *, struct event *event); /* behind what was called so far */
    MUST_CHECK enum err (*event_wait)(struct device *, struct event *event); /* any thread */
    void (*close)(struct device *);
};

#define DEVICE_LINEAGE    256
#define DEVICE_LINEAGE_ON " on "

struct device_module;

struct device {
    const struct device_ops *ops;
    const struct device_module *module; /* that opened it; NULL: part of the program */
    struct device_traffic traffic;
    size_t map_bytes; /* of an element of a map */
    /* What the results depend on: "cpu x86-64-v4 oneDNN 2.7.2 on <model>", with bf16 maps
     * "cpu x86-64-v4 bf16 oneDNN ...". In front of " on " what decides the arithmetic; behind it
     * the model, whose caches a library's blocking may follow. */
    char lineage[DEVICE_LINEAGE];
    void *own; /* the device's own state */
};

struct device_cfg {
    const char *name;         /* "auto" (the CPU), "cpu", or a module's (kernels/device_module.h) */
    int threads;              /* compute threads of a CPU device, >= 1 */
    enum isa isa;             /* ISA_AUTO: what is fastest here */
    enum precision precision; /* a device without such maps: ERR_UNAVAILABLE */
};

/* Whether a device of this name computes in the host's own memory: the CPU. Opens nothing. */
bool device_is_host(const char *name);
/* Returns owned in *device. ERR_UNAVAILABLE when the device, its module or the pinned instruction
 * set is not there: what is missing, where it was looked for and the cure. */
MUST_CHECK enum err device_open(const struct device_cfg *cfg, struct device **device);
void device_close(struct device **device); /* accepts NULL and a pointer to NULL; sets NULL */
/* What this machine offers to the CPU device of this cfg: where its isa is ISA_AUTO what
 * device_open() takes, else the most that can be pinned. The environment's GLOWWORM_ISA_LIMIT makes
 * it a machine that has no more than that. ISA_AUTO: of another device, or nothing is known. */
enum isa device_isa(const struct device_cfg *cfg);
/* Bytes of scratch that a device of this cfg holds when prepared for this workload, the CPU's on
 * the best instruction set here where none is pinned. Opens nothing. 0: a module does not say. */
size_t device_scratch_bytes(const struct device_cfg *cfg, const struct workload *workload);

MUST_CHECK enum err isa_parse(const char *name,
                              enum isa *isa);         /* auto, x86-64-v2, -v3, -v4, -v4-bf16 */
const char *isa_name(enum isa isa);                   /* as isa_parse() reads it */
size_t precision_map_bytes(enum precision precision); /* of an element: 4, 2 */
MUST_CHECK enum err precision_parse(const char *name, enum precision *precision); /* fp32, bf16 */

#endif
