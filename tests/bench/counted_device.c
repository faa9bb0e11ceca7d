#include "tests/bench/counted_device.h"
#include "kernels/dry_device.h"

enum { NOWHERE_BITS = 40, MAX_MAPS = 6 };

static const char *const names[COUNT_KINDS] = {
    [COUNT_STEM_FORWARD] = "stem_forward",
    [COUNT_STEM_BACKWARD] = "stem_backward",
    [COUNT_PW_FORWARD] = "pw_forward",
    [COUNT_PW_BACKWARD] = "pw_backward",
    [COUNT_DW_FORWARD] = "dw_forward",
    [COUNT_DW_BACKWARD] = "dw_backward",
    [COUNT_RESIDUAL_FORWARD] = "residual_forward",
    [COUNT_POOL_FORWARD] = "pool_forward",
    [COUNT_POOL_BACKWARD] = "pool_backward",
    [COUNT_EXCITE_FORWARD] = "excite_forward",
    [COUNT_EXCITE_BACKWARD] = "excite_backward",
    [COUNT_LINEAR_FORWARD] = "linear_forward",
    [COUNT_LINEAR_BACKWARD] = "linear_backward",
    [COUNT_KERNEL_FORWARD] = "kernel_forward",
    [COUNT_KERNEL_BACKWARD] = "kernel_backward",
    [COUNT_LOSS_FORWARD] = "loss_forward",
    [COUNT_SGD_STEP] = "sgd_step",
    [COUNT_ZERO] = "zero",
};

/* One call in hand. */
struct call {
    struct device *device;
    struct count *count;
    const void *maps[MAX_MAPS]; /* that it has read: each crosses once */
    int map_count;
};

static struct call begin(struct device *device, enum count_kind kind)
{
    struct counts *counts = device->own;
    counts->kinds[kind].calls++;
    return (struct call){.device = device, .count = &counts->kinds[kind]};
}

static double elements(struct dims map)
{
    return dims_pixels(map) * map.C;
}

/* Elements that change their type on the way. */
static void convert(struct call *call, double count)
{
    if (call->device->map_bytes < sizeof(float))
        call->count->elementwise += count;
}

static void read_map(struct call *call, const void *map, struct dims dims)
{
    for (int i = 0; i < call->map_count; i++)
        if (call->maps[i] == map)
            return;
    if (!map)
        return;
    if (call->map_count == MAX_MAPS)
        BUG("an operation of more than %d maps", MAX_MAPS);
    call->maps[call->map_count++] = map;
    call->count->read_bytes += elements(dims) * (double)call->device->map_bytes;
    convert(call, elements(dims));
}

static void write_map(struct call *call, struct dims dims)
{
    call->count->written_bytes += elements(dims) * (double)call->device->map_bytes;
    convert(call, elements(dims));
}

static void read_floats(struct call *call, double count)
{
    call->count->read_bytes += count * sizeof(float);
}

static void write_floats(struct call *call, double count)
{
    call->count->written_bytes += count * sizeof(float);
}

/* A gradient that is added to. */
static void add_floats(struct call *call, double count)
{
    read_floats(call, count);
    write_floats(call, count);
}

static void read_weights(struct call *call, double count)
{
    call->count->read_bytes += count * (double)call->device->map_bytes;
}

/* act(x): h-swish is x clamp(x / 6 + 1/2, 0, 1). */
static double act_lanes(enum act act)
{
    static const double lanes[] = {
        [ACT_NONE] = 0, [ACT_RELU] = 1, [ACT_RELU6] = 2, [ACT_HSWISH] = 4};
    return lanes[act];
}

/* act'(x) times what it is multiplied with: masked moves; of h-swish x / 3 + 1/2 between them. */
static double slope_lanes(enum act act)
{
    static const double lanes[] = {
        [ACT_NONE] = 0, [ACT_RELU] = 1, [ACT_RELU6] = 2, [ACT_HSWISH] = 4};
    return lanes[act];
}

static double affine_lanes(struct view view)
{
    return view.scale ? 1 : 0;
}

