#include "tests/kernels/check.h"
#include "tests/kernels/fixture_dw.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>

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
        back->q[i] += (double)back->sink.add[i];
    back->dw = fixture_keep(fixture, reference_dw_weights(conv, dz, y));
    for (size_t i = 0; i < weights; i++)
        back->dw[i] += (double)back->dw_before[i];
    back->sums = fixture_keep(fixture, reference_sink_sums(in, &back->sink, back->q));
    back->gate_sums = fixture_keep(fixture, reference_sink_gate_sums(in, &back->sink, back->q));
}

struct backward_result fixture_backward(struct fixture *fixture, const struct backward *back,
                                        int threads)
{
    const struct conv *conv = back->conv;
    size_t count = reference_count(conv->in), C = (size_t)conv->in.C, N = (size_t)conv->in.N;
    struct backward_result result = {
        .q = back->adding == ADD_IN_PLACE ? check_copy(back->sink.add, count)
                                          : check_filled(count, NAN),
        .dw = check_copy(back->dw_before, (size_t)(conv->R * conv->R * conv->ld)),
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
    device->ops->dw_backward(device, conv, &back->dz, back->x, back->w, &sink, result.dw);
    assert_int_equal(device->traffic.gradient_bytes, count * sizeof *result.q);
    assert_int_equal(device->traffic.raw_bytes + device->traffic.residual_bytes, 0);
    assert_in_range(device->traffic.scratch_peak_bytes, 1, 1 << 20);
    device_close(&device);
    return result;
}
