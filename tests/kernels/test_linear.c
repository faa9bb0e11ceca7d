/* Linear layers against the plain double-precision formulas. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/reference.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const int shapes[][4] = {/* N, C, K, ld - C */
                                {1, 8, 10, 0},     {3, 40, 7, 8},     {17, 100, 33, 0},
                                {5, 3, 200, 1},    {130, 96, 161, 0}, {64, 1280, 100, 0},
                                {200, 960, 16, 4}, {520, 5, 1000, 0}, {3, 520, 1000, 1}};
static const enum act acts[] = {ACT_NONE, ACT_HSWISH, ACT_RELU, ACT_RELU6};

struct layer { /* one shape with its numbers and what should come of them */
    struct conv conv;
    struct view x;
    float *w, *bias, *dy, *dw_before, *dbias_before;
    double *y, *dx, *dw, *dbias;
};

static double *gradient_of_z(struct fixture *fixture, const struct layer *layer, const double *dy,
                             const double *w)
{
    size_t N = (size_t)layer->conv.in.N, C = (size_t)layer->conv.in.C, K = (size_t)layer->conv.K;
    struct product product = {.rows = N, .columns = C, .inner = K, .a = dy, .b = w};
    product.ldb = (size_t)layer->conv.ld;
    double *dx = fixture_keep(fixture, reference_product(&product));
    const struct view *x = &layer->x;
    for (size_t i = 0; i < N * C; i++) {
        double scale = x->scale ? x->scale[i % C] : 1, shift = x->shift ? x->shift[i % C] : 0;
        dx[i] *= (x->gate ? (double)x->gate[i] : 1) * scale *
                 reference_slope(x->act, scale * (double)((const float *)x->z)[i] + shift);
    }
    return dx;
}

static void expect(struct fixture *fixture, struct layer *layer)
{
    const struct conv *conv = &layer->conv;
    size_t N = (size_t)conv->in.N, C = (size_t)conv->in.C, K = (size_t)conv->K;
    size_t ld = (size_t)conv->ld;
    double *x = fixture_keep(fixture, reference_view(conv->in, &layer->x));
    double *w = fixture_widen(fixture, layer->w, K * ld);
    double *dy = fixture_widen(fixture, layer->dy, N * K);
    struct product y = {.rows = N, .columns = K, .inner = C, .a = x, .b = w, .ldb = ld};
    struct product dw = {.rows = K, .columns = C, .inner = N, .a = dy, .b = x};
    layer->y = fixture_keep(fixture, reference_product_nt(&y));
    double *dense = fixture_keep(fixture, reference_product_tn(&dw));
    layer->dw = fixture_widen(fixture, layer->dw_before, K * ld);
    layer->dbias = fixture_widen(fixture, layer->dbias_before, K);
    layer->dx = gradient_of_z(fixture, layer, dy, w);
    for (size_t i = 0; i < K * C; i++)
        layer->dw[i / C * ld + i % C] += dense[i];
    for (size_t i = 0; i < N * K; i++) {
        layer->dbias[i % K] += dy[i];
        layer->y[i] += layer->bias ? (double)layer->bias[i % K] : 0;
    }
}

static struct layer make_layer(struct fixture *fixture, int number)
{
    const int *shape = shapes[number];
    struct layer layer = {
        .conv = {.in = {shape[0], 1, 1, shape[1]}, .K = shape[2], .R = 1, .S = 1}};
    size_t K = (size_t)shape[2], N = (size_t)shape[0];
    layer.conv.ld = shape[1] + shape[3];
    layer.x = fixture_view(fixture, layer.conv.in, acts[number % 4], 0, number % 2);
    if (number % 3 == 1)
        layer.x = (struct view){.z = layer.x.z, .gate = layer.x.gate};
    layer.w = fixture_weights(fixture, shape[2], shape[1], layer.conv.ld);
    layer.bias = number % 3 ? fixture_random(fixture, K, 0, 1) : NULL;
    layer.dy = fixture_random(fixture, N * K, 0, 1);
    layer.dw_before = fixture_random(fixture, K * (size_t)layer.conv.ld, 0, 1);
    layer.dbias_before = fixture_random(fixture, K, 0, 1);
    expect(fixture, &layer);
    return layer;
}

struct result {
    float *y, *dx, *dw, *dbias;
};

static struct result run(struct fixture *fixture, const struct layer *layer, int threads)
{
    const struct conv *conv = &layer->conv;
    size_t N = (size_t)conv->in.N, C = (size_t)conv->in.C, K = (size_t)conv->K;
    struct result result = {
        fixture_keep(fixture, check_filled(N * K, NAN)),
        fixture_keep(fixture, check_filled(N * C, NAN)),
        fixture_keep(fixture, check_copy(layer->dw_before, K * (size_t)conv->ld)),
        fixture_keep(fixture, check_copy(layer->dbias_before, K))};
    struct device *device = check_open(threads);
    device->ops->linear_forward(device, conv, layer->x, layer->w, layer->bias, result.y);
    device->ops->linear_backward(device, conv, layer->dy, layer->x, layer->w, result.dx, result.dw,
                                 result.dbias);
    assert_int_equal(device->traffic.raw_bytes + device->traffic.gradient_bytes +
                         device->traffic.residual_bytes,
                     0);
    check_scratch(device, false);
    device_close(&device);
    return result;
}

