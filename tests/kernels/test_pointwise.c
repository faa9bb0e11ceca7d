/* 1x1 convolutions against the plain double-precision formulas and finite differences. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/reference.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* N, H, W, C, K and how much longer the weight's rows are than C. From one pixel of one image to
 * many tiles in many groups; widths below, at and off every vector; wide ones cut into blocks. */
static const int shapes[][6] = {
    {1, 1, 1, 8, 8, 0},     {1, 3, 2, 8, 24, 8},     {2, 1, 1, 24, 8, 0},
    {3, 5, 7, 40, 24, 16},  {2, 7, 7, 3, 5, 1},      {5, 7, 7, 17, 33, 0},
    {9, 2, 2, 72, 160, 3},  {1, 13, 11, 100, 28, 0}, {4, 16, 16, 16, 96, 8},
    {1, 40, 40, 24, 40, 0}, {20, 9, 9, 24, 16, 0},   {64, 1, 1, 160, 320, 32},
    {33, 3, 3, 240, 40, 0}, {2, 33, 31, 8, 16, 4},   {6, 14, 14, 80, 200, 0}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static const enum act acts[] = {ACT_NONE, ACT_RELU, ACT_RELU6, ACT_HSWISH};

static struct conv shape_conv(int number)
{
    const int *shape = shapes[number];
    struct conv conv = {
        .in = {shape[0], shape[1], shape[2], shape[3]}, .K = shape[4], .R = 1, .S = 1};
    conv.ld = shape[3] + shape[5];
    return conv;
}

static size_t rows_of(const struct conv *conv)
{
    return (size_t)conv->in.N * (size_t)conv->in.H * (size_t)conv->in.W;
}

static double *reference_forward(const struct conv *conv, const double *y, const double *w)
{
    struct product product = {.rows = rows_of(conv),
                              .columns = (size_t)conv->K,
                              .inner = (size_t)conv->in.C,
                              .a = y,
                              .b = w,
                              .ldb = (size_t)conv->ld};
    return reference_product_nt(&product);
}

static void check_forward(struct fixture *fixture, const struct conv *conv, struct view x)
{
    struct dims out = conv_out(conv);
    size_t count = reference_count(out), C = (size_t)out.C;
    float *w = fixture_weights(fixture, conv->K, conv->in.C, conv->ld);
    double *wide = fixture_widen(fixture, w, fixture_weight_count(conv));
    double *y = fixture_keep(fixture, reference_view(conv->in, &x));
    check_round_operands(y, reference_count(conv->in));
    double *z = fixture_keep(fixture, reference_forward(conv, y, wide));
    struct forward_result first = fixture_forward(fixture, conv, x, w, 1);
    double *stored = fixture_widen(fixture, first.z, count);
    double *sums = fixture_keep(fixture, reference_sums(out, stored));
    check_near_map(fixture_title(conv, "z", 1), first.z, z, count, check_tolerance(2e-6, 1e-3));
    check_near_double(fixture_title(conv, "sums", 1), first.sums, sums, 2 * C, 1e-5);
    for (int threads = 2; threads <= CHECK_THREADS; threads++) {
        struct forward_result result = fixture_forward(fixture, conv, x, w, threads);
        check_same(fixture_title(conv, "z", threads), result.z, first.z, count * sizeof *first.z);
        check_same(fixture_title(conv, "sums", threads), result.sums, first.sums,
                   2 * C * sizeof *first.sums);
    }
}

static void forward_is_the_product_of_the_view(void **state)
{
    (void)state;
    for (int number = 0; number < SHAPES; number++)
        for (int kind = 0; kind < 3; kind++) { /* as it is, normalised, gated */
            struct fixture fixture = {.seed = (uint64_t)number << 16};
            struct conv conv = shape_conv(number);
            struct view x =
                fixture_view(&fixture, conv.in, acts[(number + kind) % 4], 0, kind == 2);
            if (kind == 0)
                x = (struct view){.z = x.z};
            check_forward(&fixture, &conv, x);
            fixture_fini(&fixture);
        }
}

static void forward_needs_no_sums(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 2};
    struct conv conv = shape_conv(3);
    struct view x = fixture_view(&fixture, conv.in, ACT_RELU, 0, false);
    float *w = fixture_weights(&fixture, conv.K, conv.in.C, conv.ld);
    struct forward_result with = fixture_forward(&fixture, &conv, x, w, 1);
    size_t count = reference_count(conv_out(&conv));
    float *z = fixture_keep(&fixture, check_filled(count, NAN));
    struct device *device = check_open(1);
    device->ops->pw_forward(device, &conv, x, w, z, NULL);
    check_same("z without sums", z, with.z, count * sizeof *z);
    device_close(&device);
    fixture_fini(&fixture);
}

