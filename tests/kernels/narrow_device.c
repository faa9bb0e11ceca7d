#include "tests/kernels/narrow_device.h"
#include "base/err.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct device_ops *real; /* of the process's device: a process has one kind */

enum { KEPT = 8 };

struct call { /* the bf16 maps of one operation, freed at its end */
    uint16_t *kept[KEPT];
    int count;
};

float narrow_widened(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

/* Written apart from the product's: the two neighbours are compared. */
uint16_t narrow_value(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t down = (uint16_t)(bits >> 16), up = (uint16_t)(down + 1);
    if (isnan(value))
        return down | 0x40;
    if (isinf(value) || narrow_widened(down) == value)
        return down;
    double below = fabs((double)value - (double)narrow_widened(down));
    double above = fabs((double)narrow_widened(up) - (double)value);
    if (isinf(narrow_widened(up))) /* as if there were a number behind the largest */
        above = fabs(ldexp(copysign(1, (double)value), 128) - (double)value);
    return below < above ? down : above < below ? up : down & 1 ? up : down;
}

static uint16_t *keep(struct call *call, size_t count)
{
    uint16_t *map = malloc(count * sizeof *map + 1);
    if (!map || call->count == KEPT)
        abort();
    memset(map, 0xff, count * sizeof *map);
    return call->kept[call->count++] = map;
}

static void end(struct call *call)
{
    while (call->count > 0)
        free(call->kept[--call->count]);
}

static const uint16_t *narrow(struct call *call, const void *floats, size_t count)
{
    const float *from = floats;
    if (!from)
        return NULL;
    uint16_t *map = keep(call, count);
    for (size_t i = 0; i < count; i++) {
        map[i] = narrow_value(from[i]);
        if (!isnan(from[i]) && narrow_widened(map[i]) != from[i])
            BUG("a test's map holds %.9g, which is no bf16", (double)from[i]);
    }
    return map;
}

static void widen(const uint16_t *map, size_t count, void *floats)
{
    float *to = floats;
    for (size_t i = 0; i < count; i++)
        to[i] = narrow_widened(map[i]);
}

static struct view narrow_view(struct call *call, struct dims dims, struct view view)
{
    view.z = narrow(call, view.z, reference_count(dims));
    return view;
}

static struct grad narrow_grad(struct call *call, struct dims dims, const struct grad *grad)
{
    struct grad narrowed = *grad;
    narrowed.q = narrow(call, grad->q, reference_count(dims));
    narrowed.of = narrow_view(call, dims, grad->of);
    return narrowed;
}

/* Maps count half of what they would as floats. */
static void count_wide(struct device *device, const struct device_traffic *before)
{
    struct device_traffic *now = &device->traffic;
    now->raw_bytes += now->raw_bytes - before->raw_bytes;
    now->gradient_bytes += now->gradient_bytes - before->gradient_bytes;
    now->residual_bytes += now->residual_bytes - before->residual_bytes;
}

typedef void conv_forward_fn(struct device *, const struct conv *, struct view, const void *,
                             void *, const struct norm_forward *);

static void forward(conv_forward_fn *operation, struct device *device, const struct conv *conv,
                    struct view x, const void *w, size_t weights, void *z,
                    const struct norm_forward *norm)
{
    struct call call = {.count = 0};
    struct device_traffic before = device->traffic;
    size_t count = reference_count(conv_out(conv));
    uint16_t *out = keep(&call, count);
    operation(device, conv, narrow_view(&call, conv->in, x), narrow(&call, w, weights), out, norm);
    widen(out, count, z);
    count_wide(device, &before);
    end(&call);
}

static size_t tap_weights(const struct conv *conv, int rows)
{
    return (size_t)(conv->R * conv->R * rows) * (size_t)conv->ld;
}

static void stem_forward(struct device *device, const struct conv *conv, struct view x,
                         const void *w, void *z, const struct norm_forward *norm)
{
    forward(real->stem_forward, device, conv, x, w, tap_weights(conv, conv->in.C), z, norm);
}

static void dw_forward(struct device *device, const struct conv *conv, struct view x, const void *w,
                       void *z, const struct norm_forward *norm)
{
    forward(real->dw_forward, device, conv, x, w, tap_weights(conv, 1), z, norm);
}

static void pw_forward(struct device *device, const struct conv *conv, struct view x, const void *w,
                       void *z, const struct norm_forward *norm)
{
    forward(real->pw_forward, device, conv, x, w, (size_t)conv->K * (size_t)conv->ld, z, norm);
}

static void stem_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                          struct view x, float *dw)
{
    struct call call = {.count = 0};
    struct grad narrowed = narrow_grad(&call, conv_out(conv), dz);
    real->stem_backward(device, conv, &narrowed, narrow_view(&call, conv->in, x), dw);
    end(&call);
}

typedef void conv_backward_fn(struct device *, const struct conv *, const struct grad *,
                              struct view, const void *, const struct grad_sink *, float *);

