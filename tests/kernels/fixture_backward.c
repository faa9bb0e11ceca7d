#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdlib.h>

void fixture_backward_init(struct fixture *fixture, struct backward *back, int parts)
{
    const struct conv *conv = back->conv;
    struct dims in = conv->in;
    size_t count = reference_count(in), taps = (size_t)(conv->R * conv->R);
    size_t weights = taps * (size_t)conv->ld;
    back->w = fixture_weights(fixture, (int)taps, conv->K, conv->ld);
    back->dw_before = fixture_random(fixture, weights, 0, 1);
    back->dz = fixture_grad(fixture, conv_out(conv), back->x.act, parts);
    back->sink.of = back->x;
    back->sink.mean = parts & GRAD_HAS_NORM ? fixture_random(fixture, (size_t)in.C, 0, 1) : NULL;
    back->sink.add = back->adding == ADD_NOTHING ? NULL : fixture_random(fixture, count, 0, 1);
    double *wide = fixture_widen(fixture, back->w, weights);
    double *y = fixture_keep(fixture, reference_view(in, &back->x));
    double *dz = fixture_keep(fixture, reference_grad(conv_out(conv), &back->dz));
    back->q = fixture_keep(fixture, reference_dw_input(conv, dz, wide));
    for (size_t i = 0; back->sink.add && i < count; i++)
        back->q[i] += (double)((const float *)back->sink.add)[i];
    back->dw = fixture_keep(fixture, reference_dw_weights(conv, dz, y));
    for (size_t i = 0; i < weights; i++)
        back->dw[i] += (double)back->dw_before[i];
}

struct backward_result fixture_backward(struct fixture *fixture, const struct backward *back,
                                        int threads)
{
    const struct conv *conv = back->conv;
    size_t count = reference_count(conv->in), C = (size_t)conv->in.C, N = (size_t)conv->in.N;
    struct backward_result result = {.q = back->adding == ADD_IN_PLACE
                                              ? check_copy(back->sink.add, count)
                                              : check_filled(count, NAN),
                                     .dw = check_copy(back->dw_before, fixture_weight_count(conv)),
                                     .sums = check_filled_double(2 * C, NAN),
                                     .gate_sums = check_filled_double(3 * C * N, NAN)};
    fixture_keep(fixture, result.q);
    fixture_keep(fixture, result.dw);
    fixture_keep(fixture, result.sums);
    fixture_keep(fixture, result.gate_sums);
    struct grad_sink sink = back->sink;
    sink.q = result.q;
    sink.add = back->adding == ADD_IN_PLACE ? result.q : sink.add;
    sink.sums = back->summing == SUM_CHANNELS ? result.sums : NULL;
    sink.gate_sums = back->summing == SUM_GATES ? result.gate_sums : NULL;
    struct device *device = check_open(threads);
    (conv->R == 1 ? device->ops->pw_backward : device->ops->dw_backward)(
        device, conv, &back->dz, back->x, back->w, &sink, result.dw);
    assert_int_equal(device->traffic.gradient_bytes, count * sizeof *result.q);
    assert_int_equal(device->traffic.raw_bytes + device->traffic.residual_bytes, 0);
    check_scratch(device, true);
    device_close(&device);
    double *q = fixture_widen(fixture, result.q, count);
    result.want_sums = fixture_keep(fixture, reference_sink_sums(conv->in, &back->sink, q));
    result.want_gate_sums =
        fixture_keep(fixture, reference_sink_gate_sums(conv->in, &back->sink, q));
    return result;
}

static double value_of(const struct objective *o)
{
    struct dims out = conv_out(o->conv);
    size_t count = reference_count(out), C = (size_t)out.C, image = count / (size_t)out.N;
    double *z = o->forward(o->conv, o->y, o->w), sum = 0;
    for (size_t i = 0; i < count; i++) {
        size_t c = i % C, row = i / image * C + c;
        double weight = (double)((const float *)o->grad->q)[i] * (double)o->grad->of.gate[row] +
                        (double)o->grad->p[row];
        sum += weight * reference_act(o->grad->of.act, (double)o->grad->of.scale[c] * z[i] +
                                                           (double)o->grad->of.shift[c]);
    }
    free(z);
    return sum;
}

void fixture_check_slope(const struct objective *objective, const char *what, double *at,
                         double got, double largest)
{
    const double h = 1e-4, before = *at;
    *at = before + h;
    double above = value_of(objective);
    *at = before - h;
    double below = value_of(objective);
    *at = before;
    double want = (above - below) / (2 * h);
    if (!(fabs(got - want) <= check_tolerance(2e-4, 1e-2) * largest))
        fail_msg("%s: %.9g should be %.9g", fixture_title(objective->conv, what, 1), got, want);
}

double fixture_largest(const float *values, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)values[i]));
    return largest;
}