/* z lies about 256 deviations from 0; its variance still has to have four digits. */
static void sums_keep_their_digits_at_large_means(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 1};
    struct conv conv = {.in = {8, 20, 20, 24}, .K = 24, .R = 1, .S = 1, .ld = 24};
    size_t count = reference_count(conv.in), C = 24;
    struct view x = {.z = fixture_random(&fixture, count, 256, 1)};
    float *w = fixture_keep(&fixture, check_filled(C * C, 0));
    for (size_t c = 0; c < C; c++)
        w[c * C + c] = 1;
    struct forward_result got = fixture_forward(&fixture, &conv, x, w, 2);
    double *z = fixture_widen(&fixture, got.z, count), pixels = 8 * 20 * 20;
    double *sums = fixture_keep(&fixture, reference_sums(conv.in, z));
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

static void expect_products(struct fixture *fixture, struct backward *back)
{
    const struct conv *conv = back->conv;
    size_t rows = rows_of(conv), C = (size_t)conv->in.C, K = (size_t)conv->K;
    double *dz = fixture_keep(fixture, reference_grad(conv_out(conv), &back->dz));
    check_round_operands(dz, rows * K);
    struct product dx = {.rows = rows, .columns = C, .inner = K, .a = dz, .ldb = (size_t)conv->ld};
    struct product dw = {.rows = K, .columns = C, .inner = rows, .a = dz};
    dx.b = fixture_widen(fixture, back->w, fixture_weight_count(conv));
    double *y = fixture_keep(fixture, reference_view(conv->in, &back->x));
    check_round_operands(y, rows * C);
    dw.b = y;
    back->q = fixture_keep(fixture, reference_product(&dx));
    for (size_t i = 0; back->sink.add && i < rows * C; i++)
        back->q[i] += (double)((const float *)back->sink.add)[i];
    double *dense = fixture_keep(fixture, reference_product_tn(&dw));
    back->dw = fixture_widen(fixture, back->dw_before, fixture_weight_count(conv));
    for (size_t i = 0; i < K * C; i++)
        back->dw[i / C * (size_t)conv->ld + i % C] += dense[i];
}

static void make_backward(struct fixture *fixture, struct backward *back, int parts)
{
    const struct conv *conv = back->conv;
    struct dims in = conv->in;
    back->w = fixture_weights(fixture, conv->K, in.C, conv->ld);
    back->dw_before = fixture_random(fixture, fixture_weight_count(conv), 0, 1);
    back->dz = fixture_grad(fixture, conv_out(conv), back->x.act, parts);
    back->sink.of = back->x;
    back->sink.mean = parts & GRAD_HAS_NORM ? fixture_random(fixture, (size_t)in.C, 0, 1) : NULL;
    back->sink.add =
        back->adding == ADD_NOTHING ? NULL : fixture_random(fixture, reference_count(in), 0, 1);
    expect_products(fixture, back);
}

static void check_backward(struct fixture *fixture, const struct backward *back)
{
    const struct conv *conv = back->conv;
    size_t count = reference_count(conv->in), C = (size_t)conv->in.C, N = (size_t)conv->in.N;
    struct backward_result first = fixture_backward(fixture, back, 1);
    check_near_map(fixture_title(conv, "q", 1), first.q, back->q, count,
                   check_tolerance(2e-6, 1e-3));
    check_near(fixture_title(conv, "dw", 1), first.dw, back->dw, fixture_weight_count(conv),
               check_tolerance(3e-6, 1e-3));
    if (back->summing == SUM_CHANNELS)
        check_near_double(fixture_title(conv, "sums", 1), first.sums, first.want_sums, 2 * C, 3e-6);
    if (back->summing == SUM_GATES)
        check_near_double(fixture_title(conv, "gate sums", 1), first.gate_sums,
                          first.want_gate_sums, 3 * C * N, 3e-6);
    for (int threads = 2; threads <= CHECK_THREADS; threads++) {
        struct backward_result other = fixture_backward(fixture, back, threads);
        check_same(fixture_title(conv, "q", threads), other.q, first.q, count * sizeof *first.q);
        check_same(fixture_title(conv, "dw", threads), other.dw, first.dw,
                   fixture_weight_count(conv) * sizeof *first.dw);
        check_same(fixture_title(conv, "sums", threads), other.sums, first.sums,
                   2 * C * sizeof *first.sums);
        check_same(fixture_title(conv, "gate sums", threads), other.gate_sums, first.gate_sums,
                   3 * C * N * sizeof *first.gate_sums);
    }
}

