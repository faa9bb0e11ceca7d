/* Batch norm's small operations, against the formulas and against finite differences of the whole
 * normalisation. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdlib.h>

enum { C = 11, COUNT = 40 };

struct layer {
    float z[COUNT * C], weight[COUNT * C], gamma[C], beta[C];
    struct norm norm;
    float storage[4][C];
};

static void copy(float *to, const float *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

static void make_layer(struct fixture *fixture, struct layer *layer, double mean)
{
    copy(layer->z, fixture_random(fixture, COUNT * C, mean, 1), COUNT * C);
    copy(layer->weight, fixture_random(fixture, COUNT * C, 0, 1), COUNT * C);
    copy(layer->gamma, fixture_random(fixture, C, 1, 0.3), C);
    copy(layer->beta, fixture_random(fixture, C, 0, 0.3), C);
    layer->norm =
        (struct norm){layer->storage[0], layer->storage[1], layer->storage[2], layer->storage[3]};
}

static void column_statistics(const double *z, int c, double *mean, double *variance)
{
    *mean = *variance = 0;
    for (int i = 0; i < COUNT; i++)
        *mean += z[i * C + c] / COUNT;
    for (int i = 0; i < COUNT; i++)
        *variance += (z[i * C + c] - *mean) * (z[i * C + c] - *mean) / COUNT;
}

/* A 1x1 convolution that copies its map: what is behind it normalises the map itself. */
static void run_copy(struct device *device, const float *z, int count, int channels,
                     const struct norm_forward *norm)
{
    struct conv conv = {
        .in = {count, 1, 1, channels}, .K = channels, .R = 1, .S = 1, .ld = channels};
    float w[C * C] = {0}, out[COUNT * C];
    for (int c = 0; c < channels; c++)
        w[c * channels + c] = 1;
    device->ops->pw_forward(device, &conv, (struct view){.z = z}, w, out, norm);
    check_same("copy", out, z, (size_t)(count * channels) * sizeof *z);
}

static void run_forward(struct device *device, struct layer *layer, float eps)
{
    double sums[2 * C];
    struct norm_forward norm = {
        .sums = sums, .gamma = layer->gamma, .beta = layer->beta, .eps = eps, .norm = layer->norm};
    run_copy(device, layer->z, COUNT, C, &norm);
}

static void check_forward(double mean, double tolerance)
{
    struct fixture fixture = {.seed = 3};
    struct layer layer;
    make_layer(&fixture, &layer, mean);
    struct device *device = check_open(1);
    run_forward(device, &layer, 1e-3f);
    device_close(&device);
    double *z = fixture_widen(&fixture, layer.z, COUNT * C);
    for (int c = 0; c < C; c++) {
        double m, v;
        column_statistics(z, c, &m, &v);
        for (int i = 0; i < COUNT; i++) {
            double want = ((double)layer.gamma[c]) * (z[i * C + c] - m) / sqrt(v + (double)1e-3f) +
                          (double)layer.beta[c];
            double got = (double)layer.norm.scale[c] * z[i * C + c] + (double)layer.norm.shift[c];
            if (!(fabs(got - want) <= tolerance))
                fail_msg("mean %g: element %d is %.9g, should be %.9g", mean, i * C + c, got, want);
        }
        assert_true(fabs((double)layer.norm.mean[c] - m) <= 1e-6 * (1 + fabs(m)));
        assert_true(fabs((double)layer.norm.inverse_deviation[c] * sqrt(v + (double)1e-3f) - 1) <
                    1e-6);
    }
    fixture_fini(&fixture);
}

static void scale_and_shift_normalise_with_the_biased_variance(void **state)
{
    (void)state;
    check_forward(0, 1e-6);
}

static void scale_and_shift_keep_their_digits_at_large_means(void **state)
{
    (void)state;
    check_forward(256, 3e-5);
}