static struct grad_sink narrow_sink(struct call *call, struct dims in, const struct grad_sink *sink,
                                    const struct view *x, const void *narrow_x)
{
    struct grad_sink narrowed = *sink;
    size_t count = reference_count(in);
    narrowed.q = keep(call, count);
    narrowed.add = narrow(call, sink->add, count);
    if (sink->add && sink->add == sink->q)
        narrowed.q = (void *)narrowed.add;
    narrowed.of.z = sink->of.z == x->z ? narrow_x : narrow(call, sink->of.z, count);
    return narrowed;
}

static void backward(conv_backward_fn *operation, struct device *device, const struct conv *conv,
                     const struct grad *dz, struct view x, const uint16_t *w,
                     const struct grad_sink *sink, float *dw)
{
    struct call call = {.count = 0};
    struct device_traffic before = device->traffic;
    struct grad narrow_dz = narrow_grad(&call, conv_out(conv), dz);
    struct view narrow_x = narrow_view(&call, conv->in, x);
    struct grad_sink narrow_to;
    if (sink)
        narrow_to = narrow_sink(&call, conv->in, sink, &x, narrow_x.z);
    operation(device, conv, &narrow_dz, narrow_x, w, sink ? &narrow_to : NULL, dw);
    if (sink)
        widen(narrow_to.q, reference_count(conv->in), sink->q);
    count_wide(device, &before);
    end(&call);
}

static void pw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                        struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    struct call call = {.count = 0};
    backward(real->pw_backward, device, conv, dz, x,
             narrow(&call, w, (size_t)conv->K * (size_t)conv->ld), sink, dw);
    end(&call);
}

static void dw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                        struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    struct call call = {.count = 0};
    backward(real->dw_backward, device, conv, dz, x, narrow(&call, w, tap_weights(conv, 1)), sink,
             dw);
    end(&call);
}

static void residual_forward(struct device *device, struct dims map, struct view x, struct view y,
                             void *sum)
{
    struct call call = {.count = 0};
    struct device_traffic before = device->traffic;
    uint16_t *out = keep(&call, reference_count(map));
    real->residual_forward(device, map, narrow_view(&call, map, x), narrow_view(&call, map, y),
                           out);
    widen(out, reference_count(map), sum);
    count_wide(device, &before);
    end(&call);
}

static void pool_forward(struct device *device, struct dims dims, struct view x, const float *mean,
                         float *pooled, double *pool_sums)
{
    struct call call = {.count = 0};
    real->pool_forward(device, dims, narrow_view(&call, dims, x), mean, pooled, pool_sums);
    end(&call);
}

static void excite_forward(struct device *device, struct dims dims, const struct squeeze_excite *se,
                           struct view x, const float *mean, const struct excitation *out)
{
    struct call call = {.count = 0};
    real->excite_forward(device, dims, se, narrow_view(&call, dims, x), mean, out);
    end(&call);
}

static void kernel_forward(struct device *device, int count,
                           const struct kernel_transform *transforms)
{
    for (int i = 0; i < count; i++) {
        struct call call = {.count = 0};
        struct kernel_transform transform = transforms[i];
        size_t weights = (size_t)(transform.R * transform.R) * (size_t)transform.C;
        uint16_t *w = keep(&call, weights);
        transform.w = w;
        real->kernel_forward(device, 1, &transform);
        widen(w, weights, transforms[i].w);
        end(&call);
    }
}

static void image_forward(struct device *device, const struct image_batch *batch, void *images)
{
    struct call call = {.count = 0};
    size_t count = reference_count((struct dims){batch->N, batch->R, batch->R, batch->C});
    uint16_t *out = keep(&call, count);
    real->image_forward(device, batch, out);
    widen(out, count, images);
    end(&call);
}

static void cast(struct device *device, size_t count, const float *w, void *to)
{
    struct call call = {.count = 0};
    uint16_t *out = keep(&call, count);
    real->cast(device, count, w, out);
    widen(out, count, to);
    end(&call);
}

/* Of all weights up to the last segment's end; what lies between segments keeps its shadow. */
static void sgd_step(struct device *device, const struct sgd *sgd)
{
    struct call call = {.count = 0};
    struct sgd narrowed = *sgd;
    const struct sgd_segment *last = &sgd->segments[sgd->segment_count - 1];
    if (sgd->shadow != sgd->w)
        narrowed.shadow = (void *)narrow(&call, sgd->shadow, last->first + last->count);
    real->sgd_step(device, &narrowed);
    if (sgd->shadow != sgd->w)
        widen(narrowed.shadow, last->first + last->count, sgd->shadow);
    end(&call);
}

void narrow_device_wrap(struct device *device)
{
    static struct device_ops face;
    real = device->ops;
    face = *real;
    face.image_forward = image_forward;
    face.stem_forward = stem_forward;
    face.stem_backward = stem_backward;
    face.pw_forward = pw_forward;
    face.pw_backward = pw_backward;
    face.dw_forward = dw_forward;
    face.dw_backward = dw_backward;
    face.residual_forward = residual_forward;
    face.pool_forward = pool_forward;
    face.excite_forward = excite_forward;
    face.kernel_forward = kernel_forward;
    face.sgd_step = sgd_step;
    face.cast = cast;
    device->ops = &face;
    device->map_bytes = sizeof(float);
}