static void backward_is_the_plain_gradient(void **state)
{
    (void)state;
    for (int number = 0; number < SHAPES; number++) {
        struct fixture fixture = {.seed = (uint64_t)(number + 1000) << 16};
        struct conv conv = shape_conv(number);
        struct backward back = {
            .conv = &conv, .adding = number % ADDINGS, .summing = number / 2 % SUMMINGS};
        back.x = fixture_view(&fixture, conv.in, acts[number % 4], 0, back.summing == SUM_GATES);
        make_backward(&fixture, &back, (number * 7 + 5) % 16);
        check_backward(&fixture, &back);
        fixture_fini(&fixture);
    }
}

static void check_every_kind(const struct conv *conv)
{
    for (int parts = 0; parts < 16; parts++)
        for (int adding = 0; adding < ADDINGS; adding++)
            for (int summing = 0; summing < SUMMINGS; summing++) {
                struct fixture fixture = {.seed = (uint64_t)(parts + 3000) << 16};
                struct backward back = {.conv = conv, .adding = adding, .summing = summing};
                back.x = fixture_view(&fixture, conv->in, acts[parts % 4], 0, summing == SUM_GATES);
                make_backward(&fixture, &back, parts);
                check_backward(&fixture, &back);
                fixture_fini(&fixture);
            }
}

/* Few rows of small maps, and maps that are cut. */
static void backward_takes_every_kind_of_gradient_and_sink(void **state)
{
    (void)state;
    check_every_kind(&(struct conv){.in = {5, 7, 6, 24}, .K = 40, .R = 1, .S = 1, .ld = 28});
    check_every_kind(&(struct conv){.in = {2, 12, 11, 40}, .K = 24, .R = 1, .S = 1, .ld = 44});
}

/* Behind a residual sum the map read is the sum, while the sink is of the branch added last. */
static void the_sink_may_be_another_tensor_than_the_map(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 11};
    struct conv conv = {.in = {3, 6, 5, 40}, .K = 24, .R = 1, .S = 1, .ld = 40};
    struct backward back = {.conv = &conv, .adding = ADD_IN_PLACE, .summing = SUM_CHANNELS};
    back.x.z = fixture_random(&fixture, reference_count(conv.in), 0, 1);
    make_backward(&fixture, &back, GRAD_HAS_Q | GRAD_HAS_NORM);
    back.sink.of = fixture_view(&fixture, conv.in, ACT_NONE, 3, false);
    check_backward(&fixture, &back);
    fixture_fini(&fixture);
}

/* A GPU's block then has hardly any room for what its threads have summed. */
static void images_are_summed_beside_many_channels(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 12};
    struct conv conv = {.in = {2, 3, 2, 16}, .K = 1504, .R = 1, .S = 1, .ld = 16};
    struct backward back = {.conv = &conv, .adding = ADD_IN_PLACE, .summing = SUM_GATES};
    back.x = fixture_view(&fixture, conv.in, ACT_HSWISH, 0, true);
    make_backward(&fixture, &back, GRAD_HAS_Q | GRAD_HAS_P | GRAD_HAS_NORM | GRAD_HAS_GATE);
    check_backward(&fixture, &back);
    fixture_fini(&fixture);
}

static void backward_without_a_sink_gives_the_same_weights(void **state)
{
    (void)state;
    for (int number = 0; number < SHAPES; number++) {
        struct fixture fixture = {.seed = 4};
        struct conv conv = shape_conv(number);
        struct backward back = {.conv = &conv,
                                .x = fixture_view(&fixture, conv.in, ACT_RELU6, 0, false)};
        make_backward(&fixture, &back, GRAD_HAS_Q | GRAD_HAS_NORM);
        struct backward_result with = fixture_backward(&fixture, &back, 2);
        float *dw = fixture_keep(&fixture, check_copy(back.dw_before, fixture_weight_count(&conv)));
        struct device *device = check_open(2);
        device->ops->pw_backward(device, &conv, &back.dz, back.x, back.w, NULL, dw);
        assert_int_equal(device->traffic.gradient_bytes, 0);
        device_close(&device);
        check_same("dw without a sink", dw, with.dw, fixture_weight_count(&conv) * sizeof *dw);
        fixture_fini(&fixture);
    }
}

