/* The 3x3 convolution on the image against the plain double-precision formulas. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct dims maps[] = {{3, 1, 1, 0},   {2, 2, 3, 0},  {2, 5, 4, 0}, {2, 9, 9, 0},
                                   {1, 17, 22, 0}, {40, 6, 7, 0}, {3, 4, 3, 0}};
static const int channels[] = {8, 5, 16, 24, 11, 64, 20, 37, 72};
static const enum act acts[] = {ACT_NONE, ACT_RELU, ACT_RELU6, ACT_HSWISH};

static void for_each_shape(void (*test)(const struct conv *conv, int number))
{
    int number = 0;
    for (size_t map = 0; map < sizeof maps / sizeof *maps; map++)
        for (int C = 1; C <= 3; C += 2)
            for (int turn = 0; turn < 3; turn++, number++) {
                struct conv conv = {.in = maps[map], .R = 3, .S = turn ? 2 : 1};
                conv.pad = turn == 1 || number % 2 ? PAD_SAME : PAD_SYMMETRIC;
                conv.in.C = C;
                conv.K = channels[number % 9];
                conv.ld = conv.K + number % 3 * 8;
                test(&conv, number);
            }
}

static const char *title(const struct conv *conv, const char *what, int threads)
{
    static char text[160];
    snprintf(text, sizeof text,
             "%s, %d images %dx%d, %d channels to %d of %d, stride %d%s, %d threads", what,
             conv->in.N, conv->in.H, conv->in.W, conv->in.C, conv->K, conv->ld, conv->S,
             conv->pad == PAD_SAME ? " same" : "", threads);
    return text;
}

/* The image as the loader gives it, or seen through a whole view. */
static struct view image_of(struct fixture *fixture, const struct conv *conv, int number)
{
    struct view view = fixture_view(fixture, conv->in, acts[number % 4], 0, number % 3 == 0);
    return number % 2 ? view : (struct view){.z = view.z};
}

static void check_forward(const struct conv *conv, int number)
{
    struct fixture fixture = {.seed = (uint64_t)number << 16};
    struct dims out = conv_out(conv);
    size_t count = reference_count(out), K = (size_t)out.C;
    struct view x = image_of(&fixture, conv, number);
    float *w = fixture_weights(&fixture, 9 * conv->in.C, conv->K, conv->ld);
    double *wide = fixture_widen(&fixture, w, (size_t)(9 * conv->in.C * conv->ld));
    double *y = fixture_keep(&fixture, reference_view(conv->in, &x));
    double *want = fixture_keep(&fixture, reference_stem_forward(conv, y, wide));
    float *first = NULL;
    double *first_sums = NULL;
    for (int threads = 1; threads <= CHECK_THREADS; threads++) {
        float *z = fixture_keep(&fixture, check_filled(count, NAN));
        double *sums = fixture_keep(&fixture, check_filled_double(2 * K, NAN));
        struct device *device = check_open(threads);
        device->ops->stem_forward(device, conv, x, w, z, &(struct norm_forward){.sums = sums});
        assert_int_equal(device->traffic.raw_bytes, count * sizeof *z);
        device_close(&device);
        first = first ? first : z;
        first_sums = first_sums ? first_sums : sums;
        check_near_map(title(conv, "z", threads), z, want, count, 1e-6);
        double *stored = fixture_widen(&fixture, z, count);
        double *want_sums = fixture_keep(&fixture, reference_sums(out, stored));
        check_near_double(title(conv, "sums", threads), sums, want_sums, 2 * K, 1e-5);
        check_same(title(conv, "z", threads), z, first, count * sizeof *z);
        check_same(title(conv, "sums", threads), sums, first_sums, 2 * K * sizeof *sums);
    }
    fixture_fini(&fixture);
}

static void forward_is_the_plain_convolution_of_the_view(void **state)
{
    (void)state;
    for_each_shape(check_forward);
}

static void check_backward(const struct conv *conv, int number)
{
    struct fixture fixture = {.seed = (uint64_t)(number + 100) << 16};
    struct dims out = conv_out(conv);
    size_t weights = (size_t)(9 * conv->in.C * conv->ld);
    struct view x = image_of(&fixture, conv, number);
    struct grad grad = fixture_grad(&fixture, out, acts[number % 4], (number * 5 + 1) % 16);
    float *before = fixture_random(&fixture, weights, 0, 1);
    double *y = fixture_keep(&fixture, reference_view(conv->in, &x));
    double *dz = fixture_keep(&fixture, reference_grad(out, &grad));
    double *want = fixture_keep(&fixture, reference_stem_weights(conv, dz, y));
    for (size_t i = 0; i < weights; i++)
        want[i] += (double)before[i];
    float *first = NULL;
    for (int threads = 1; threads <= CHECK_THREADS; threads++) {
        float *dw = fixture_keep(&fixture, check_copy(before, weights));
        struct device *device = check_open(threads);
        device->ops->stem_backward(device, conv, &grad, x, dw);
        assert_int_equal(device->traffic.gradient_bytes + device->traffic.raw_bytes, 0);
        device_close(&device);
        first = first ? first : dw;
        check_near(title(conv, "dw", threads), dw, want, weights, 2e-6);
        check_same(title(conv, "dw", threads), dw, first, weights * sizeof *dw);
    }
    fixture_fini(&fixture);
}

