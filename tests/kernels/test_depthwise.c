/* Depthwise convolutions against the plain double-precision formulas and finite differences. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture_dw.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct dims maps[] = {{3, 1, 1, 0},   {3, 2, 2, 0},   {2, 3, 2, 0}, {2, 2, 3, 0},
                                   {2, 4, 4, 0},   {2, 5, 7, 0},   {2, 9, 9, 0}, {1, 6, 1, 0},
                                   {2, 14, 14, 0}, {1, 13, 22, 0}, {3, 8, 41, 0}};
static const int channels[] = {8, 24, 40, 100};
static const enum act acts[] = {ACT_NONE, ACT_RELU, ACT_RELU6, ACT_HSWISH};

/* Calls test for every kernel, stride and map, with channels, prefix and activation in turn. */
static void for_each_shape(void (*test)(const struct conv *conv, int number))
{
    int number = 0;
    for (size_t map = 0; map < sizeof maps / sizeof *maps; map++)
        for (int R = 3; R <= 7; R += 2)
            for (int S = 1; S <= 2; S++, number++) {
                struct conv conv = {.in = maps[map], .R = R, .S = S};
                conv.in.C = conv.K = channels[number % 4];
                conv.ld = conv.K + number % 3 * 4;
                test(&conv, number);
            }
}

static const char *title(const struct conv *conv, const char *what, int threads)
{
    static char text[160];
    snprintf(text, sizeof text,
             "%s, %d images %dx%d, %d of %d channels, kernel %d stride %d, %d threads", what,
             conv->in.N, conv->in.H, conv->in.W, conv->in.C, conv->ld, conv->R, conv->S, threads);
    return text;
}

/* --- forward --- */

struct forward_result {
    float *z;
    double *sums;
};

static struct forward_result run_forward(struct fixture *fixture, const struct conv *conv,
                                         struct view x, const float *w, int threads)
{
    struct dims out = conv_out(conv);
    struct forward_result result = {
        fixture_keep(fixture, check_filled(reference_count(out), NAN)),
        fixture_keep(fixture, check_filled_double(2 * (size_t)out.C, NAN))};
    struct device *device = check_open(threads);
    device->ops->dw_forward(device, conv, x, w, result.z, result.sums);
    device_close(&device);
    return result;
}

static void check_forward(const struct conv *conv, int number)
{
    struct fixture fixture = {.seed = (uint64_t)number << 16};
    struct dims out = conv_out(conv);
    size_t count = reference_count(out), C = (size_t)out.C;
    struct view x = fixture_view(&fixture, conv->in, acts[number % 4], 0, number % 5 == 0);
    float *w = fixture_weights(&fixture, conv->R * conv->R, conv->K, conv->ld);
    double *wide = fixture_widen(&fixture, w, (size_t)(conv->R * conv->R * conv->ld));
    double *y = fixture_keep(&fixture, reference_view(conv->in, &x));
    double *z = fixture_keep(&fixture, reference_dw_forward(conv, y, wide));
    double *sums = fixture_keep(&fixture, reference_sums(out, z));
    struct forward_result first = run_forward(&fixture, conv, x, w, 1);
    check_near(title(conv, "z", 1), first.z, z, count, 1e-6);
    check_near_double(title(conv, "sums", 1), first.sums, sums, 2 * C, 1e-5);
    for (int threads = 2; threads <= CHECK_THREADS; threads++) {
        struct forward_result result = run_forward(&fixture, conv, x, w, threads);
        check_same(title(conv, "z", threads), result.z, first.z, count * sizeof *first.z);
        check_same(title(conv, "sums", threads), result.sums, first.sums,
                   2 * C * sizeof *first.sums);
    }
    fixture_fini(&fixture);
}

static void forward_is_the_plain_convolution_of_the_view(void **state)
{
    (void)state;
    for_each_shape(check_forward);
}

