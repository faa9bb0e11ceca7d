#include "kernels/dry_device.h"

/* 64-aligned, and far from any end of the addresses: offsets are added to it. */
#define NOWHERE ((uintptr_t)1 << 40)

static void note(struct device *device, enum work_kind kind, struct conv conv)
{
    workload_add(device->own, &(struct work){.kind = kind, .conv = conv});
}

static struct conv of_map(struct dims map)
{
    return (struct conv){.in = map};
}

static void dry_stem_forward(struct device *device, const struct conv *conv, struct view x,
                             const void *w, void *z, const struct norm_forward *norm)
{
    (void)x, (void)w, (void)z, (void)norm;
    note(device, WORK_STEM_FORWARD, *conv);
}

static void dry_stem_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                              struct view x, float *dw)
{
    (void)dz, (void)x, (void)dw;
    note(device, WORK_STEM_BACKWARD, *conv);
}

static void dry_pw_forward(struct device *device, const struct conv *conv, struct view x,
                           const void *w, void *z, const struct norm_forward *norm)
{
    (void)x, (void)w, (void)z, (void)norm;
    note(device, WORK_PW_FORWARD, *conv);
}

static void dry_pw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                            struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    (void)dz, (void)x, (void)w, (void)sink, (void)dw;
    note(device, WORK_PW_BACKWARD, *conv);
}

static void dry_dw_forward(struct device *device, const struct conv *conv, struct view x,
                           const void *w, void *z, const struct norm_forward *norm)
{
    (void)x, (void)w, (void)z, (void)norm;
    note(device, WORK_DW_FORWARD, *conv);
}

static void dry_dw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                            struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    (void)dz, (void)x, (void)w, (void)sink, (void)dw;
    note(device, WORK_DW_BACKWARD, *conv);
}

static void dry_residual_forward(struct device *device, struct dims map, struct view x,
                                 struct view y, void *sum)
{
    (void)x, (void)y, (void)sum;
    note(device, WORK_RESIDUAL_FORWARD, of_map(map));
}

static void dry_pool_forward(struct device *device, struct dims map, struct view x,
                             const float *mean, float *pooled, double *pool_sums)
{
    (void)x, (void)mean, (void)pooled, (void)pool_sums;
    note(device, WORK_POOL_FORWARD, of_map(map));
}

static void dry_pool_backward(struct device *device, struct dims map, const struct pool_grad *grad)
{
    (void)grad;
    note(device, WORK_POOL_BACKWARD, of_map(map));
}

static void note_excite(struct device *device, enum work_kind kind, struct dims map,
                        const struct squeeze_excite *weights)
{
    struct work work = {.kind = kind, .conv = of_map(map), .Cr = weights->Cr};
    workload_add(device->own, &work);
}

static void dry_excite_forward(struct device *device, struct dims map,
                               const struct squeeze_excite *weights, struct view x,
                               const float *mean, const struct excitation *out)
{
    (void)x, (void)mean, (void)out;
    note_excite(device, WORK_EXCITE_FORWARD, map, weights);
}

static void dry_excite_backward(struct device *device, struct dims map,
                                const struct squeeze_excite *weights, const struct excitation *out,
                                const struct excitation_grad *grad)
{
    (void)out, (void)grad;
    note_excite(device, WORK_EXCITE_BACKWARD, map, weights);
}

static void dry_linear_forward(struct device *device, const struct conv *conv, struct view x,
                               const float *w, const float *bias, float *y)
{
    (void)x, (void)w, (void)bias, (void)y;
    note(device, WORK_LINEAR_FORWARD, *conv);
}

static void dry_linear_backward(struct device *device, const struct conv *conv, const float *dy,
                                struct view x, const float *w, float *dx, float *dw, float *dbias)
{
    (void)dy, (void)x, (void)w, (void)dx, (void)dw, (void)dbias;
    note(device, WORK_LINEAR_BACKWARD, *conv);
}

static void note_kernel(struct device *device, enum work_kind kind, int count,
                        const struct kernel_transform *kernel)
{
    struct work work = {.kind = kind,
                        .conv = {.in = {.C = kernel->C}, .R = kernel->R, .ld = kernel->ld},
                        .count = (size_t)count};
    workload_add(device->own, &work);
}