static void backward_is_the_plain_gradient_added_to_what_was_there(void **state)
{
    (void)state;
    for_each_shape(check_backward);
}

/* L = sum q z is linear in the weights: its difference quotient in double is exact. */
static double objective(const struct conv *conv, const double *y, const double *w, const float *q)
{
    double *z = reference_stem_forward(conv, y, w), sum = 0;
    for (size_t i = 0; i < reference_count(conv_out(conv)); i++)
        sum += (double)q[i] * z[i];
    free(z);
    return sum;
}

static void check_differences(const struct conv *conv, int number)
{
    struct fixture fixture = {.seed = (uint64_t)(number + 200) << 16};
    struct dims out = conv_out(conv);
    size_t taps = (size_t)(9 * conv->in.C), weights = taps * (size_t)conv->ld;
    struct view x = image_of(&fixture, conv, number);
    struct grad grad = {.q = fixture_random(&fixture, reference_count(out), 0, 1)};
    grad.of.z = fixture_random(&fixture, reference_count(out), 0, 1);
    double *w =
        fixture_widen(&fixture, fixture_weights(&fixture, (int)taps, conv->K, conv->ld), weights);
    double *y = fixture_keep(&fixture, reference_view(conv->in, &x));
    float *dw = fixture_keep(&fixture, check_filled(weights, 0));
    struct device *device = check_open(1);
    device->ops->stem_backward(device, conv, &grad, x, dw);
    device_close(&device);
    for (size_t tap = 0; tap < taps; tap++) {
        size_t i = tap * (size_t)conv->ld + tap % (size_t)conv->K;
        double before = w[i];
        w[i] = before + 0.5;
        double want = objective(conv, y, w, grad.q);
        w[i] = before - 0.5;
        want -= objective(conv, y, w, grad.q);
        w[i] = before;
        if (!(fabs((double)dw[i] - want) <= 1e-4 * fmax(1, fabs(want))))
            fail_msg("%s, tap %zu: %.9g should be %.9g", title(conv, "dL/dw", 1), tap,
                     (double)dw[i], want);
    }
    fixture_fini(&fixture);
}

/* More tiles than a GPU's launch has blocks. */
static void more_images_than_blocks_are_walked_through(void **state)
{
    (void)state;
    struct conv conv = {.in = {600, 2, 1, 3}, .K = 12, .R = 3, .S = 1, .ld = 12};
    check_forward(&conv, 1);
    check_backward(&conv, 2);
}

static void weight_gradients_are_finite_differences(void **state)
{
    (void)state;
    for_each_shape(check_differences);
}

static void sums_keep_their_digits_at_large_means(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 7};
    struct conv conv = {.in = {4, 31, 31, 1}, .K = 16, .R = 3, .S = 1, .ld = 16};
    size_t count = reference_count(conv_out(&conv));
    struct view x = {.z = fixture_random(&fixture, reference_count(conv.in), 256, 1)};
    float *w = fixture_keep(&fixture, check_filled(9 * 16, 0));
    float *z = fixture_keep(&fixture, check_filled(count, NAN));
    for (int k = 0; k < 16; k++)
        w[4 * 16 + k] = 1 + (float)k; /* the centre tap: no borders, the mean stays */
    double sums[32], pixels = 4 * 31 * 31;
    struct device *device = check_open(2);
    device->ops->stem_forward(device, &conv, x, w, z, &(struct norm_forward){.sums = sums});
    device_close(&device);
    double *want =
        fixture_keep(&fixture, reference_sums(conv_out(&conv), fixture_widen(&fixture, z, count)));
    for (int k = 0; k < 16; k++) {
        double mean = sums[k] / pixels, variance = sums[16 + k] / pixels - mean * mean;
        double true_mean = want[k] / pixels,
               true_variance = want[16 + k] / pixels - true_mean * true_mean;
        if (fabs(mean / true_mean - 1) > 1e-8 || fabs(variance / true_variance - 1) > 1e-5)
            fail_msg("channel %d: mean %.9g should be %.9g, variance %.9g should be %.9g", k, mean,
                     true_mean, variance, true_variance);
    }
    fixture_fini(&fixture);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_plain_convolution_of_the_view),
        cmocka_unit_test(backward_is_the_plain_gradient_added_to_what_was_there),
        cmocka_unit_test(more_images_than_blocks_are_walked_through),
        cmocka_unit_test(weight_gradients_are_finite_differences),
        cmocka_unit_test(sums_keep_their_digits_at_large_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main_maps(argc, argv, run_group);
}
