#include "tests/bench/layers.h"
#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 512 };

struct row { /* one operation on one shape */
    char name[80];
    double seconds, flops, bytes;
    int calls;
};

/* Static: the operations have no room for a pointer of ours. */
static struct {
    struct device *device;
    const struct device_ops *ops; /* the device's own */
    struct device_ops timed;
    void (*ended)(const char *name, double seconds);
    struct row rows[MAX_ROWS];
    int count;
} layers;

/* What was queued before is not counted. */
static double begin(void)
{
    if (layers.ops->sync(layers.device) != ERR_OK)
        BUG("%s", err_text());
    return clock_seconds();
}

static void add(const char *name, double start, double flops, double bytes)
{
    double seconds = begin() - start;
    int i = 0;
    if (layers.ended)
        layers.ended(name, seconds);
    while (i < layers.count && strcmp(layers.rows[i].name, name) != 0)
        i++;
    if (i == MAX_ROWS)
        return;
    if (i == layers.count)
        snprintf(layers.rows[layers.count++].name, sizeof layers.rows[0].name, "%s", name);
    struct row *row = &layers.rows[i];
    row->seconds += seconds;
    row->flops += flops;
    row->bytes += bytes;
    row->calls++;
}

static double map_bytes(double elements)
{
    return (double)layers.device->map_bytes * elements;
}

static void add_conv(const char *op, double start, const struct conv *conv, int passes, int maps)
{
    char name[80];
    struct dims out = conv_out(conv);
    bool is_depthwise = strncmp(op, "dw", 2) == 0;
    double taps = (double)conv->R * conv->R * (is_depthwise ? 1 : conv->in.C);
    double in = (double)conv->in.N * conv->in.H * conv->in.W * conv->in.C;
    double elements = (double)out.N * out.H * out.W * out.C;
    snprintf(name, sizeof name, "%-12s %3dx%-3d %4d->%-4d k%d s%d", op, conv->in.H, conv->in.W,
             conv->in.C, conv->K, conv->R, conv->S);
    add(name, start, 2.0 * taps * elements * passes, map_bytes(in + elements) * maps);
}

static void stem_forward(struct device *device, const struct conv *conv, struct view x,
                         const void *w, void *z, const struct norm_forward *norm)
{
    double start = begin();
    layers.ops->stem_forward(device, conv, x, w, z, norm);
    add_conv("stem_forward", start, conv, 1, 1);
}

static void stem_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                          struct view x, float *dw)
{
    double start = begin();
    layers.ops->stem_backward(device, conv, dz, x, dw);
    add_conv("stem_backward", start, conv, 1, 2);
}

static void pw_forward(struct device *device, const struct conv *conv, struct view x, const void *w,
                       void *z, const struct norm_forward *norm)
{
    double start = begin();
    layers.ops->pw_forward(device, conv, x, w, z, norm);
    add_conv("pw_forward", start, conv, 1, 1);
}

static void pw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                        struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    double start = begin();
    layers.ops->pw_backward(device, conv, dz, x, w, sink, dw);
    add_conv("pw_backward", start, conv, 2, 2);
}

static void dw_forward(struct device *device, const struct conv *conv, struct view x, const void *w,
                       void *z, const struct norm_forward *norm)
{
    double start = begin();
    layers.ops->dw_forward(device, conv, x, w, z, norm);
    add_conv("dw_forward", start, conv, 1, 1);
}

static void dw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                        struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    double start = begin();
    layers.ops->dw_backward(device, conv, dz, x, w, sink, dw);
    add_conv("dw_backward", start, conv, 2, 2);
}

static void linear_forward(struct device *device, const struct conv *conv, struct view x,
                           const float *w, const float *bias, float *y)
{
    double start = begin();
    layers.ops->linear_forward(device, conv, x, w, bias, y);
    add_conv("linear_forward", start, conv, 1, 1);
}

static void linear_backward(struct device *device, const struct conv *conv, const float *dy,
                            struct view x, const float *w, float *dx, float *dw, float *dbias)
{
    double start = begin();
    layers.ops->linear_backward(device, conv, dy, x, w, dx, dw, dbias);
    add_conv("linear_backward", start, conv, 2, 1);
}

static void residual_forward(struct device *device, struct dims dims, struct view x, struct view y,
                             void *sum)
{
    double start = begin();
    layers.ops->residual_forward(device, dims, x, y, sum);
    add("residual_forward", start, 0, 3 * map_bytes(dims_pixels(dims) * dims.C));
}

static void pool_forward(struct device *device, struct dims dims, struct view x, const float *mean,
                         float *pooled, double *pool_sums)
{
    double start = begin();
    layers.ops->pool_forward(device, dims, x, mean, pooled, pool_sums);
    add("pool_forward", start, 0, map_bytes(dims_pixels(dims) * dims.C));
}

static void pool_backward(struct device *device, struct dims dims, const struct pool_grad *grad)
{
    double start = begin();
    layers.ops->pool_backward(device, dims, grad);
    add("pool_backward", start, 0, 0);
}