/* Inside the map z is about 256 deviations from 0; the variance still has to have five digits. */
static void sums_keep_their_digits_at_large_means(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 1};
    struct conv conv = {.in = {4, 30, 30, 24}, .K = 24, .R = 3, .S = 1, .ld = 24};
    size_t count = reference_count(conv.in), C = 24;
    struct view x = {.z = fixture_random(&fixture, count, 256, 1)};
    float *w = fixture_keep(&fixture, check_filled(9 * C, 0));
    for (size_t c = 0; c < C; c++)
        w[4 * C + c] = 1; /* the identity: no borders, the mean stays */
    struct forward_result got = run_forward(&fixture, &conv, x, w, 2);
    double *z = fixture_widen(&fixture, got.z, count);
    double *sums = fixture_keep(&fixture, reference_sums(conv.in, z));
    double pixels = 4 * 30 * 30;
    for (size_t c = 0; c < C; c++) {
        double mean = got.sums[c] / pixels, true_mean = sums[c] / pixels;
        double variance = got.sums[C + c] / pixels - mean * mean;
        double true_variance = sums[C + c] / pixels - true_mean * true_mean;
        if (fabs(mean - true_mean) > 1e-6 || fabs(variance / true_variance - 1) > 1e-5)
            fail_msg("channel %zu: mean %.9g should be %.9g, variance %.9g should be %.9g", c, mean,
                     true_mean, variance, true_variance);
    }
    fixture_fini(&fixture);
}

static void forward_needs_no_sums(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 2};
    struct conv conv = {.in = {2, 7, 7, 40}, .K = 40, .R = 5, .S = 1, .ld = 48};
    struct view x = fixture_view(&fixture, conv.in, ACT_RELU, 0, false);
    float *w = fixture_weights(&fixture, 25, 40, 48);
    struct forward_result with = run_forward(&fixture, &conv, x, w, 1);
    float *z = fixture_keep(&fixture, check_filled(reference_count(conv.in), NAN));
    struct device *device = check_open(1);
    device->ops->dw_forward(device, &conv, x, w, z, NULL);
    assert_int_equal(device->traffic.raw_bytes, reference_count(conv.in) * sizeof *z);
    assert_int_equal(device->traffic.gradient_bytes + device->traffic.residual_bytes, 0);
    assert_in_range(device->traffic.scratch_peak_bytes, 1, 1 << 20);
    check_same("z without sums", z, with.z, reference_count(conv.in) * sizeof *z);
    device_close(&device);
    fixture_fini(&fixture);
}

/* --- backward --- */

enum adding { ADD_NOTHING, ADD_MAP, ADD_IN_PLACE, ADDINGS };
enum summing { SUM_NOTHING, SUM_CHANNELS, SUM_GATES, SUMMINGS };

struct backward { /* one call and what it should give */
    const struct conv *conv;
    struct grad dz;
    struct view x;
    const float *w, *dw_before;
    struct grad_sink sink; /* q, sums and gate_sums are filled per run */
    enum adding adding;
    enum summing summing;
    double *q, *dw, *sums, *gate_sums;
};

struct backward_result {
    float *q, *dw;
    double *sums, *gate_sums;
};

static void make_backward(struct fixture *fixture, struct backward *back, int parts)
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

