/* Copies of what an operation was given, every device pointer in them translated and checked. */
#include "tests/support/late_device/late.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* of.field becomes where its memory is; a message names it argument.field. */
#define PLACE(order, argument, of, field) ((of).field = place(order, argument, #field, (of).field))

_Noreturn void late_refuse(const char *operation, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "late device: %s: ", operation);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    abort();
}

static void *look_up(const struct order *order, const void *handle, size_t *left_bytes)
{
    struct late *late = order->late;
    pthread_mutex_lock(&late->lock);
    void *found = late_memory_find(late->memory, handle, left_bytes);
    pthread_mutex_unlock(&late->lock);
    return found;
}

static void *place(const struct order *order, const char *argument, const char *field,
                   const void *handle)
{
    size_t left_bytes = 0;
    if (!handle)
        return NULL;
    void *found = look_up(order, handle, &left_bytes);
    if (!found)
        late_refuse(order->operation, "%s.%s = %p lies in no live block of the device", argument,
                    field, handle);
    return found;
}

void *late_keep_range(struct order *order, const char *argument, const void *handle,
                      size_t size_bytes)
{
    size_t left_bytes = 0;
    if (!handle)
        return NULL;
    void *found = look_up(order, handle, &left_bytes);
    if (!found)
        late_refuse(order->operation, "%s = %p lies in no live block of the device", argument,
                    handle);
    if (size_bytes > left_bytes)
        late_refuse(order->operation, "%s = %p: %zu bytes, but its block ends %zu bytes from there",
                    argument, handle, size_bytes, left_bytes);
    return found;
}

void *late_keep_pointer(struct order *order, const char *argument, const void *handle)
{
    return late_keep_range(order, argument, handle, 1);
}

const struct image_batch *late_keep_image_batch(struct order *order,
                                                const struct image_batch *batch)
{
    struct image_batch kept = *batch;
    PLACE(order, "batch", kept, pixels);
    kept.crops = late_keep_range(order, "batch.crops", batch->crops,
                                 (size_t)batch->N * sizeof *batch->crops);
    return late_keep(order, &kept, sizeof kept);
}

const struct conv *late_keep_conv(struct order *order, const struct conv *conv)
{
    return late_keep(order, conv, sizeof *conv);
}

struct view late_keep_view(struct order *order, const char *argument, struct view view)
{
    PLACE(order, argument, view, z);
    PLACE(order, argument, view, scale);
    PLACE(order, argument, view, shift);
    PLACE(order, argument, view, gate);
    return view;
}

const struct grad *late_keep_grad(struct order *order, const struct grad *grad)
{
    struct grad kept = *grad;
    kept.of = late_keep_view(order, "dz.of", grad->of);
    PLACE(order, "dz", kept, q);
    PLACE(order, "dz", kept, p);
    PLACE(order, "dz", kept, a);
    PLACE(order, "dz", kept, b);
    PLACE(order, "dz", kept, c);
    return late_keep(order, &kept, sizeof kept);
}

static struct norm keep_norm(const struct order *order, struct norm norm)
{
    PLACE(order, "norm", norm, scale);
    PLACE(order, "norm", norm, shift);
    PLACE(order, "norm", norm, mean);
    PLACE(order, "norm", norm, inverse_deviation);
    return norm;
}

struct flaw late_keep_flaw(struct order *order, struct flaw flaw)
{
    PLACE(order, "flaw", flaw, word);
    return flaw;
}

const struct norm_forward *late_keep_norm_forward(struct order *order,
                                                  const struct norm_forward *norm)
{
    if (!norm)
        return NULL;
    struct norm_forward kept = *norm;
    PLACE(order, "norm", kept, sums);
    PLACE(order, "norm", kept, gamma);
    PLACE(order, "norm", kept, beta);
    PLACE(order, "norm", kept, mean);
    PLACE(order, "norm", kept, variance);
    PLACE(order, "norm", kept, total);
    PLACE(order, "norm", kept, total_square);
    kept.norm = keep_norm(order, norm->norm);
    kept.flaw = late_keep_flaw(order, norm->flaw);
    return late_keep(order, &kept, sizeof kept);
}

const struct norm_backward *late_keep_norm_backward(struct order *order,
                                                    const struct norm_backward *norm)
{
    if (!norm)
        return NULL;
    struct norm_backward kept = *norm;
    PLACE(order, "norm", kept, gamma);
    kept.norm = keep_norm(order, norm->norm);
    PLACE(order, "norm", kept, dgamma);
    PLACE(order, "norm", kept, dbeta);
    PLACE(order, "norm", kept, a);
    PLACE(order, "norm", kept, b);
    PLACE(order, "norm", kept, c);
    return late_keep(order, &kept, sizeof kept);
}

