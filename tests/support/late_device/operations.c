/* Every operation queues itself with copies of its arguments. */
#include "tests/support/late_device/late.h"

/* What an operation keeps, and how it is run: `a` are the kept arguments. */
#define OPERATION(name, fields, ...)                                                               \
    struct name##_arguments {                                                                      \
        fields;                                                                                    \
    };                                                                                             \
    static void name##_run(struct device *cpu, const void *arguments)                              \
    {                                                                                              \
        const struct name##_arguments *a = arguments;                                              \
        cpu->ops->name(cpu, __VA_ARGS__);                                                          \
    }

/* Inside an operation: its order, and the order's end with what it keeps. */
#define BEGIN(name) struct order *order = late_begin(device, #name, name##_run)
#define END(name, ...)                                                                             \
    late_end(order, &(struct name##_arguments){__VA_ARGS__}, sizeof(struct name##_arguments))

OPERATION(image_forward, const struct image_batch *batch; void *images, a->batch, a->images)

static void late_image_forward(struct device *device, const struct image_batch *batch, void *images)
{
    BEGIN(image_forward);
    size_t values = (size_t)batch->N * (size_t)batch->R * (size_t)batch->R * (size_t)batch->C;
    END(image_forward, late_keep_image_batch(order, batch),
        late_keep_range(order, "images", images, values * device->map_bytes));
}

OPERATION(stem_forward, const struct conv *conv; struct view x; const void *w; void *z;
          const struct norm_forward *norm, a->conv, a->x, a->w, a->z, a->norm)

static void late_stem_forward(struct device *device, const struct conv *conv, struct view x,
                              const void *w, void *z, const struct norm_forward *norm)
{
    BEGIN(stem_forward);
    END(stem_forward, late_keep_conv(order, conv), late_keep_view(order, "x", x),
        late_keep_pointer(order, "w", w), late_keep_pointer(order, "z", z),
        late_keep_norm_forward(order, norm));
}

OPERATION(stem_backward, const struct conv *conv; const struct grad *dz; struct view x;
          float *dw, a->conv, a->dz, a->x, a->dw)

static void late_stem_backward(struct device *device, const struct conv *conv,
                               const struct grad *dz, struct view x, float *dw)
{
    BEGIN(stem_backward);
    END(stem_backward, late_keep_conv(order, conv), late_keep_grad(order, dz),
        late_keep_view(order, "x", x), late_keep_pointer(order, "dw", dw));
}

OPERATION(pw_forward, const struct conv *conv; struct view x; const void *w; void *z;
          const struct norm_forward *norm, a->conv, a->x, a->w, a->z, a->norm)

static void late_pw_forward(struct device *device, const struct conv *conv, struct view x,
                            const void *w, void *z, const struct norm_forward *norm)
{
    BEGIN(pw_forward);
    END(pw_forward, late_keep_conv(order, conv), late_keep_view(order, "x", x),
        late_keep_pointer(order, "w", w), late_keep_pointer(order, "z", z),
        late_keep_norm_forward(order, norm));
}

OPERATION(pw_backward, const struct conv *conv; const struct grad *dz; struct view x; const void *w;
          const struct grad_sink *sink; float *dw, a->conv, a->dz, a->x, a->w, a->sink, a->dw)

static void late_pw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                             struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    BEGIN(pw_backward);
    END(pw_backward, late_keep_conv(order, conv), late_keep_grad(order, dz),
        late_keep_view(order, "x", x), late_keep_pointer(order, "w", w),
        late_keep_sink(order, sink), late_keep_pointer(order, "dw", dw));
}

OPERATION(dw_forward, const struct conv *conv; struct view x; const void *w; void *z;
          const struct norm_forward *norm, a->conv, a->x, a->w, a->z, a->norm)

static void late_dw_forward(struct device *device, const struct conv *conv, struct view x,
                            const void *w, void *z, const struct norm_forward *norm)
{
    BEGIN(dw_forward);
    END(dw_forward, late_keep_conv(order, conv), late_keep_view(order, "x", x),
        late_keep_pointer(order, "w", w), late_keep_pointer(order, "z", z),
        late_keep_norm_forward(order, norm));
}

OPERATION(dw_backward, const struct conv *conv; const struct grad *dz; struct view x; const void *w;
          const struct grad_sink *sink; float *dw, a->conv, a->dz, a->x, a->w, a->sink, a->dw)

static void late_dw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                             struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    BEGIN(dw_backward);
    END(dw_backward, late_keep_conv(order, conv), late_keep_grad(order, dz),
        late_keep_view(order, "x", x), late_keep_pointer(order, "w", w),
        late_keep_sink(order, sink), late_keep_pointer(order, "dw", dw));
}

OPERATION(residual_forward, struct dims map; struct view x; struct view y;
          void *sum, a->map, a->x, a->y, a->sum)

