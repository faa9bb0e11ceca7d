#include "tests/kernels/reference_dw.h"
#include <stdlib.h>

static double *zeros(size_t count)
{
    double *values = calloc(count ? count : 1, sizeof *values);
    if (!values)
        abort();
    return values;
}

size_t reference_count(struct dims map)
{
    return (size_t)map.N * (size_t)map.H * (size_t)map.W * (size_t)map.C;
}

double *reference_widen(const float *from, size_t count)
{
    double *to = zeros(count);
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
    return to;
}

static double relu6(double x)
{
    return x < 0 ? 0 : x > 6 ? 6 : x;
}

double reference_act(enum act act, double x)
{
    switch (act) {
    case ACT_NONE:
        return x;
    case ACT_RELU:
        return x > 0 ? x : 0;
    case ACT_RELU6:
        return relu6(x);
    case ACT_HSWISH:
        return x * relu6(x + 3) / 6;
    }
    abort();
}

double reference_slope(enum act act, double x)
{
    switch (act) {
    case ACT_NONE:
        return 1;
    case ACT_RELU:
        return x > 0;
    case ACT_RELU6:
        return x > 0 && x < 6;
    case ACT_HSWISH:
        return x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5;
    }
    abort();
}

/* scale z + shift of element i. */
static double normalised(const struct view *view, size_t i, size_t c)
{
    double scale = view->scale ? view->scale[c] : 1, shift = view->shift ? view->shift[c] : 0;
    return scale * (double)((const float *)view->z)[i] + shift;
}

double *reference_view(struct dims map, const struct view *view)
{
    size_t count = reference_count(map), C = (size_t)map.C, image = count / (size_t)map.N;
    double *y = zeros(count);
    for (size_t i = 0; i < count; i++) {
        double gate = view->gate ? view->gate[i / image * C + i % C] : 1;
        y[i] = gate * reference_act(view->act, normalised(view, i, i % C));
    }
    return y;
}

double *reference_grad(struct dims map, const struct grad *grad)
{
    size_t count = reference_count(map), C = (size_t)map.C, image = count / (size_t)map.N;
    double *dz = zeros(count);
    for (size_t i = 0; i < count; i++) {
        size_t c = i % C, row = i / image * C + c;
        double s = grad->of.gate ? grad->of.gate[row] : 1, p = grad->p ? grad->p[row] : 0;
        double q = grad->q ? ((const float *)grad->q)[i] : 0;
        double g = (q * s + p) * reference_slope(grad->of.act, normalised(&grad->of, i, c));
        dz[i] = grad->a ? (double)grad->a[c] * g +
                              (double)grad->b[c] * (double)((const float *)grad->of.z)[i] +
                              (double)grad->c[c]
                        : g;
    }
    return dz;
}

struct step { /* one multiplication of a convolution: where in the input, the output, the kernel */
    size_t in, out, tap;
};

/* Zeros in front of a side of `in`: half of what the windows need, the odd one behind; or R / 2. */
static int zeros_before(const struct conv *conv, int in, int out)
{
    int needed = (out - 1) * conv->S + conv->R - in;
    return conv->pad == PAD_SAME ? (needed > 0 ? needed : 0) / 2 : conv->R / 2;
}

/* Calls visit for every pixel of the output and every tap that meets the input there; `in` and
 * `out` are pixel numbers. */
static void convolve(const struct conv *conv, void (*visit)(struct step, void *), void *context)
{
    struct dims in = conv->in, out = conv_out(conv);
    int top = zeros_before(conv, in.H, out.H), left = zeros_before(conv, in.W, out.W);
    for (int n = 0; n < in.N; n++)
        for (int at = 0; at < out.H * out.W; at++)
            for (int tap = 0; tap < conv->R * conv->R; tap++) {
                int ih = at / out.W * conv->S + tap / conv->R - top;
                int iw = at % out.W * conv->S + tap % conv->R - left;
                if (ih < 0 || ih >= in.H || iw < 0 || iw >= in.W)
                    continue;
                struct step step = {(size_t)(n * in.H * in.W + ih * in.W + iw),
                                    (size_t)(n * out.H * out.W + at), (size_t)tap};
                visit(step, context);
            }
}

struct operands {
    const struct conv *conv;
    const double *y, *w, *dz;
    double *result;
};

static void dw_forward_step(struct step step, void *context)
{
    const struct operands *o = context;
    size_t C = (size_t)o->conv->in.C, ld = (size_t)o->conv->ld;
    for (size_t c = 0; c < C; c++)
        o->result[step.out * C + c] += o->y[step.in * C + c] * o->w[step.tap * ld + c];
}

