#include "tests/kernels/host_face.h"
#include "base/err.h"
#include "tests/kernels/check.h"
#include "tests/kernels/copied_arguments.h"
#include "tests/kernels/reference_dw.h"
#include <stdlib.h>

static struct copied_device real;

/* Between these the device is itself. */
static struct host_copies begin(struct device *device)
{
    device->map_bytes = real.map_bytes;
    return (struct host_copies){.device = device, .of = &real};
}

static void end(struct host_copies *copies)
{
    copies_end(copies);
    copies->device->map_bytes = sizeof(float);
}

static size_t weight_elements(const struct conv *conv)
{
    if (conv->R == 1)
        return row_elements(conv->K, conv->ld, conv->in.C);
    return row_elements(conv->R * conv->R, conv->ld, conv->K);
}

static size_t stem_weight_elements(const struct conv *conv)
{
    return row_elements(9 * conv->in.C, conv->ld, conv->K);
}

static size_t kernel_elements(const struct kernel_transform *transform)
{
    return (size_t)(transform->R * transform->R) * (size_t)transform->C;
}

/* Maps count as much as they would as floats. */
static void count_wide(struct device *device, const struct device_traffic *before)
{
    struct device_traffic *now = &device->traffic;
    uint64_t more = sizeof(float) / real.map_bytes - 1;
    now->raw_bytes += more * (now->raw_bytes - before->raw_bytes);
    now->gradient_bytes += more * (now->gradient_bytes - before->gradient_bytes);
    now->residual_bytes += more * (now->residual_bytes - before->residual_bytes);
}

typedef __typeof__(*((struct device_ops *)0)->pw_forward) forward_fn;

static void forward(forward_fn *operation, struct device *device, const struct conv *conv,
                    struct view x, const void *w, size_t weights, void *z,
                    const struct norm_forward *norm)
{
    struct host_copies copies = begin(device);
    struct device_traffic before = device->traffic;
    struct dims out = conv_out(conv);
    struct norm_forward copied;
    struct view from = copied_view(&copies, conv->in, x);
    operation(device, conv, from, copies_map(&copies, COPY_IN, w, weights),
              copies_map(&copies, COPY_OUT, z, reference_count(out)),
              copied_norm_forward(&copies, norm, out.C, &copied));
    end(&copies);
    count_wide(device, &before);
}

static void stem_forward(struct device *device, const struct conv *conv, struct view x,
                         const void *w, void *z, const struct norm_forward *norm)
{
    forward(real.ops->stem_forward, device, conv, x, w, stem_weight_elements(conv), z, norm);
}

static void dw_forward(struct device *device, const struct conv *conv, struct view x, const void *w,
                       void *z, const struct norm_forward *norm)
{
    forward(real.ops->dw_forward, device, conv, x, w, weight_elements(conv), z, norm);
}

static void pw_forward(struct device *device, const struct conv *conv, struct view x, const void *w,
                       void *z, const struct norm_forward *norm)
{
    forward(real.ops->pw_forward, device, conv, x, w, weight_elements(conv), z, norm);
}

static void stem_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                          struct view x, float *dw)
{
    struct host_copies copies = begin(device);
    struct grad grad = copied_grad(&copies, conv_out(conv), dz);
    real.ops->stem_backward(device, conv, &grad, copied_view(&copies, conv->in, x),
                            copied_floats(&copies, COPY_IN_OUT, dw, stem_weight_elements(conv)));
    end(&copies);
}

typedef __typeof__(*((struct device_ops *)0)->pw_backward) backward_fn;

static void backward(backward_fn *operation, struct device *device, const struct conv *conv,
                     const struct grad *dz, struct view x, const void *w,
                     const struct grad_sink *sink, float *dw)
{
    struct host_copies copies = begin(device);
    struct device_traffic before = device->traffic;
    struct grad grad = copied_grad(&copies, conv_out(conv), dz);
    struct view from = copied_view(&copies, conv->in, x);
    struct grad_sink copied;
    struct norm_backward norm;
    operation(device, conv, &grad, from, copies_map(&copies, COPY_IN, w, weight_elements(conv)),
              copied_sink(&copies, conv->in, sink, &copied, &norm),
              copied_floats(&copies, COPY_IN_OUT, dw, weight_elements(conv)));
    end(&copies);
    count_wide(device, &before);
}

static void pw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                        struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    backward(real.ops->pw_backward, device, conv, dz, x, w, sink, dw);
}

static void dw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                        struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    backward(real.ops->dw_backward, device, conv, dz, x, w, sink, dw);
}