static void late_residual_forward(struct device *device, struct dims map, struct view x,
                                  struct view y, void *sum)
{
    BEGIN(residual_forward);
    END(residual_forward, map, late_keep_view(order, "x", x), late_keep_view(order, "y", y),
        late_keep_pointer(order, "sum", sum));
}

OPERATION(pool_forward, struct dims map; struct view x; const float *mean; float *pooled;
          double *pool_sums, a->map, a->x, a->mean, a->pooled, a->pool_sums)

static void late_pool_forward(struct device *device, struct dims map, struct view x,
                              const float *mean, float *pooled, double *pool_sums)
{
    BEGIN(pool_forward);
    END(pool_forward, map, late_keep_view(order, "x", x), late_keep_pointer(order, "mean", mean),
        late_keep_pointer(order, "pooled", pooled),
        late_keep_pointer(order, "pool_sums", pool_sums));
}

OPERATION(pool_backward, struct dims map; const struct pool_grad *grad, a->map, a->grad)

static void late_pool_backward(struct device *device, struct dims map, const struct pool_grad *grad)
{
    BEGIN(pool_backward);
    END(pool_backward, map, late_keep_pool_grad(order, grad));
}

OPERATION(excite_forward, struct dims map; const struct squeeze_excite *weights; struct view x;
          const float *mean;
          const struct excitation *out, a->map, a->weights, a->x, a->mean, a->out)

static void late_excite_forward(struct device *device, struct dims map,
                                const struct squeeze_excite *weights, struct view x,
                                const float *mean, const struct excitation *out)
{
    BEGIN(excite_forward);
    END(excite_forward, map, late_keep_squeeze_excite(order, weights),
        late_keep_view(order, "x", x), late_keep_pointer(order, "mean", mean),
        late_keep_excitation(order, out));
}

OPERATION(excite_backward, struct dims map; const struct squeeze_excite *weights;
          const struct excitation *out;
          const struct excitation_grad *grad, a->map, a->weights, a->out, a->grad)

static void late_excite_backward(struct device *device, struct dims map,
                                 const struct squeeze_excite *weights, const struct excitation *out,
                                 const struct excitation_grad *grad)
{
    BEGIN(excite_backward);
    END(excite_backward, map, late_keep_squeeze_excite(order, weights),
        late_keep_excitation(order, out), late_keep_excitation_grad(order, grad));
}

OPERATION(linear_forward, const struct conv *conv; struct view x; const float *w; const float *bias;
          float *y, a->conv, a->x, a->w, a->bias, a->y)

static void late_linear_forward(struct device *device, const struct conv *conv, struct view x,
                                const float *w, const float *bias, float *y)
{
    BEGIN(linear_forward);
    END(linear_forward, late_keep_conv(order, conv), late_keep_view(order, "x", x),
        late_keep_pointer(order, "w", w), late_keep_pointer(order, "bias", bias),
        late_keep_pointer(order, "y", y));
}

OPERATION(linear_backward, const struct conv *conv; const float *dy; struct view x; const float *w;
          float *dx; float *dw; float *dbias, a->conv, a->dy, a->x, a->w, a->dx, a->dw, a->dbias)

static void late_linear_backward(struct device *device, const struct conv *conv, const float *dy,
                                 struct view x, const float *w, float *dx, float *dw, float *dbias)
{
    BEGIN(linear_backward);
    END(linear_backward, late_keep_conv(order, conv), late_keep_pointer(order, "dy", dy),
        late_keep_view(order, "x", x), late_keep_pointer(order, "w", w),
        late_keep_pointer(order, "dx", dx), late_keep_pointer(order, "dw", dw),
        late_keep_pointer(order, "dbias", dbias));
}

OPERATION(kernel_forward, int count;
          const struct kernel_transform *transforms, a->count, a->transforms)

static void late_kernel_forward(struct device *device, int count,
                                const struct kernel_transform *transforms)
{
    BEGIN(kernel_forward);
    END(kernel_forward, count, late_keep_transforms(order, count, transforms));
}

OPERATION(kernel_backward, int count;
          const struct kernel_gradient *gradients, a->count, a->gradients)

static void late_kernel_backward(struct device *device, int count,
                                 const struct kernel_gradient *gradients)
{
    BEGIN(kernel_backward);
    END(kernel_backward, count, late_keep_gradients(order, count, gradients));
}

OPERATION(dropout_mask, int N; int C; float rate; uint64_t seed; uint64_t step; uint64_t first;
          float *mask, a->N, a->C, a->rate, a->seed, a->step, a->first, a->mask)

static void late_dropout_mask(struct device *device, int N, int C, float rate, uint64_t seed,
                              uint64_t step, uint64_t first, float *mask)
{
    BEGIN(dropout_mask);
    END(dropout_mask, N, C, rate, seed, step, first,
        late_keep_range(order, "mask", mask, (size_t)N * (size_t)C * sizeof *mask));
}

OPERATION(loss_forward, const struct loss *loss; float *dlogits, a->loss, a->dlogits)