/* The input's raw values lie 256 deviations from 0: the moment about the mean keeps its digits. */
static void backward_sums_keep_their_digits_at_large_means(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 5};
    struct conv conv = {.in = {4, 15, 15, 24}, .K = 32, .R = 1, .S = 1, .ld = 24};
    struct backward back = {.conv = &conv,
                            .summing = SUM_CHANNELS,
                            .x = fixture_view(&fixture, conv.in, ACT_NONE, 256, false)};
    make_backward(&fixture, &back, GRAD_HAS_Q);
    back.sink.mean = fixture_keep(&fixture, check_filled(24, 256));
    struct backward_result got = fixture_backward(&fixture, &back, 1);
    check_near_double("sum g", got.sums, got.want_sums, 24, 1e-6);
    check_near_double("sum g (z - mean)", got.sums + 24, got.want_sums + 24, 24, 1e-6);
    fixture_fini(&fixture);
}

/* The same of a sink behind which a gate is: three sums of every image. */
static void gate_sums_keep_their_digits_at_large_means(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 6};
    struct conv conv = {.in = {4, 15, 15, 24}, .K = 32, .R = 1, .S = 1, .ld = 24};
    struct backward back = {.conv = &conv,
                            .summing = SUM_GATES,
                            .x = fixture_view(&fixture, conv.in, ACT_NONE, 256, true)};
    make_backward(&fixture, &back, GRAD_HAS_Q);
    back.sink.mean = fixture_keep(&fixture, check_filled(24, 256));
    struct backward_result got = fixture_backward(&fixture, &back, 1);
    for (int n = 0; n < conv.in.N; n++) {
        const double *found = got.gate_sums + n * 72, *want = got.want_gate_sums + n * 72;
        check_near_double("sum q y", found, want, 24, 1e-5); /* y itself lost digits */
        check_near_double("sum q act'", found + 24, want + 24, 24, 1e-6);
        check_near_double("sum q act' (z - mean)", found + 48, want + 48, 24, 1e-6);
    }
    fixture_fini(&fixture);
}

static void gradients_are_finite_differences(void **state)
{
    (void)state;
    for (int number = 0; number < 9; number++) {
        struct fixture fixture = {.seed = (uint64_t)(number + 5000) << 16};
        struct conv conv = shape_conv(number);
        size_t in_count = reference_count(conv.in), weights = (size_t)(conv.K * conv.in.C);
        conv.ld = conv.in.C;
        struct backward back = {.conv = &conv,
                                .x = fixture_view(&fixture, conv.in, ACT_HSWISH, 0, false)};
        make_backward(&fixture, &back, GRAD_HAS_Q | GRAD_HAS_P | GRAD_HAS_NORM | GRAD_HAS_GATE);
        back.dw_before = fixture_keep(&fixture, check_filled(weights, 0));
        back.dz.of.z = fixture_forward(&fixture, &conv, back.x, back.w, 1).z;
        back.dz.of.act = ACT_NONE; /* no kinks for a difference to fall over */
        back.dz.a = back.dz.of.scale;
        back.dz.b = back.dz.c = fixture_keep(&fixture, check_filled((size_t)conv.K, 0));
        struct backward_result got = fixture_backward(&fixture, &back, 1);
        struct objective o = {&conv, &back.dz,
                              fixture_keep(&fixture, reference_view(conv.in, &back.x)),
                              fixture_widen(&fixture, back.w, weights), reference_forward};
        double largest = fixture_largest(got.q, in_count);
        for (size_t i = 0; i < in_count; i += in_count / 7 + 1)
            fixture_check_slope(&o, "dL/dx", &o.y[i], (double)got.q[i], largest);
        largest = fixture_largest(got.dw, weights);
        for (size_t i = 0; i < weights; i += weights / 7 + 1)
            fixture_check_slope(&o, "dL/dw", &o.w[i], (double)got.dw[i], largest);
        fixture_fini(&fixture);
    }
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_product_of_the_view),
        cmocka_unit_test(forward_needs_no_sums),
        cmocka_unit_test(sums_keep_their_digits_at_large_means),
        cmocka_unit_test(backward_is_the_plain_gradient),
        cmocka_unit_test(backward_takes_every_kind_of_gradient_and_sink),
        cmocka_unit_test(the_sink_may_be_another_tensor_than_the_map),
        cmocka_unit_test(images_are_summed_beside_many_channels),
        cmocka_unit_test(backward_without_a_sink_gives_the_same_weights),
        cmocka_unit_test(backward_sums_keep_their_digits_at_large_means),
        cmocka_unit_test(gate_sums_keep_their_digits_at_large_means),
        cmocka_unit_test(gradients_are_finite_differences),
    };
    return cmocka_run_group_tests_name("pointwise", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main_maps(argc, argv, run_group);
}