static struct backward_result run_backward(struct fixture *fixture, const struct backward *back,
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

static void check_backward_run(struct fixture *fixture, const struct backward *back)
{
    const struct conv *conv = back->conv;
    size_t count = reference_count(conv->in), C = (size_t)conv->in.C, N = (size_t)conv->in.N;
    size_t weights = (size_t)(conv->R * conv->R * conv->ld);
    struct backward_result first = run_backward(fixture, back, 1);
    check_near(title(conv, "q", 1), first.q, back->q, count, 1e-6);
    check_near(title(conv, "dw", 1), first.dw, back->dw, weights, 2e-6);
    if (back->summing == SUM_CHANNELS)
        check_near_double(title(conv, "sums", 1), first.sums, back->sums, 2 * C, 2e-6);
    if (back->summing == SUM_GATES)
        check_near_double(title(conv, "gate sums", 1), first.gate_sums, back->gate_sums, 3 * C * N,
                          2e-6);
    for (int threads = 2; threads <= CHECK_THREADS; threads++) {
        struct backward_result other = run_backward(fixture, back, threads);
        check_same(title(conv, "q", threads), other.q, first.q, count * sizeof *first.q);
        check_same(title(conv, "dw", threads), other.dw, first.dw, weights * sizeof *first.dw);
        check_same(title(conv, "sums", threads), other.sums, first.sums,
                   2 * C * sizeof *first.sums);
        check_same(title(conv, "gate sums", threads), other.gate_sums, first.gate_sums,
                   3 * C * N * sizeof *first.gate_sums);
    }
}

static void check_backward(const struct conv *conv, int number)
{
    struct fixture fixture = {.seed = (uint64_t)(number + 1000) << 16};
    /* the gradient's parts, the sink's addition and its sums: periods 16, 3, 3 and 4 */
    struct backward back = {.conv = conv,
                            .adding = number % ADDINGS,
                            .summing = number / 3 % SUMMINGS,
                            .x = fixture_view(&fixture, conv->in, acts[number / 2 % 4], 0,
                                              number / 3 % SUMMINGS == SUM_GATES)};
    make_backward(&fixture, &back, (number * 7 + 5) % 16);
    check_backward_run(&fixture, &back);
    fixture_fini(&fixture);
}

static void backward_is_the_plain_gradient(void **state)
{
    (void)state;
    for_each_shape(check_backward);
}

static void backward_takes_every_kind_of_gradient_and_sink(void **state)
{
    (void)state;
    struct conv conv = {.in = {2, 7, 6, 24}, .K = 24, .R = 5, .S = 2, .ld = 28};
    for (int parts = 0; parts < 16; parts++)
        for (int adding = 0; adding < ADDINGS; adding++)
            for (int summing = 0; summing < SUMMINGS; summing++) {
                struct fixture fixture = {.seed = (uint64_t)(parts + 3000) << 16};
                struct backward back = {.conv = &conv, .adding = adding, .summing = summing};
                back.x = fixture_view(&fixture, conv.in, acts[parts % 4], 0, summing == SUM_GATES);
                make_backward(&fixture, &back, parts);
                check_backward_run(&fixture, &back);
                fixture_fini(&fixture);
            }
}

static void backward_without_a_sink_gives_the_same_weights(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 4};
    struct conv conv = {.in = {3, 11, 9, 40}, .K = 40, .R = 7, .S = 1, .ld = 48};
    size_t bytes = 49 * 48 * sizeof(float);
    struct backward back = {.conv = &conv,
                            .x = fixture_view(&fixture, conv.in, ACT_RELU6, 0, false)};
    make_backward(&fixture, &back, GRAD_HAS_Q | GRAD_HAS_NORM);
    struct backward_result with = run_backward(&fixture, &back, 2);
    float *dw = fixture_keep(&fixture, check_copy(back.dw_before, 49 * 48));
    struct device *device = check_open(2);
    device->ops->dw_backward(device, &conv, &back.dz, back.x, back.w, NULL, dw);
    assert_int_equal(device->traffic.gradient_bytes, 0);
    device_close(&device);
    check_same("dw without a sink", dw, with.dw, bytes);
    fixture_fini(&fixture);
}

/* The input's raw values lie 256 deviations from 0: the moment about the mean keeps its digits. */
static void backward_sums_keep_their_digits_at_large_means(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 5};
    struct conv conv = {.in = {4, 15, 15, 24}, .K = 24, .R = 3, .S = 1, .ld = 24};
    struct backward back = {.conv = &conv,
                            .summing = SUM_CHANNELS,
                            .x = fixture_view(&fixture, conv.in, ACT_NONE, 256, false)};
    make_backward(&fixture, &back, GRAD_HAS_Q);
    back.sink.mean = fixture_keep(&fixture, check_filled(24, 256));
    back.sums = fixture_keep(&fixture, reference_sink_sums(conv.in, &back.sink, back.q));
    struct backward_result got = run_backward(&fixture, &back, 1);
    check_near_double("sum g", got.sums, back.sums, 24, 1e-6);
    check_near_double("sum g (z - mean)", got.sums + 24, back.sums + 24, 24, 1e-6);
    fixture_fini(&fixture);
}