static void check_layer(int number)
{
    struct fixture fixture = {.seed = (uint64_t)number << 16};
    struct layer layer = make_layer(&fixture, number);
    size_t N = (size_t)layer.conv.in.N, C = (size_t)layer.conv.in.C, K = (size_t)layer.conv.K;
    size_t weights = K * (size_t)layer.conv.ld;
    struct result first = run(&fixture, &layer, 1);
    char what[64];
    snprintf(what, sizeof what, "%zu x %zu to %zu", N, C, K);
    check_near(what, first.y, layer.y, N * K, 2e-6);
    check_near(what, first.dx, layer.dx, N * C, 2e-6);
    check_near(what, first.dw, layer.dw, weights, 2e-6);
    check_near(what, first.dbias, layer.dbias, K, 1e-6);
    for (int threads = 2; threads <= CHECK_THREADS; threads++) {
        struct result other = run(&fixture, &layer, threads);
        check_same(what, other.y, first.y, N * K * sizeof(float));
        check_same(what, other.dx, first.dx, N * C * sizeof(float));
        check_same(what, other.dw, first.dw, weights * sizeof(float));
        check_same(what, other.dbias, first.dbias, K * sizeof(float));
    }
    fixture_fini(&fixture);
}

static void a_linear_layer_is_the_plain_product_and_its_gradient(void **state)
{
    (void)state;
    for (int number = 0; number < (int)(sizeof shapes / sizeof *shapes); number++)
        check_layer(number);
}

static void no_gradient_of_input_or_bias_is_made_unasked(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 9};
    struct layer layer = make_layer(&fixture, 1);
    size_t weights = (size_t)(layer.conv.K * layer.conv.ld);
    struct result all = run(&fixture, &layer, 1);
    float *dw = fixture_keep(&fixture, check_copy(layer.dw_before, weights));
    struct device *device = check_open(1);
    device->ops->linear_backward(device, &layer.conv, layer.dy, layer.x, layer.w, NULL, dw, NULL);
    device_close(&device);
    check_same("dw alone", dw, all.dw, weights * sizeof *dw);
    fixture_fini(&fixture);
}

/* L = sum dy (view(z) w^T + bias), in double. */
static double objective(const struct layer *layer, const double *z, const double *w,
                        const double *bias)
{
    const struct view *x = &layer->x;
    int N = layer->conv.in.N, C = layer->conv.in.C, K = layer->conv.K;
    double sum = 0;
    for (int n = 0; n < N; n++)
        for (int k = 0; k < K; k++) {
            double y = bias[k];
            for (int c = 0; c < C; c++)
                y +=
                    w[k * layer->conv.ld + c] * (double)x->gate[n * C + c] *
                    reference_act(x->act, (double)x->scale[c] * z[n * C + c] + (double)x->shift[c]);
            sum += (double)layer->dy[n * K + k] * y;
        }
    return sum;
}

struct wide { /* the layer's numbers in double, to be moved a little */
    double *z, *w, *bias;
};

static void check_slope(const char *what, const struct layer *layer, const struct wide *wide,
                        double *at, float got)
{
    const double h = 1e-4, before = *at;
    *at = before + h;
    double above = objective(layer, wide->z, wide->w, wide->bias);
    *at = before - h;
    double below = objective(layer, wide->z, wide->w, wide->bias);
    *at = before;
    double want = (above - below) / (2 * h);
    if (!(fabs((double)got - want) <= 1e-4 * (1 + fabs(want))))
        fail_msg("%s: %.9g should be %.9g", what, (double)got, want);
}

static void gradients_are_finite_differences(void **state)
{
    (void)state;
    struct fixture fixture = {.seed = 17};
    struct layer layer = make_layer(&fixture, 1);
    size_t N = (size_t)layer.conv.in.N, C = (size_t)layer.conv.in.C, K = (size_t)layer.conv.K;
    size_t ld = (size_t)layer.conv.ld;
    layer.x = fixture_view(&fixture, layer.conv.in, ACT_HSWISH, 0, true);
    layer.dw_before = fixture_keep(&fixture, check_filled(K * ld, 0));
    layer.dbias_before = fixture_keep(&fixture, check_filled(K, 0));
    struct result got = run(&fixture, &layer, 2);
    struct wide wide = {fixture_widen(&fixture, layer.x.z, N * C),
                        fixture_widen(&fixture, layer.w, K * ld),
                        fixture_widen(&fixture, layer.bias, K)};
    for (size_t i = 0; i < N * C; i += 7)
        check_slope("dx", &layer, &wide, &wide.z[i], got.dx[i]);
    for (size_t i = 0; i < K * C; i += 11) {
        size_t at = i / C * ld + i % C;
        check_slope("dw", &layer, &wide, &wide.w[at], got.dw[at]);
    }
    for (size_t k = 0; k < K; k++)
        check_slope("dbias", &layer, &wide, &wide.bias[k], got.dbias[k]);
    fixture_fini(&fixture);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_linear_layer_is_the_plain_product_and_its_gradient),
        cmocka_unit_test(no_gradient_of_input_or_bias_is_made_unasked),
        cmocka_unit_test(gradients_are_finite_differences),
    };
    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv, run_group);
}