static void residual_forward(struct device *device, struct dims map, struct view x, struct view y,
                             void *sum)
{
    struct host_copies copies = begin(device);
    struct device_traffic before = device->traffic;
    struct view left = copied_view(&copies, map, x), right = copied_view(&copies, map, y);
    real.ops->residual_forward(device, map, left, right,
                               copies_map(&copies, COPY_OUT, sum, reference_count(map)));
    end(&copies);
    count_wide(device, &before);
}

static void pool_forward(struct device *device, struct dims dims, struct view x, const float *mean,
                         float *pooled, double *pool_sums)
{
    struct host_copies copies = begin(device);
    struct view from = copied_view(&copies, dims, x);
    real.ops->pool_forward(device, dims, from,
                           copied_floats(&copies, COPY_IN, mean, (size_t)dims.C),
                           copied_floats(&copies, COPY_OUT, pooled, vector_elements(dims)),
                           copied_doubles(&copies, COPY_OUT, pool_sums, 2 * vector_elements(dims)));
    end(&copies);
}

static void pool_backward(struct device *device, struct dims dims, const struct pool_grad *grad)
{
    struct host_copies copies = begin(device);
    struct norm_backward norm;
    struct pool_grad copied = {
        .dpooled = copied_floats(&copies, COPY_IN, grad->dpooled, vector_elements(dims)),
        .pool_sums = copied_doubles(&copies, COPY_IN, grad->pool_sums, 2 * vector_elements(dims)),
        .p = copied_floats(&copies, COPY_OUT, grad->p, vector_elements(dims)),
        .sums = copied_doubles(&copies, COPY_OUT, grad->sums, 2 * (size_t)dims.C),
        .norm = copied_norm_backward(&copies, grad->norm, dims.C, &norm)};
    real.ops->pool_backward(device, dims, &copied);
    end(&copies);
}

static void excite_forward(struct device *device, struct dims dims, const struct squeeze_excite *se,
                           struct view x, const float *mean, const struct excitation *out)
{
    struct host_copies copies = begin(device);
    struct squeeze_excite weights = copied_squeeze_excite(&copies, se);
    struct excitation kept = copied_excitation(&copies, COPY_OUT, dims, se->Cr, out);
    struct view from = copied_view(&copies, dims, x);
    real.ops->excite_forward(device, dims, &weights, from,
                             copied_floats(&copies, COPY_IN, mean, (size_t)dims.C), &kept);
    end(&copies);
}

static void excite_backward(struct device *device, struct dims dims,
                            const struct squeeze_excite *se, const struct excitation *kept,
                            const struct excitation_grad *grad)
{
    struct host_copies copies = begin(device);
    struct squeeze_excite weights = copied_squeeze_excite(&copies, se);
    struct excitation read = copied_excitation(&copies, COPY_IN, dims, se->Cr, kept);
    struct norm_backward norm;
    struct excitation_grad copied = {
        .gate_sums = copied_doubles(&copies, COPY_IN, grad->gate_sums, 3 * vector_elements(dims)),
        .weights = copied_weight_grad(&copies, se, &grad->weights),
        .p = copied_floats(&copies, COPY_OUT, grad->p, vector_elements(dims)),
        .sums = copied_doubles(&copies, COPY_OUT, grad->sums, 2 * (size_t)dims.C),
        .norm = copied_norm_backward(&copies, grad->norm, dims.C, &norm)};
    real.ops->excite_backward(device, dims, &weights, &read, &copied);
    end(&copies);
}

static void linear_forward(struct device *device, const struct conv *conv, struct view x,
                           const float *w, const float *bias, float *y)
{
    struct host_copies copies = begin(device);
    struct view from = copied_vector_view(&copies, conv->in, x);
    real.ops->linear_forward(device, conv, from,
                             copied_floats(&copies, COPY_IN, w, weight_elements(conv)),
                             copied_floats(&copies, COPY_IN, bias, (size_t)conv->K),
                             copied_floats(&copies, COPY_OUT, y, vector_elements(conv_out(conv))));
    end(&copies);
}

static void linear_backward(struct device *device, const struct conv *conv, const float *dy,
                            struct view x, const float *w, float *dx, float *dw, float *dbias)
{
    struct host_copies copies = begin(device);
    struct view from = copied_vector_view(&copies, conv->in, x);
    real.ops->linear_backward(device, conv,
                              copied_floats(&copies, COPY_IN, dy, vector_elements(conv_out(conv))),
                              from, copied_floats(&copies, COPY_IN, w, weight_elements(conv)),
                              copied_floats(&copies, COPY_OUT, dx, vector_elements(conv->in)),
                              copied_floats(&copies, COPY_IN_OUT, dw, weight_elements(conv)),
                              copied_floats(&copies, COPY_IN_OUT, dbias, (size_t)conv->K));
    end(&copies);
}