/* --- finite differences: L = sum (q s + p) act(scale z + shift) over z = w * view(x), in double.
 * With a = scale and b = c = 0 the gradient of z is that of L. --- */

struct objective {
    const struct conv *conv;
    const struct grad *grad;
    double *y, *w;
};

static double objective(const struct objective *o)
{
    struct dims out = conv_out(o->conv);
    size_t count = reference_count(out), C = (size_t)out.C, image = count / (size_t)out.N;
    double *z = reference_dw_forward(o->conv, o->y, o->w), sum = 0;
    for (size_t i = 0; i < count; i++) {
        size_t c = i % C, row = i / image * C + c;
        double weight =
            (double)o->grad->q[i] * (double)o->grad->of.gate[row] + (double)o->grad->p[row];
        sum += weight * reference_act(o->grad->of.act, (double)o->grad->of.scale[c] * z[i] +
                                                           (double)o->grad->of.shift[c]);
    }
    free(z);
    return sum;
}

static void check_slope(const struct conv *conv, const char *what, const struct objective *o,
                        double *at, double got, double largest)
{
    const double h = 1e-4, before = *at;
    *at = before + h;
    double above = objective(o);
    *at = before - h;
    double below = objective(o);
    *at = before;
    double want = (above - below) / (2 * h);
    if (!(fabs(got - want) <= 2e-4 * largest))
        fail_msg("%s: %.9g should be %.9g", title(conv, what, 1), got, want);
}

static double largest_of(const float *values, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)values[i]));
    return largest;
}

static void check_differences(const struct conv *conv, int number)
{
    if (number % 2 == 0 || reference_count(conv->in) > 20000)
        return;
    struct fixture fixture = {.seed = (uint64_t)(number + 5000) << 16};
    size_t in_count = reference_count(conv->in), taps = (size_t)(conv->R * conv->R);
    size_t weights = taps * (size_t)conv->ld;
    struct backward back = {.conv = conv, .x = fixture_view(&fixture, conv->in, ACT_HSWISH, 0, 0)};
    make_backward(&fixture, &back, GRAD_HAS_Q | GRAD_HAS_P | GRAD_HAS_NORM | GRAD_HAS_GATE);
    back.dw_before = fixture_keep(&fixture, check_filled(weights, 0));
    struct forward_result forward = run_forward(&fixture, conv, back.x, back.w, 1);
    back.dz.of.z = forward.z;
    back.dz.of.act = ACT_NONE; /* no kinks for a difference to fall over */
    back.dz.a = back.dz.of.scale;
    back.dz.b = back.dz.c = fixture_keep(&fixture, check_filled((size_t)conv->K, 0));
    struct backward_result got = run_backward(&fixture, &back, 1);
    struct objective o = {conv, &back.dz, fixture_keep(&fixture, reference_view(conv->in, &back.x)),
                          fixture_widen(&fixture, back.w, weights)};
    double largest = largest_of(got.q, in_count);
    for (size_t i = 0; i < in_count; i += in_count / 7 + 1)
        check_slope(conv, "dL/dx", &o, &o.y[i], (double)got.q[i], largest);
    largest = largest_of(got.dw, weights);
    for (size_t tap = 0; tap < taps; tap += 3) {
        size_t i = tap * (size_t)conv->ld + tap % (size_t)conv->K;
        check_slope(conv, "dL/dw", &o, &o.w[i], (double)got.dw[i], largest);
    }
    fixture_fini(&fixture);
}

static void gradients_are_finite_differences(void **state)
{
    (void)state;
    for_each_shape(check_differences);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_plain_convolution_of_the_view),
        cmocka_unit_test(sums_keep_their_digits_at_large_means),
        cmocka_unit_test(forward_needs_no_sums),
        cmocka_unit_test(backward_is_the_plain_gradient),
        cmocka_unit_test(backward_takes_every_kind_of_gradient_and_sink),
        cmocka_unit_test(backward_without_a_sink_gives_the_same_weights),
        cmocka_unit_test(backward_sums_keep_their_digits_at_large_means),
        cmocka_unit_test(gradients_are_finite_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv, run_group);
}