static void given_statistics_normalise_alike(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 4};
    struct layer layer;
    float mean[C], variance[C];
    make_layer(&fixture, &layer, 1);
    for (int c = 0; c < C; c++) {
        mean[c] = 0.25f * (float)c;
        variance[c] = 0.5f + (float)c;
    }
    struct device *device = check_open(1);
    struct norm_forward norm = {.kind = NORM_FIXED,
                                .gamma = layer.gamma,
                                .beta = layer.beta,
                                .eps = 1e-5f,
                                .mean = mean,
                                .variance = variance,
                                .norm = layer.norm};
    run_copy(device, layer.z, COUNT, C, &norm);
    device_close(&device);
    for (int c = 0; c < C; c++) {
        double r = 1 / sqrt((double)variance[c] + (double)1e-5f),
               scale = (double)layer.gamma[c] * r;
        double shift = (double)layer.beta[c] - (double)mean[c] * scale;
        assert_true(fabs((double)layer.norm.scale[c] - scale) < 1e-6);
        assert_true(fabs((double)layer.norm.shift[c] - shift) < 1e-6);
    }
    fixture_fini(&fixture);
}

static void a_constant_channel_has_no_negative_variance(void **state)
{
    (void)state;
    float gamma = 2, beta = 3, out[4];
    struct norm norm = {&out[0], &out[1], &out[2], &out[3]};
    double sums[2];
    double tenth = (double)0.1f;
    float z[7];
    check_round_operands(&tenth, 1);
    for (int i = 0; i < 7; i++)
        z[i] = (float)tenth;
    struct norm_forward forward = {
        .sums = sums, .gamma = &gamma, .beta = &beta, .eps = 1e-5f, .norm = norm};
    struct device *device = check_open(1);
    run_copy(device, z, 7, 1, &forward);
    device_close(&device);
    assert_true(fabs((double)out[3] - 1 / sqrt(1e-5)) < 0.01);
}

static void sums_are_added_to_calibration_s(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 8};
    struct layer layer;
    double sums[2 * C], total[C], square[C];
    make_layer(&fixture, &layer, 1);
    for (int c = 0; c < C; c++)
        total[c] = square[c] = 0.25 * c;
    struct device *device = check_open(2);
    run_copy(device, layer.z, COUNT, C,
             &(struct norm_forward){.sums = sums, .total = total, .total_square = square});
    device_close(&device);
    for (int c = 0; c < C; c++) {
        assert_true(total[c] == 0.25 * c + sums[c]);
        assert_true(square[c] == 0.25 * c + sums[C + c]);
    }
    fixture_fini(&fixture);
}

static void the_earliest_flaw_is_kept(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 9};
    struct layer layer;
    double sums[2 * C];
    uint64_t word = FLAW_NONE;
    struct norm_forward norm = {.sums = sums, .flaw = {&word, 700}};
    make_layer(&fixture, &layer, 0);
    struct device *device = check_open(2);
    run_copy(device, layer.z, COUNT, C, &norm);
    assert_true(word == FLAW_NONE);
    layer.z[5 * C + 3] = INFINITY;
    norm.flaw.code = 900;
    struct conv conv = {.in = {COUNT, 1, 1, C}, .K = 1, .R = 1, .S = 1, .ld = C};
    float w[C] = {[3] = 1}, out[COUNT];
    device->ops->pw_forward(device, &conv, (struct view){.z = layer.z}, w, out, &norm);
    assert_true(word == 900);
    norm.flaw.code = 800;
    device->ops->pw_forward(device, &conv, (struct view){.z = layer.z}, w, out, &norm);
    assert_true(word == 800);
    norm.flaw.code = 850;
    device->ops->pw_forward(device, &conv, (struct view){.z = layer.z}, w, out, &norm);
    assert_true(word == 800);
    device_close(&device);
    fixture_fini(&fixture);
}

/* L = sum weight (gamma (z - mean) / sqrt(variance + eps) + beta)^2 / 2 over the batch. */
static double objective(const struct layer *layer, const double *z, const double *gamma,
                        const double *beta)
{
    double sum = 0;
    for (int c = 0; c < C; c++) {
        double mean, variance;
        column_statistics(z, c, &mean, &variance);
        for (int i = c; i < COUNT * C; i += C) {
            double y = gamma[c] * (z[i] - mean) / sqrt(variance + (double)1e-3f) + beta[c];
            sum += (double)layer->weight[i] * y * y / 2;
        }
    }
    return sum;
}