const struct grad_sink *late_keep_sink(struct order *order, const struct grad_sink *sink)
{
    if (!sink)
        return NULL;
    struct grad_sink kept = *sink;
    PLACE(order, "sink", kept, q);
    PLACE(order, "sink", kept, add);
    kept.of = late_keep_view(order, "sink.of", sink->of);
    PLACE(order, "sink", kept, mean);
    PLACE(order, "sink", kept, sums);
    PLACE(order, "sink", kept, gate_sums);
    kept.norm = late_keep_norm_backward(order, sink->norm);
    return late_keep(order, &kept, sizeof kept);
}

const struct squeeze_excite *late_keep_squeeze_excite(struct order *order,
                                                      const struct squeeze_excite *weights)
{
    struct squeeze_excite kept = *weights;
    PLACE(order, "weights", kept, reduce_w);
    PLACE(order, "weights", kept, reduce_b);
    PLACE(order, "weights", kept, expand_w);
    PLACE(order, "weights", kept, expand_b);
    return late_keep(order, &kept, sizeof kept);
}

const struct excitation *late_keep_excitation(struct order *order, const struct excitation *out)
{
    struct excitation kept = *out;
    PLACE(order, "excitation", kept, pooled);
    PLACE(order, "excitation", kept, hidden);
    PLACE(order, "excitation", kept, gate);
    PLACE(order, "excitation", kept, pool_sums);
    return late_keep(order, &kept, sizeof kept);
}

const struct excitation_grad *late_keep_excitation_grad(struct order *order,
                                                        const struct excitation_grad *grad)
{
    struct excitation_grad kept = *grad;
    PLACE(order, "grad", kept, gate_sums);
    PLACE(order, "grad", kept, weights.reduce_w);
    PLACE(order, "grad", kept, weights.reduce_b);
    PLACE(order, "grad", kept, weights.expand_w);
    PLACE(order, "grad", kept, weights.expand_b);
    PLACE(order, "grad", kept, p);
    PLACE(order, "grad", kept, sums);
    kept.norm = late_keep_norm_backward(order, grad->norm);
    return late_keep(order, &kept, sizeof kept);
}

const struct pool_grad *late_keep_pool_grad(struct order *order, const struct pool_grad *grad)
{
    struct pool_grad kept = *grad;
    PLACE(order, "grad", kept, dpooled);
    PLACE(order, "grad", kept, pool_sums);
    PLACE(order, "grad", kept, p);
    PLACE(order, "grad", kept, sums);
    kept.norm = late_keep_norm_backward(order, grad->norm);
    return late_keep(order, &kept, sizeof kept);
}

static struct kernel_transform keep_transform(const struct order *order,
                                              struct kernel_transform transform)
{
    PLACE(order, "transform", transform, w7);
    PLACE(order, "transform", transform, m75);
    PLACE(order, "transform", transform, m53);
    PLACE(order, "transform", transform, w);
    return transform;
}

const struct kernel_transform *late_keep_transforms(struct order *order, int count,
                                                    const struct kernel_transform *transforms)
{
    struct kernel_transform *kept =
        late_keep(order, transforms, (size_t)count * sizeof *transforms);
    for (int i = 0; i < count; i++)
        kept[i] = keep_transform(order, kept[i]);
    return kept;
}

const struct kernel_gradient *late_keep_gradients(struct order *order, int count,
                                                  const struct kernel_gradient *gradients)
{
    struct kernel_gradient *kept = late_keep(order, gradients, (size_t)count * sizeof *gradients);
    for (int i = 0; i < count; i++) {
        kept[i].of = keep_transform(order, kept[i].of);
        PLACE(order, "gradient", kept[i], dw);
        PLACE(order, "gradient", kept[i], dw7);
        PLACE(order, "gradient", kept[i], dm75);
        PLACE(order, "gradient", kept[i], dm53);
    }
    return kept;
}

const struct loss *late_keep_loss(struct order *order, const struct loss *loss)
{
    struct loss kept = *loss;
    PLACE(order, "loss", kept, logits);
    PLACE(order, "loss", kept, labels);
    PLACE(order, "loss", kept, teacher_logits);
    PLACE(order, "loss", kept, sums);
    kept.flaw = late_keep_flaw(order, loss->flaw);
    return late_keep(order, &kept, sizeof kept);
}

const struct sgd *late_keep_sgd(struct order *order, const struct sgd *sgd)
{
    struct sgd kept = *sgd;
    PLACE(order, "sgd", kept, w);
    PLACE(order, "sgd", kept, v);
    PLACE(order, "sgd", kept, g);
    PLACE(order, "sgd", kept, shadow);
    PLACE(order, "sgd", kept, flaw);
    return late_keep(order, &kept, sizeof kept);
}