static double view_lanes(struct view view)
{
    return affine_lanes(view) + act_lanes(view.act) + (view.gate ? 1 : 0);
}

/* g = (q s + p) act'(scale z + shift), dz = a g + b z + c */
static double grad_lanes(const struct grad *dz)
{
    double gated = dz->q && (dz->p || dz->of.gate) ? 1 : 0, normed = dz->a ? 2 : 0;
    return gated + affine_lanes(dz->of) + slope_lanes(dz->of.act) + normed;
}

/* What a writer of q does besides: the shortcut, g, sum g and sum g z; behind a gate sum q y, sum q
 * act' and sum q act' z. */
static double sink_lanes(const struct grad_sink *sink)
{
    double added = sink->add ? 1 : 0;
    double slope = affine_lanes(sink->of) + slope_lanes(sink->of.act);
    if (sink->gate_sums)
        return added + slope + act_lanes(sink->of.act) + 3;
    return added + (sink->sums ? slope + 2 : 0);
}

static double norm_lanes(const struct norm_forward *norm)
{
    return norm && norm->kind == NORM_BATCH ? 2 : 0;
}

/* Taps of all windows along one axis that lie in the map. */
static double taps_inside(const struct conv *conv, int in)
{
    int before = pad_before(conv->pad, in, conv->R, conv->S);
    double taps = 0;
    for (int o = 0; o < pad_out(in, conv->S); o++)
        for (int t = 0; t < conv->R; t++) {
            int i = o * conv->S - before + t;
            taps += i >= 0 && i < in;
        }
    return taps;
}

/* Multiply-adds of one pass over a convolution; `depth` channels in for each one out. */
static void add_taps(struct call *call, const struct conv *conv, int depth, int passes)
{
    double per_tap = (double)conv->in.N * conv->K * depth * passes;
    call->count->macs += per_tap * taps_inside(conv, conv->in.H) * taps_inside(conv, conv->in.W);
    call->count->padded_macs +=
        per_tap * dims_pixels(conv_out(conv)) / conv->in.N * conv->R * conv->R;
}

static void add_macs(struct call *call, double count)
{
    call->count->macs += count;
    call->count->padded_macs += count;
}

/* The operands of a product are made by arithmetic, and rounded for it. */
static void add_products(struct call *call, const struct conv *conv, int passes, double operands)
{
    double count = dims_pixels(conv->in) * conv->in.C * conv->K * passes;
    call->count->products += count;
    call->count->padded_macs += count;
    convert(call, operands);
}

static void conv_forward(struct call *call, const struct conv *conv, struct view x, double weights,
                         const struct norm_forward *norm)
{
    struct dims out = conv_out(conv);
    call->count->elementwise +=
        view_lanes(x) * elements(conv->in) + norm_lanes(norm) * elements(out);
    read_map(call, x.z, conv->in);
    read_weights(call, weights);
    write_map(call, out);
}

static void conv_backward(struct call *call, const struct conv *conv, const struct grad *dz,
                          struct view x, double weights)
{
    struct dims out = conv_out(conv);
    call->count->elementwise += grad_lanes(dz) * elements(out) + view_lanes(x) * elements(conv->in);
    read_map(call, dz->q, out);
    read_map(call, dz->of.z, out);
    read_map(call, x.z, conv->in);
    add_floats(call, weights);
}

static void conv_sink(struct call *call, const struct conv *conv, const struct grad_sink *sink,
                      double weights)
{
    call->count->elementwise += sink_lanes(sink) * elements(conv->in);
    read_map(call, sink->of.z, conv->in);
    read_map(call, sink->add, conv->in);
    read_weights(call, weights);
    write_map(call, conv->in);
}

static double stem_weights(const struct conv *conv)
{
    return (double)conv->R * conv->R * conv->in.C * conv->K;
}

static void count_stem_forward(struct device *device, const struct conv *conv, struct view x,
                               const void *w, void *z, const struct norm_forward *norm)
{
    (void)w, (void)z;
    struct call call = begin(device, COUNT_STEM_FORWARD);
    add_taps(&call, conv, conv->in.C, 1);
    conv_forward(&call, conv, x, stem_weights(conv), norm);
}