enum { MOST_KERNELS = 64 };

static void check_count(int count)
{
    if (count > MOST_KERNELS)
        BUG("%d kernels at once", count);
}

static void kernel_forward(struct device *device, int count,
                           const struct kernel_transform *transforms)
{
    struct host_copies copies = begin(device);
    struct kernel_transform copied[MOST_KERNELS];
    check_count(count);
    for (int i = 0; i < count; i++) {
        copied[i] = copied_transform(&copies, &transforms[i]);
        copied[i].w =
            copies_map(&copies, COPY_OUT, transforms[i].w, kernel_elements(&transforms[i]));
    }
    real.ops->kernel_forward(device, count, copied);
    end(&copies);
}

static void kernel_backward(struct device *device, int count,
                            const struct kernel_gradient *gradients)
{
    struct host_copies copies = begin(device);
    struct kernel_gradient copied[MOST_KERNELS];
    check_count(count);
    for (int i = 0; i < count; i++) {
        const struct kernel_gradient *from = &gradients[i];
        copied[i] = (struct kernel_gradient){
            .of = copied_transform(&copies, &from->of),
            .dw = copied_floats(&copies, COPY_IN, from->dw, kernel_elements(&from->of)),
            .dw7 = copied_floats(&copies, COPY_IN_OUT, from->dw7,
                                 row_elements(49, from->of.ld, from->of.C)),
            .dm75 = copied_floats(&copies, COPY_IN_OUT, from->dm75, 625),
            .dm53 = copied_floats(&copies, COPY_IN_OUT, from->dm53, 81)};
    }
    real.ops->kernel_backward(device, count, copied);
    end(&copies);
}

static size_t pixel_bytes(const struct image_batch *batch)
{
    size_t most = 0;
    for (int n = 0; n < batch->N; n++) {
        const struct image_crop *crop = &batch->crops[n];
        size_t end = crop->first + (size_t)(crop->H * crop->W * batch->C);
        most = end > most ? end : most;
    }
    return most;
}

static void image_forward(struct device *device, const struct image_batch *batch, void *images)
{
    struct host_copies copies = begin(device);
    struct image_batch copied = *batch;
    struct dims map = {batch->N, batch->R, batch->R, batch->C};
    copied.pixels = copies_array(&copies, COPY_IN, batch->pixels, pixel_bytes(batch));
    copied.crops =
        copies_array(&copies, COPY_IN, batch->crops, (size_t)batch->N * sizeof *batch->crops);
    real.ops->image_forward(device, &copied,
                            copies_map(&copies, COPY_OUT, images, reference_count(map)));
    end(&copies);
}

static void dropout_mask(struct device *device, int N, int C, float rate, uint64_t seed,
                         uint64_t step, uint64_t first, float *mask)
{
    struct host_copies copies = begin(device);
    real.ops->dropout_mask(device, N, C, rate, seed, step, first,
                           copied_floats(&copies, COPY_OUT, mask, (size_t)N * (size_t)C));
    end(&copies);
}

static void loss_forward(struct device *device, const struct loss *loss, float *dlogits)
{
    struct host_copies copies = begin(device);
    struct loss copied = *loss;
    size_t N = (size_t)loss->N, count = N * (size_t)loss->K;
    copied.logits = copied_floats(&copies, COPY_IN, loss->logits, count);
    copied.labels = copies_array(&copies, COPY_IN, loss->labels, N * sizeof *loss->labels);
    copied.teacher_logits = copied_floats(&copies, COPY_IN, loss->teacher_logits, count);
    copied.sums = copied_doubles(&copies, COPY_IN_OUT, loss->sums, LOSS_SUMS);
    copied.flaw = copied_flaw(&copies, loss->flaw);
    real.ops->loss_forward(device, &copied, copied_floats(&copies, COPY_OUT, dlogits, count));
    end(&copies);
}

/* Of all weights up to the last segment's end; what lies between segments keeps its shadow. */
static void sgd_step(struct device *device, const struct sgd *sgd)
{
    struct host_copies copies = begin(device);
    struct sgd copied = *sgd;
    const struct sgd_segment *last = &sgd->segments[sgd->segment_count - 1];
    size_t count = last->first + last->count;
    copied.w = copied_floats(&copies, COPY_IN_OUT, sgd->w, count);
    copied.v = copied_floats(&copies, COPY_IN_OUT, sgd->v, count);
    copied.g = copied_floats(&copies, COPY_IN_OUT, sgd->g, count);
    copied.flaw = copies_array(&copies, COPY_IN, sgd->flaw, sizeof *sgd->flaw);
    copied.shadow =
        sgd->shadow == sgd->w ? copied.w : copies_map(&copies, COPY_IN_OUT, sgd->shadow, count);
    real.ops->sgd_step(device, &copied);
    end(&copies);
}