static void excite_forward(struct device *device, struct dims dims, const struct squeeze_excite *se,
                           struct view x, const float *mean, const struct excitation *out)
{
    double start = begin();
    layers.ops->excite_forward(device, dims, se, x, mean, out);
    add("excite_forward", start, 4.0 * dims.N * se->C * se->Cr,
        map_bytes(dims_pixels(dims) * dims.C));
}

static void excite_backward(struct device *device, struct dims dims,
                            const struct squeeze_excite *se, const struct excitation *kept,
                            const struct excitation_grad *grad)
{
    double start = begin();
    layers.ops->excite_backward(device, dims, se, kept, grad);
    add("excite_backward", start, 8.0 * dims.N * se->C * se->Cr, 0);
}

static void kernel_forward(struct device *device, int count, const struct kernel_transform *kernels)
{
    double start = begin();
    layers.ops->kernel_forward(device, count, kernels);
    add("kernel_forward", start, 0, 0);
}

static void kernel_backward(struct device *device, int count,
                            const struct kernel_gradient *gradients)
{
    double start = begin();
    layers.ops->kernel_backward(device, count, gradients);
    add("kernel_backward", start, 0, 0);
}

static void loss_forward(struct device *device, const struct loss *loss, float *dlogits)
{
    double start = begin();
    layers.ops->loss_forward(device, loss, dlogits);
    add("loss_forward", start, 0, 0);
}

static void sgd_step(struct device *device, const struct sgd *sgd)
{
    double start = begin(), count = 0;
    layers.ops->sgd_step(device, sgd);
    for (int i = 0; i < sgd->segment_count; i++)
        count += (double)sgd->segments[i].count;
    add("sgd_step", start, 0, 24.0 * count);
}

static void zero(struct device *device, size_t size_bytes, void *memory)
{
    double start = begin();
    layers.ops->zero(device, size_bytes, memory);
    add("zero", start, 0, (double)size_bytes);
}

void layers_begin(struct device *device, void (*ended)(const char *name, double seconds))
{
    layers.ended = ended;
    layers.device = device;
    layers.ops = device->ops;
    layers.count = 0;
    memset(layers.rows, 0, sizeof layers.rows);
    layers.timed = *device->ops;
    layers.timed.stem_forward = stem_forward;
    layers.timed.stem_backward = stem_backward;
    layers.timed.pw_forward = pw_forward;
    layers.timed.pw_backward = pw_backward;
    layers.timed.dw_forward = dw_forward;
    layers.timed.dw_backward = dw_backward;
    layers.timed.linear_forward = linear_forward;
    layers.timed.linear_backward = linear_backward;
    layers.timed.residual_forward = residual_forward;
    layers.timed.pool_forward = pool_forward;
    layers.timed.pool_backward = pool_backward;
    layers.timed.excite_forward = excite_forward;
    layers.timed.excite_backward = excite_backward;
    layers.timed.kernel_forward = kernel_forward;
    layers.timed.kernel_backward = kernel_backward;
    layers.timed.loss_forward = loss_forward;
    layers.timed.sgd_step = sgd_step;
    layers.timed.zero = zero;
    device->ops = &layers.timed;
}

static int slowest_first(const void *left, const void *right)
{
    const struct row *l = left, *r = right;
    return (l->seconds < r->seconds) - (l->seconds > r->seconds);
}

/* Seconds by the operation's first word. */
static void print_totals(int steps)
{
    static const char *const names[] = {"stem_f",  "stem_b",  "pw_f",  "pw_b",  "dw_f",
                                        "dw_b",    "linear_", "resid", "pool_", "excite_",
                                        "kernel_", "loss",    "sgd",   "zero"};
    double all = 0;
    for (int r = 0; r < layers.count; r++)
        all += layers.rows[r].seconds;
    printf("# total %.2f ms a step\n", all / steps * 1e3);
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        double seconds = 0, flops = 0, bytes = 0;
        for (int r = 0; r < layers.count; r++) {
            const struct row *row = &layers.rows[r];
            if (strncmp(row->name, names[n], strlen(names[n])) != 0)
                continue;
            seconds += row->seconds;
            flops += row->flops;
            bytes += row->bytes;
        }
        printf("# %-8s %8.2f ms %5.1f %%  %6.1f GFLOP/s %6.1f GB/s\n", names[n],
               seconds / steps * 1e3, 100 * seconds / all, seconds > 0 ? flops / seconds / 1e9 : 0,
               seconds > 0 ? bytes / seconds / 1e9 : 0);
    }
}

void layers_end(struct device *device, int steps)
{
    device->ops = layers.ops;
    qsort(layers.rows, (size_t)layers.count, sizeof *layers.rows, slowest_first);
    print_totals(steps);
    for (int r = 0; r < layers.count; r++) {
        const struct row *row = &layers.rows[r];
        printf("%-44s %4d calls %8.3f ms  %6.1f GFLOP/s %6.1f GB/s\n", row->name,
               row->calls / steps, row->seconds / steps * 1e3, row->flops / row->seconds / 1e9,
               row->bytes / row->seconds / 1e9);
    }
}