static void count_stem_backward(struct device *device, const struct conv *conv,
                                const struct grad *dz, struct view x, float *dw)
{
    (void)dw;
    struct call call = begin(device, COUNT_STEM_BACKWARD);
    add_taps(&call, conv, conv->in.C, 1);
    conv_backward(&call, conv, dz, x, stem_weights(conv));
}

static void count_pw_forward(struct device *device, const struct conv *conv, struct view x,
                             const void *w, void *z, const struct norm_forward *norm)
{
    (void)w, (void)z;
    struct call call = begin(device, COUNT_PW_FORWARD);
    add_products(&call, conv, 1, elements(conv->in));
    conv_forward(&call, conv, x, (double)conv->in.C * conv->K, norm);
}

static void count_pw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                              struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    (void)w, (void)dw;
    struct call call = begin(device, COUNT_PW_BACKWARD);
    double weights = (double)conv->in.C * conv->K;
    add_products(&call, conv, sink ? 2 : 1, elements(conv->in) + elements(conv_out(conv)));
    conv_backward(&call, conv, dz, x, weights);
    if (sink)
        conv_sink(&call, conv, sink, weights);
}

static double dw_weights(const struct conv *conv)
{
    return (double)conv->R * conv->R * conv->in.C;
}

static void count_dw_forward(struct device *device, const struct conv *conv, struct view x,
                             const void *w, void *z, const struct norm_forward *norm)
{
    (void)w, (void)z;
    struct call call = begin(device, COUNT_DW_FORWARD);
    add_taps(&call, conv, 1, 1);
    conv_forward(&call, conv, x, dw_weights(conv), norm);
}

static void count_dw_backward(struct device *device, const struct conv *conv, const struct grad *dz,
                              struct view x, const void *w, const struct grad_sink *sink, float *dw)
{
    (void)w, (void)dw;
    struct call call = begin(device, COUNT_DW_BACKWARD);
    add_taps(&call, conv, 1, sink ? 2 : 1);
    conv_backward(&call, conv, dz, x, dw_weights(conv));
    if (sink)
        conv_sink(&call, conv, sink, dw_weights(conv));
}

static void count_residual_forward(struct device *device, struct dims map, struct view x,
                                   struct view y, void *sum)
{
    (void)sum;
    struct call call = begin(device, COUNT_RESIDUAL_FORWARD);
    call.count->elementwise += (view_lanes(x) + view_lanes(y) + 1) * elements(map);
    read_map(&call, x.z, map);
    read_map(&call, y.z, map);
    write_map(&call, map);
}

/* With sums: sum act', sum act' (z - mean). */
static void pool_map(struct call *call, struct dims map, struct view x, bool has_sums)
{
    double sums = has_sums ? slope_lanes(x.act) + 2 : 0;
    x.gate = NULL;
    call->count->elementwise += (view_lanes(x) + 1 + sums) * elements(map);
    read_map(call, x.z, map);
    write_floats(call, (double)map.N * map.C);
    call->count->written_bytes += has_sums ? 2.0 * map.N * map.C * sizeof(double) : 0;
}

static void count_pool_forward(struct device *device, struct dims map, struct view x,
                               const float *mean, float *pooled, double *pool_sums)
{
    (void)mean, (void)pooled;
    struct call call = begin(device, COUNT_POOL_FORWARD);
    pool_map(&call, map, x, pool_sums != NULL);
}

/* p = dpooled / HW; sum g, sum g (z - mean) out of p and the pool's sums */
static void gradient_of_pool(struct call *call, struct dims map)
{
    double vectors = (double)map.N * map.C;
    call->count->elementwise += 3 * vectors;
    call->count->read_bytes += 2 * vectors * sizeof(double);
    write_floats(call, vectors);
}

static void count_pool_backward(struct device *device, struct dims map,
                                const struct pool_grad *grad)
{
    (void)grad;
    struct call call = begin(device, COUNT_POOL_BACKWARD);
    read_floats(&call, (double)map.N * map.C);
    gradient_of_pool(&call, map);
}