static void fold(struct device *device, size_t count, float *x, float *sum)
{
    struct host_copies copies = begin(device);
    real.ops->fold(device, count, copied_floats(&copies, COPY_IN_OUT, x, count),
                   copied_floats(&copies, COPY_IN_OUT, sum, count));
    end(&copies);
}

static void fold_doubles(struct device *device, size_t count, double *x, double *sum)
{
    struct host_copies copies = begin(device);
    real.ops->fold_doubles(device, count, copied_doubles(&copies, COPY_IN_OUT, x, count),
                           copied_doubles(&copies, COPY_IN_OUT, sum, count));
    end(&copies);
}

static void zero(struct device *device, size_t size_bytes, void *memory)
{
    struct host_copies copies = begin(device);
    real.ops->zero(device, size_bytes, copies_array(&copies, COPY_OUT, memory, size_bytes));
    end(&copies);
}

static void fill_nan(struct device *device, size_t size_bytes, void *memory)
{
    struct host_copies copies = begin(device);
    real.ops->fill_nan(device, size_bytes, copies_array(&copies, COPY_IN_OUT, memory, size_bytes));
    end(&copies);
}

static void copy(struct device *device, size_t size_bytes, const void *from, void *to)
{
    struct host_copies copies = begin(device);
    void *source = copies_array(&copies, COPY_IN, from, size_bytes);
    real.ops->copy(device, size_bytes, source, copies_array(&copies, COPY_OUT, to, size_bytes));
    end(&copies);
}

static void cast(struct device *device, size_t count, const float *w, void *to)
{
    struct host_copies copies = begin(device);
    float *from = copied_floats(&copies, COPY_IN, w, count);
    real.ops->cast(device, count, from, copies_map(&copies, COPY_OUT, to, count));
    end(&copies);
}

static void find_nonfinite(struct device *device, size_t count, const float *x, struct flaw flaw)
{
    struct host_copies copies = begin(device);
    float *from = copied_floats(&copies, COPY_IN, x, count);
    real.ops->find_nonfinite(device, count, from, copied_flaw(&copies, flaw));
    end(&copies);
}

static void set_word(struct device *device, uint64_t value, uint64_t *word)
{
    struct host_copies copies = begin(device);
    real.ops->set_word(device, value, copies_array(&copies, COPY_OUT, word, sizeof *word));
    end(&copies);
}

/* Every operation but those that move memory. */
static const struct device_ops operations = {.image_forward = image_forward,
                                             .stem_forward = stem_forward,
                                             .stem_backward = stem_backward,
                                             .pw_forward = pw_forward,
                                             .pw_backward = pw_backward,
                                             .dw_forward = dw_forward,
                                             .dw_backward = dw_backward,
                                             .residual_forward = residual_forward,
                                             .pool_forward = pool_forward,
                                             .pool_backward = pool_backward,
                                             .excite_forward = excite_forward,
                                             .excite_backward = excite_backward,
                                             .linear_forward = linear_forward,
                                             .linear_backward = linear_backward,
                                             .kernel_forward = kernel_forward,
                                             .kernel_backward = kernel_backward,
                                             .dropout_mask = dropout_mask,
                                             .loss_forward = loss_forward,
                                             .sgd_step = sgd_step,
                                             .fold = fold,
                                             .fold_doubles = fold_doubles,
                                             .zero = zero,
                                             .fill_nan = fill_nan,
                                             .copy = copy,
                                             .cast = cast,
                                             .find_nonfinite = find_nonfinite,
                                             .set_word = set_word};

void host_face_wrap(struct device *device)
{
    static struct device_ops face;
    const struct device_ops *ops = device->ops;
    real = (struct copied_device){ops, device->map_bytes, device_is_host(ops->name)};
    if (real.is_host && real.map_bytes == sizeof(float))
        return;
    face = operations;
    face.name = ops->name;
    face.prepare = ops->prepare;
    face.alloc = ops->alloc;
    face.free = ops->free;
    face.pin = ops->pin;
    face.unpin = ops->unpin;
    face.upload = ops->upload;
    face.upload_async = ops->upload_async;
    face.download_async = ops->download_async;
    face.download = ops->download;
    face.sync = ops->sync;
    face.event_create = ops->event_create;
    face.event_destroy = ops->event_destroy;
    face.event_record = ops->event_record;
    face.event_wait = ops->event_wait;
    face.close = ops->close;
    device->ops = &face;
    device->map_bytes = sizeof(float);
}