static void late_loss_forward(struct device *device, const struct loss *loss, float *dlogits)
{
    BEGIN(loss_forward);
    END(loss_forward, late_keep_loss(order, loss), late_keep_pointer(order, "dlogits", dlogits));
}

OPERATION(sgd_step, const struct sgd *sgd, a->sgd)

static void late_sgd_step(struct device *device, const struct sgd *sgd)
{
    BEGIN(sgd_step);
    END(sgd_step, late_keep_sgd(order, sgd));
}

OPERATION(fold, size_t count; float *x; float *sum, a->count, a->x, a->sum)

static void late_fold(struct device *device, size_t count, float *x, float *sum)
{
    BEGIN(fold);
    END(fold, count, late_keep_range(order, "x", x, count * sizeof *x),
        late_keep_range(order, "sum", sum, count * sizeof *sum));
}

OPERATION(fold_doubles, size_t count; double *x; double *sum, a->count, a->x, a->sum)

static void late_fold_doubles(struct device *device, size_t count, double *x, double *sum)
{
    BEGIN(fold_doubles);
    END(fold_doubles, count, late_keep_range(order, "x", x, count * sizeof *x),
        late_keep_range(order, "sum", sum, count * sizeof *sum));
}

OPERATION(zero, size_t size_bytes; void *memory, a->size_bytes, a->memory)

static void late_zero(struct device *device, size_t size_bytes, void *memory)
{
    BEGIN(zero);
    END(zero, size_bytes, late_keep_range(order, "memory", memory, size_bytes));
}

OPERATION(fill_nan, size_t size_bytes; void *memory, a->size_bytes, a->memory)

static void late_fill_nan(struct device *device, size_t size_bytes, void *memory)
{
    BEGIN(fill_nan);
    END(fill_nan, size_bytes, late_keep_range(order, "memory", memory, size_bytes));
}

OPERATION(copy, size_t size_bytes; const void *from; void *to, a->size_bytes, a->from, a->to)

static void late_copy(struct device *device, size_t size_bytes, const void *from, void *to)
{
    BEGIN(copy);
    END(copy, size_bytes, late_keep_range(order, "from", from, size_bytes),
        late_keep_range(order, "to", to, size_bytes));
}

OPERATION(cast, size_t count; const float *w; void *to, a->count, a->w, a->to)

static void late_cast(struct device *device, size_t count, const float *w, void *to)
{
    BEGIN(cast);
    END(cast, count, late_keep_range(order, "w", w, count * sizeof *w),
        late_keep_range(order, "to", to, count * device->map_bytes));
}

OPERATION(find_nonfinite, size_t count; const float *x; struct flaw flaw, a->count, a->x, a->flaw)

static void late_find_nonfinite(struct device *device, size_t count, const float *x,
                                struct flaw flaw)
{
    BEGIN(find_nonfinite);
    END(find_nonfinite, count, late_keep_range(order, "x", x, count * sizeof *x),
        late_keep_flaw(order, flaw));
}

OPERATION(set_word, uint64_t value; uint64_t * word, a->value, a->word)

static void late_set_word(struct device *device, uint64_t value, uint64_t *word)
{
    BEGIN(set_word);
    END(set_word, value, late_keep_range(order, "word", word, sizeof *word));
}

const struct device_ops late_ops = {
    .name = "late",
    .prepare = late_prepare,
    .image_forward = late_image_forward,
    .stem_forward = late_stem_forward,
    .stem_backward = late_stem_backward,
    .pw_forward = late_pw_forward,
    .pw_backward = late_pw_backward,
    .dw_forward = late_dw_forward,
    .dw_backward = late_dw_backward,
    .residual_forward = late_residual_forward,
    .pool_forward = late_pool_forward,
    .pool_backward = late_pool_backward,
    .excite_forward = late_excite_forward,
    .excite_backward = late_excite_backward,
    .linear_forward = late_linear_forward,
    .linear_backward = late_linear_backward,
    .kernel_forward = late_kernel_forward,
    .kernel_backward = late_kernel_backward,
    .dropout_mask = late_dropout_mask,
    .loss_forward = late_loss_forward,
    .sgd_step = late_sgd_step,
    .fold = late_fold,
    .fold_doubles = late_fold_doubles,
    .zero = late_zero,
    .fill_nan = late_fill_nan,
    .copy = late_copy,
    .cast = late_cast,
    .find_nonfinite = late_find_nonfinite,
    .set_word = late_set_word,
    .alloc = late_alloc,
    .free = late_free,
    .pin = late_pin,
    .unpin = late_unpin,
    .upload = late_upload,
    .upload_async = late_upload_async,
    .download_async = late_download_async,
    .download = late_download,
    .sync = late_sync,
    .event_create = late_event_create,
    .event_destroy = late_event_destroy,
    .event_record = late_event_record,
    .event_wait = late_event_wait,
    .close = late_close,
};