static double excite_weights(const struct squeeze_excite *se)
{
    return 2.0 * se->C * se->Cr;
}

static void count_excite_forward(struct device *device, struct dims map,
                                 const struct squeeze_excite *se, struct view x, const float *mean,
                                 const struct excitation *out)
{
    (void)mean;
    struct call call = begin(device, COUNT_EXCITE_FORWARD);
    pool_map(&call, map, x, out->pool_sums != NULL);
    add_macs(&call, map.N * excite_weights(se));
    call.count->elementwise += (double)map.N * (se->Cr + 3.0 * se->C); /* ReLU; h-sigmoid */
    read_floats(&call, excite_weights(se) + se->C + se->Cr);
    write_floats(&call, (double)map.N * (se->Cr + se->C));
}

static void count_excite_backward(struct device *device, struct dims map,
                                  const struct squeeze_excite *se, const struct excitation *out,
                                  const struct excitation_grad *grad)
{
    (void)out, (void)grad;
    struct call call = begin(device, COUNT_EXCITE_BACKWARD);
    double weights = excite_weights(se), biases = (double)se->C + se->Cr;
    add_macs(&call, 2 * map.N * weights);
    call.count->elementwise += map.N * (2 * biases); /* both slopes, both biases' sums */
    gradient_of_pool(&call, map);
    call.count->elementwise += 3.0 * map.N * se->C; /* gate's part of the norm's sums */
    call.count->read_bytes += 3.0 * map.N * se->C * sizeof(double);
    read_floats(&call, weights + map.N * (2.0 * se->C + se->Cr)); /* pooled, gate, hidden */
    add_floats(&call, weights + biases);
}

static void count_linear_forward(struct device *device, const struct conv *conv, struct view x,
                                 const float *w, const float *bias, float *y)
{
    (void)w, (void)y;
    struct call call = begin(device, COUNT_LINEAR_FORWARD);
    double N = conv->in.N, C = conv->in.C, K = conv->K;
    add_macs(&call, N * C * K);
    call.count->elementwise += view_lanes(x) * N * C + (bias ? N * K : 0);
    read_floats(&call, N * C + C * K + (x.gate ? N * C : 0) + (bias ? K : 0));
    write_floats(&call, N * K);
}

static void count_linear_backward(struct device *device, const struct conv *conv, const float *dy,
                                  struct view x, const float *w, float *dx, float *dw, float *dbias)
{
    (void)dy, (void)w, (void)dw;
    struct call call = begin(device, COUNT_LINEAR_BACKWARD);
    double N = conv->in.N, C = conv->in.C, K = conv->K;
    add_macs(&call, (dx ? 2 : 1) * N * C * K);
    call.count->elementwise += view_lanes(x) * N * C + (dbias ? N * K : 0);
    read_floats(&call, N * K + N * C + (x.gate ? N * C : 0));
    add_floats(&call, C * K + (dbias ? K : 0));
    if (!dx)
        return;
    call.count->elementwise += (slope_lanes(x.act) + (x.gate ? 1 : 0)) * N * C;
    read_floats(&call, C * K);
    write_floats(&call, N * C);
}

/* (25,25) and behind it (9,9) on every channel, or a crop. */
static double matrix_macs(const struct kernel_transform *kernel)
{
    if (!kernel->m75)
        return 0;
    return (double)kernel->C * (25 * 25 + (kernel->R == 3 ? 9 * 9 : 0));
}

static void count_kernel_forward(struct device *device, int count,
                                 const struct kernel_transform *kernels)
{
    struct call call = begin(device, COUNT_KERNEL_FORWARD);
    for (int i = 0; i < count; i++) {
        call.count->macs += matrix_macs(&kernels[i]);
        read_floats(&call, 25.0 * kernels[i].C);
        call.count->written_bytes +=
            (double)kernels[i].R * kernels[i].R * kernels[i].C * (double)device->map_bytes;
    }
}

