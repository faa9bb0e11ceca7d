/* Depthwise gradients against the plain double-precision formulas and finite differences. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdlib.h>

static void check_backward_run(struct fixture *fixture, const struct backward *back)
{
    const struct conv *conv = back->conv;
    size_t count = reference_count(conv->in), C = (size_t)conv->in.C, N = (size_t)conv->in.N;
    size_t weights = (size_t)(conv->R * conv->R * conv->ld);
    struct backward_result first = fixture_backward(fixture, back, 1);
    check_near_map(fixture_title(conv, "q", 1), first.q, back->q, count, 1e-6);
    check_near(fixture_title(conv, "dw", 1), first.dw, back->dw, weights, 2e-6);
    if (back->summing == SUM_CHANNELS)
        check_near_double(fixture_title(conv, "sums", 1), first.sums, first.want_sums, 2 * C, 2e-6);
    if (back->summing == SUM_GATES)
        check_near_double(fixture_title(conv, "gate sums", 1), first.gate_sums,
                          first.want_gate_sums, 3 * C * N, 2e-6);
    for (int threads = 2; threads <= CHECK_THREADS; threads++) {
        struct backward_result other = fixture_backward(fixture, back, threads);
        check_same(fixture_title(conv, "q", threads), other.q, first.q, count * sizeof *first.q);
        check_same(fixture_title(conv, "dw", threads), other.dw, first.dw,
                   weights * sizeof *first.dw);
        check_same(fixture_title(conv, "sums", threads), other.sums, first.sums,
                   2 * C * sizeof *first.sums);
        check_same(fixture_title(conv, "gate sums", threads), other.gate_sums, first.gate_sums,
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
                            .x = fixture_view(&fixture, conv->in, fixture_act(number / 2), 0,
                                              number / 3 % SUMMINGS == SUM_GATES)};
    fixture_backward_init(&fixture, &back, (number * 7 + 5) % 16);
    check_backward_run(&fixture, &back);
    fixture_fini(&fixture);
}

static void backward_is_the_plain_gradient(void **state)
{
    (void)state;
    fixture_each_shape(check_backward);
}

static void many_images_and_wide_maps_are_no_different(void **state)
{
    (void)state;
    fixture_each_long_shape(check_backward);
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
                back.x =
                    fixture_view(&fixture, conv.in, fixture_act(parts), 0, summing == SUM_GATES);
                fixture_backward_init(&fixture, &back, parts);
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
    fixture_backward_init(&fixture, &back, GRAD_HAS_Q | GRAD_HAS_NORM);
    struct backward_result with = fixture_backward(&fixture, &back, 2);
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
    fixture_backward_init(&fixture, &back, GRAD_HAS_Q);
    back.sink.mean = fixture_keep(&fixture, check_filled(24, 256));
    struct backward_result got = fixture_backward(&fixture, &back, 1);
    check_near_double("sum g", got.sums, got.want_sums, 24, 1e-6);
    check_near_double("sum g (z - mean)", got.sums + 24, got.want_sums + 24, 24, 1e-6);
    fixture_fini(&fixture);
}

static void check_differences(const struct conv *conv, int number)
{
    if (number % 2 == 0 || reference_count(conv->in) > 20000)
        return;
    struct fixture fixture = {.seed = (uint64_t)(number + 5000) << 16};
    size_t in_count = reference_count(conv->in), taps = (size_t)(conv->R * conv->R);
    size_t weights = taps * (size_t)conv->ld;
    struct backward back = {.conv = conv, .x = fixture_view(&fixture, conv->in, ACT_HSWISH, 0, 0)};
    fixture_backward_init(&fixture, &back, GRAD_HAS_Q | GRAD_HAS_P | GRAD_HAS_NORM | GRAD_HAS_GATE);
    back.dw_before = fixture_keep(&fixture, check_filled(weights, 0));
    struct forward_result forward = fixture_forward(&fixture, conv, back.x, back.w, 1);
    back.dz.of.z = forward.z;
    back.dz.of.act = ACT_NONE; /* no kinks for a difference to fall over */
    back.dz.a = back.dz.of.scale;
    back.dz.b = back.dz.c = fixture_keep(&fixture, check_filled((size_t)conv->K, 0));
    struct backward_result got = fixture_backward(&fixture, &back, 1);
    struct objective o = {conv, &back.dz, fixture_keep(&fixture, reference_view(conv->in, &back.x)),
                          fixture_widen(&fixture, back.w, weights), reference_dw_forward};
    double largest = fixture_largest(got.q, in_count);
    for (size_t i = 0; i < in_count; i += in_count / 7 + 1)
        fixture_check_slope(&o, "dL/dx", &o.y[i], (double)got.q[i], largest);
    largest = fixture_largest(got.dw, weights);
    for (size_t tap = 0; tap < taps; tap += 3) {
        size_t i = tap * (size_t)conv->ld + tap % (size_t)conv->K;
        fixture_check_slope(&o, "dL/dw", &o.w[i], (double)got.dw[i], largest);
    }
    fixture_fini(&fixture);
}

static void gradients_are_finite_differences(void **state)
{
    (void)state;
    fixture_each_shape(check_differences);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backward_is_the_plain_gradient),
        cmocka_unit_test(many_images_and_wide_maps_are_no_different),
        cmocka_unit_test(backward_takes_every_kind_of_gradient_and_sink),
        cmocka_unit_test(backward_without_a_sink_gives_the_same_weights),
        cmocka_unit_test(backward_sums_keep_their_digits_at_large_means),
        cmocka_unit_test(gradients_are_finite_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main_maps(argc, argv, run_group);
}