static void dry_kernel_forward(struct device *device, int count,
                               const struct kernel_transform *transforms)
{
    for (int i = 0; i < count; i++)
        note_kernel(device, WORK_KERNEL_FORWARD, count, &transforms[i]);
}

static void dry_kernel_backward(struct device *device, int count,
                                const struct kernel_gradient *gradients)
{
    for (int i = 0; i < count; i++)
        note_kernel(device, WORK_KERNEL_BACKWARD, count, &gradients[i].of);
}

static void dry_dropout_mask(struct device *device, int N, int C, float rate, uint64_t seed,
                             uint64_t step, uint64_t first, float *mask)
{
    (void)rate, (void)seed, (void)step, (void)first, (void)mask;
    note(device, WORK_DROPOUT_MASK, of_map((struct dims){.N = N, .C = C}));
}

static void dry_loss_forward(struct device *device, const struct loss *loss, float *dlogits)
{
    (void)dlogits;
    note(device, WORK_LOSS_FORWARD, (struct conv){.in = {.N = loss->N}, .K = loss->K});
}

static void dry_find_nonfinite(struct device *device, size_t count, const float *x,
                               struct flaw flaw)
{
    (void)x, (void)flaw;
    workload_add(device->own, &(struct work){.kind = WORK_FIND_NONFINITE, .count = count});
}

static void dry_sgd_step(struct device *device, const struct sgd *sgd)
{
    (void)device, (void)sgd;
}

static void dry_fold(struct device *device, size_t count, float *x, float *sum)
{
    (void)device, (void)count, (void)x, (void)sum;
}

static void dry_fold_doubles(struct device *device, size_t count, double *x, double *sum)
{
    (void)device, (void)count, (void)x, (void)sum;
}

static void dry_fill(struct device *device, size_t size_bytes, void *memory)
{
    (void)device, (void)size_bytes, (void)memory;
}

static void dry_copy(struct device *device, size_t size_bytes, const void *from, void *to)
{
    (void)device, (void)size_bytes, (void)from, (void)to;
}

static void dry_cast(struct device *device, size_t count, const float *w, void *to)
{
    (void)device, (void)count, (void)w, (void)to;
}

static void dry_set_word(struct device *device, uint64_t value, uint64_t *word)
{
    (void)device, (void)value, (void)word;
}

static enum err dry_alloc(struct device *device, size_t size_bytes, void **memory)
{
    (void)device, (void)size_bytes;
    *memory = (void *)NOWHERE; /* all blocks in one place: nothing is ever there */
    return ERR_OK;
}

static void dry_free(struct device *device, void *memory)
{
    (void)device, (void)memory;
}

static void dry_upload(struct device *device, void *to, const void *host, size_t size_bytes)
{
    (void)device, (void)to, (void)host, (void)size_bytes;
}

static const struct device_ops dry_ops = {
    .name = "dry",
    .stem_forward = dry_stem_forward,
    .stem_backward = dry_stem_backward,
    .pw_forward = dry_pw_forward,
    .pw_backward = dry_pw_backward,
    .dw_forward = dry_dw_forward,
    .dw_backward = dry_dw_backward,
    .residual_forward = dry_residual_forward,
    .pool_forward = dry_pool_forward,
    .pool_backward = dry_pool_backward,
    .excite_forward = dry_excite_forward,
    .excite_backward = dry_excite_backward,
    .linear_forward = dry_linear_forward,
    .linear_backward = dry_linear_backward,
    .kernel_forward = dry_kernel_forward,
    .kernel_backward = dry_kernel_backward,
    .dropout_mask = dry_dropout_mask,
    .loss_forward = dry_loss_forward,
    .sgd_step = dry_sgd_step,
    .fold = dry_fold,
    .fold_doubles = dry_fold_doubles,
    .zero = dry_fill,
    .fill_nan = dry_fill,
    .copy = dry_copy,
    .cast = dry_cast,
    .find_nonfinite = dry_find_nonfinite,
    .set_word = dry_set_word,
    .alloc = dry_alloc,
    .free = dry_free,
    .upload = dry_upload,
};

void dry_device_init(struct device *device, size_t map_bytes, struct workload *workload)
{
    *device = (struct device){.ops = &dry_ops, .map_bytes = map_bytes, .own = workload};
}
