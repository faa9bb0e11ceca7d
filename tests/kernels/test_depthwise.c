/* Depthwise convolutions against the plain double-precision formulas. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdlib.h>

static void check_forward(const struct conv *conv, int number)
{
    struct fixture fixture = {.seed = (uint64_t)number << 16};
    struct dims out = conv_out(conv);
    size_t count = reference_count(out), C = (size_t)out.C;
    struct view x = fixture_view(&fixture, conv->in, fixture_act(number), 0, number % 5 == 0);
    float *w = fixture_weights(&fixture, conv->R * conv->R, conv->K, conv->ld);
    double *wide = fixture_widen(&fixture, w, (size_t)(conv->R * conv->R * conv->ld));
    double *y = fixture_keep(&fixture, reference_view(conv->in, &x));
    double *z = fixture_keep(&fixture, reference_dw_forward(conv, y, wide));
    struct forward_result first = fixture_forward(&fixture, conv, x, w, 1);
    double *stored = fixture_widen(&fixture, first.z, count);
    double *sums = fixture_keep(&fixture, reference_sums(out, stored));
    check_near_map(fixture_title(conv, "z", 1), first.z, z, count, 1e-6);
    check_near_double(fixture_title(conv, "sums", 1), first.sums, sums, 2 * C, 1e-5);
    for (int threads = 2; threads <= CHECK_THREADS; threads++) {
        struct forward_result result = fixture_forward(&fixture, conv, x, w, threads);
        check_same(fixture_title(conv, "z", threads), result.z, first.z, count * sizeof *first.z);
        check_same(fixture_title(conv, "sums", threads), result.sums, first.sums,
                   2 * C * sizeof *first.sums);
    }
    fixture_fini(&fixture);
}

static void forward_is_the_plain_convolution_of_the_view(void **state)
{
    (void)state;
    fixture_each_shape(check_forward);
}

static void many_images_and_wide_maps_are_no_different(void **state)
{
    (void)state;
    fixture_each_long_shape(check_forward);
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
    struct forward_result got = fixture_forward(&fixture, &conv, x, w, 2);
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
    struct forward_result with = fixture_forward(&fixture, &conv, x, w, 1);
    float *z = fixture_keep(&fixture, check_filled(reference_count(conv.in), NAN));
    struct device *device = check_open(1);
    device->ops->dw_forward(device, &conv, x, w, z, NULL);
    assert_int_equal(device->traffic.raw_bytes, reference_count(conv.in) * sizeof *z);
    assert_int_equal(device->traffic.gradient_bytes + device->traffic.residual_bytes, 0);
    check_scratch(device, true);
    check_same("z without sums", z, with.z, reference_count(conv.in) * sizeof *z);
    device_close(&device);
    fixture_fini(&fixture);
}

/* (images,...) copies of one random image, each twice the one before. */
static float *many_images(struct fixture *fixture, size_t images, size_t image)
{
    float *one = fixture_random(fixture, image, 0, 1);
    float *all = fixture_keep(fixture, aligned_alloc(64, images * image * sizeof *all));
    for (size_t i = 0; i < images * image; i++)
        all[i] = ldexpf(one[i % image], (int)(i / image));
    return all;
}

static void big_maps_are_the_same_as_their_images_one_by_one(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 8};
    struct conv conv = {.in = {5, 96, 96, 96}, .K = 96, .R = 3, .S = 1, .ld = 96};
    if (!check_is_host()) /* what is big streams past a cache: other devices have no such case */
        conv.in.H = conv.in.W = 24;
    struct conv one = conv;
    one.in.N = 1;
    size_t image = reference_count(one.in), count = reference_count(conv.in);
    assert_true(!check_is_host() || count * sizeof(float) > (size_t)16 << 20);
    float *x = many_images(&fixture, 5, image), *q = many_images(&fixture, 5, image);
    float *z[2], *dx[2], *w = fixture_weights(&fixture, 9, 96, 96);
    float *dw = fixture_keep(&fixture, check_filled(9 * 96, 0));
    for (int i = 0; i < 2; i++) {
        z[i] = fixture_keep(&fixture, aligned_alloc(64, count * sizeof *z[i]));
        dx[i] = fixture_keep(&fixture, aligned_alloc(64, count * sizeof *dx[i]));
    }
    struct device *device = check_open(2);
    for (size_t n = 0; n < 6; n++) { /* the whole, then each image */
        bool is_whole = n == 5;
        size_t at = is_whole ? 0 : n * image;
        const struct conv *shape = is_whole ? &conv : &one;
        struct view view = {.z = x + at, .act = ACT_RELU};
        struct grad grad = {.q = q + at, .of = {.z = x + at, .act = ACT_RELU6}};
        struct grad_sink sink = {.q = dx[is_whole] + at, .of = view};
        device->ops->dw_forward(device, shape, view, w, z[is_whole] + at, NULL);
        device->ops->dw_backward(device, shape, &grad, view, w, &sink, dw);
    }
    device_close(&device);
    check_same("z", z[1], z[0], count * sizeof *z[0]);
    check_same("q", dx[1], dx[0], count * sizeof *dx[0]);
    fixture_fini(&fixture);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_plain_convolution_of_the_view),
        cmocka_unit_test(many_images_and_wide_maps_are_no_different),
        cmocka_unit_test(sums_keep_their_digits_at_large_means),
        cmocka_unit_test(forward_needs_no_sums),
        cmocka_unit_test(big_maps_are_the_same_as_their_images_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main_maps(argc, argv, run_group);
}