static void dw_input_step(struct step step, void *context)
{
    const struct operands *o = context;
    size_t C = (size_t)o->conv->in.C, ld = (size_t)o->conv->ld;
    for (size_t c = 0; c < C; c++)
        o->result[step.in * C + c] += o->dz[step.out * C + c] * o->w[step.tap * ld + c];
}

static void dw_weights_step(struct step step, void *context)
{
    const struct operands *o = context;
    size_t C = (size_t)o->conv->in.C, ld = (size_t)o->conv->ld;
    for (size_t c = 0; c < C; c++)
        o->result[step.tap * ld + c] += o->dz[step.out * C + c] * o->y[step.in * C + c];
}

static void stem_forward_step(struct step step, void *context)
{
    const struct operands *o = context;
    size_t C = (size_t)o->conv->in.C, K = (size_t)o->conv->K, ld = (size_t)o->conv->ld;
    for (size_t i = 0; i < C * K; i++)
        o->result[step.out * K + i % K] +=
            o->y[step.in * C + i / K] * o->w[(step.tap * C + i / K) * ld + i % K];
}

static void stem_weights_step(struct step step, void *context)
{
    const struct operands *o = context;
    size_t C = (size_t)o->conv->in.C, K = (size_t)o->conv->K, ld = (size_t)o->conv->ld;
    for (size_t i = 0; i < C * K; i++)
        o->result[(step.tap * C + i / K) * ld + i % K] +=
            o->dz[step.out * K + i % K] * o->y[step.in * C + i / K];
}

double *reference_dw_forward(const struct conv *conv, const double *y, const double *w)
{
    struct operands o = {conv, y, w, NULL, zeros(reference_count(conv_out(conv)))};
    convolve(conv, dw_forward_step, &o);
    return o.result;
}

double *reference_dw_input(const struct conv *conv, const double *dz, const double *w)
{
    struct operands o = {conv, NULL, w, dz, zeros(reference_count(conv->in))};
    convolve(conv, dw_input_step, &o);
    return o.result;
}

double *reference_dw_weights(const struct conv *conv, const double *dz, const double *y)
{
    struct operands o = {conv, y, NULL, dz, zeros((size_t)(conv->R * conv->R * conv->ld))};
    convolve(conv, dw_weights_step, &o);
    return o.result;
}

double *reference_stem_forward(const struct conv *conv, const double *y, const double *w)
{
    struct operands o = {conv, y, w, NULL, zeros(reference_count(conv_out(conv)))};
    convolve(conv, stem_forward_step, &o);
    return o.result;
}

double *reference_stem_weights(const struct conv *conv, const double *dz, const double *y)
{
    size_t taps = (size_t)(conv->R * conv->R * conv->in.C);
    struct operands o = {conv, y, NULL, dz, zeros(taps * (size_t)conv->ld)};
    convolve(conv, stem_weights_step, &o);
    return o.result;
}

double *reference_sums(struct dims map, const double *z)
{
    size_t count = reference_count(map), C = (size_t)map.C;
    double *sums = zeros(2 * C);
    for (size_t i = 0; i < count; i++) {
        sums[i % C] += z[i];
        sums[C + i % C] += z[i] * z[i];
    }
    return sums;
}

double *reference_sink_sums(struct dims map, const struct grad_sink *sink, const double *q)
{
    size_t count = reference_count(map), C = (size_t)map.C;
    double *sums = zeros(2 * C);
    for (size_t i = 0; i < count; i++) {
        size_t c = i % C;
        double g = q[i] * reference_slope(sink->of.act, normalised(&sink->of, i, c));
        sums[c] += g;
        sums[C + c] +=
            g * ((double)((const float *)sink->of.z)[i] - (double)(sink->mean ? sink->mean[c] : 0));
    }
    return sums;
}

double *reference_sink_gate_sums(struct dims map, const struct grad_sink *sink, const double *q)
{
    size_t count = reference_count(map), C = (size_t)map.C, image = count / (size_t)map.N;
    double *sums = zeros(3 * C * (size_t)map.N);
    for (size_t i = 0; i < count; i++) {
        size_t c = i % C;
        double *to = sums + i / image * 3 * C + c, x = normalised(&sink->of, i, c);
        double g = q[i] * reference_slope(sink->of.act, x);
        to[0] += q[i] * reference_act(sink->of.act, x);
        to[C] += g;
        to[2 * C] +=
            g * ((double)((const float *)sink->of.z)[i] - (double)(sink->mean ? sink->mean[c] : 0));
    }
    return sums;
}