static double slope(const struct layer *layer, double *z, double *gamma, double *beta, double *at)
{
    const double h = 1e-5, before = *at;
    *at = before + h;
    double above = objective(layer, z, gamma, beta);
    *at = before - h;
    double below = objective(layer, z, gamma, beta);
    *at = before;
    return (above - below) / (2 * h);
}

static void check_value(const char *what, int i, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want))))
        fail_msg("%s %d: %.9g should be %.9g", what, i, got, want);
}

/* A pool over the whole map whose own gradient is 1: its sums are those it is given. */
static void finish_backward(struct device *device, const double *sums,
                            const struct norm_backward *norm)
{
    float dpooled[C], p[C];
    double finished[2 * C];
    for (int c = 0; c < C; c++)
        dpooled[c] = COUNT;
    struct pool_grad grad = {
        .dpooled = dpooled, .pool_sums = sums, .p = p, .sums = finished, .norm = norm};
    device->ops->pool_backward(device, (struct dims){1, COUNT, 1, C}, &grad);
    check_same("sums", finished, sums, sizeof finished);
}

static void check_backward(double mean, double tolerance)
{
    struct fixture fixture = {.seed = 5};
    struct layer layer;
    make_layer(&fixture, &layer, mean);
    struct device *device = check_open(1);
    run_forward(device, &layer, 1e-3f);
    double sums[2 * C] = {0}, g[COUNT * C];
    for (int i = 0; i < COUNT * C; i++) {
        int c = i % C;
        double y = (double)layer.norm.scale[c] * (double)layer.z[i] + (double)layer.norm.shift[c];
        g[i] = (double)layer.weight[i] * y;
        sums[c] += g[i];
        sums[C + c] += g[i] * ((double)layer.z[i] - (double)layer.norm.mean[c]);
    }
    float dgamma[C], dbeta[C], a[C], b[C], shift[C];
    for (int c = 0; c < C; c++)
        dgamma[c] = dbeta[c] = 0.5f; /* added to */
    finish_backward(device, sums,
                    &(struct norm_backward){
                        .gamma = layer.gamma, .norm = layer.norm, dgamma, dbeta, a, b, shift});
    device_close(&device);
    double *z = fixture_widen(&fixture, layer.z, COUNT * C);
    double *gamma = fixture_widen(&fixture, layer.gamma, C);
    double *beta = fixture_widen(&fixture, layer.beta, C);
    for (int i = 0; i < COUNT * C; i += 7) {
        int c = i % C;
        double dz = (double)a[c] * g[i] + (double)b[c] * z[i] + (double)shift[c];
        check_value("dz", i, dz, slope(&layer, z, gamma, beta, &z[i]), tolerance);
    }
    for (int c = 0; c < C; c++) {
        check_value("dgamma", c, (double)dgamma[c] - 0.5, slope(&layer, z, gamma, beta, &gamma[c]),
                    tolerance);
        check_value("dbeta", c, (double)dbeta[c] - 0.5, slope(&layer, z, gamma, beta, &beta[c]),
                    tolerance);
    }
    fixture_fini(&fixture);
}

static void gradients_are_finite_differences(void **state)
{
    (void)state;
    check_backward(0, 1e-5);
}

static void gradients_keep_their_digits_at_large_means(void **state)
{
    (void)state;
    check_backward(256, 5e-5);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scale_and_shift_normalise_with_the_biased_variance),
        cmocka_unit_test(scale_and_shift_keep_their_digits_at_large_means),
        cmocka_unit_test(given_statistics_normalise_alike),
        cmocka_unit_test(a_constant_channel_has_no_negative_variance),
        cmocka_unit_test(sums_are_added_to_calibration_s),
        cmocka_unit_test(the_earliest_flaw_is_kept),
        cmocka_unit_test(gradients_are_finite_differences),
        cmocka_unit_test(gradients_keep_their_digits_at_large_means),
    };
    return cmocka_run_group_tests_name("norm", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main_maps(argc, argv, run_group);
}