static void count_kernel_backward(struct device *device, int count,
                                  const struct kernel_gradient *gradients)
{
    struct call call = begin(device, COUNT_KERNEL_BACKWARD);
    for (int i = 0; i < count; i++) {
        const struct kernel_transform *kernel = &gradients[i].of;
        call.count->macs += 2 * matrix_macs(kernel); /* of the kernel, of the matrices */
        read_floats(&call, (25.0 + kernel->R * kernel->R) * kernel->C);
        add_floats(&call, 25.0 * kernel->C);
    }
}

/* Two exponentials' worth of lanes where there is a teacher. */
static void count_loss_forward(struct device *device, const struct loss *loss, float *dlogits)
{
    enum { EXPONENTIAL_LANES = 10 };
    struct call call = begin(device, COUNT_LOSS_FORWARD);
    double logits = (double)loss->N * loss->K, sides = loss->teacher_logits ? 2 : 1;
    call.count->elementwise += logits * sides * EXPONENTIAL_LANES;
    read_floats(&call, logits * sides);
    write_floats(&call, dlogits ? logits : 0);
}

/* d = g + decay w; v = momentum v + d; w -= rate (d + momentum v) */
static void count_sgd_step(struct device *device, const struct sgd *sgd)
{
    struct call call = begin(device, COUNT_SGD_STEP);
    double weights = 0;
    for (int i = 0; i < sgd->segment_count; i++)
        weights += (double)sgd->segments[i].count;
    call.count->elementwise += 4 * weights;
    read_floats(&call, 3 * weights);
    write_floats(&call, 3 * weights); /* g becomes zero */
    if (sgd->shadow != sgd->w) {
        call.count->written_bytes += weights * (double)device->map_bytes;
        convert(&call, weights);
    }
}

static void count_zero(struct device *device, size_t size_bytes, void *memory)
{
    (void)memory;
    begin(device, COUNT_ZERO).count->written_bytes += (double)size_bytes;
}

static enum err count_alloc(struct device *device, size_t size_bytes, void **memory)
{
    struct counts *counts = device->own;
    const size_t line = 64;
    *memory = (void *)(((uintptr_t)1 << NOWHERE_BITS) + counts->next);
    counts->next += (size_bytes + line - 1) / line * line;
    return ERR_OK;
}

static enum err count_sync(struct device *device)
{
    (void)device;
    return ERR_OK;
}

void counted_device_init(struct device *device, size_t map_bytes, struct counts *counts)
{
    dry_device_init(device, map_bytes, NULL);
    struct device_ops *ops = &counts->ops;
    *ops = *device->ops;
    ops->name = "counted";
    ops->stem_forward = count_stem_forward;
    ops->stem_backward = count_stem_backward;
    ops->pw_forward = count_pw_forward;
    ops->pw_backward = count_pw_backward;
    ops->dw_forward = count_dw_forward;
    ops->dw_backward = count_dw_backward;
    ops->residual_forward = count_residual_forward;
    ops->pool_forward = count_pool_forward;
    ops->pool_backward = count_pool_backward;
    ops->excite_forward = count_excite_forward;
    ops->excite_backward = count_excite_backward;
    ops->linear_forward = count_linear_forward;
    ops->linear_backward = count_linear_backward;
    ops->kernel_forward = count_kernel_forward;
    ops->kernel_backward = count_kernel_backward;
    ops->loss_forward = count_loss_forward;
    ops->sgd_step = count_sgd_step;
    ops->zero = count_zero;
    ops->dropout_mask = NULL; /* nobody who counts has one, or asks for flaws */
    ops->find_nonfinite = NULL;
    ops->alloc = count_alloc;
    ops->sync = count_sync;
    device->ops = ops;
    device->own = counts;
}

const char *count_name(enum count_kind kind)
{
    return names[kind];
}

struct count counts_total(const struct counts *counts)
{
    struct count total = {0};
    for (int kind = 0; kind < COUNT_KINDS; kind++) {
        const struct count *one = &counts->kinds[kind];
        total.calls += one->calls;
        total.products += one->products;
        total.macs += one->macs;
        total.elementwise += one->elementwise;
        total.padded_macs += one->padded_macs;
        total.read_bytes += one->read_bytes;
        total.written_bytes += one->written_bytes;
    }
    return total;
}
