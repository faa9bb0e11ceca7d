/* The 7 -> 5 -> 3 kernel transforms against the formula and against finite differences. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include <math.h>
#include <stdio.h>

static const int widths[][2] = {{8, 8}, {24, 32}, {17, 20}, {3, 3}, {100, 100}}; /* C, ld */
enum { WIDTHS = sizeof widths / sizeof *widths };

struct transform { /* one depthwise layer, in double beside the floats */
    struct kernel_transform k;
    double *w7, *m75, *m53;
};

static struct transform make(struct fixture *fixture, int number, bool has_matrices)
{
    int C = widths[number][0], ld = widths[number][1];
    struct transform t = {.k = {.C = C, .ld = ld}};
    t.k.w7 = fixture_weights(fixture, 49, C, ld);
    t.w7 = fixture_widen(fixture, t.k.w7, (size_t)(49 * ld));
    if (has_matrices) {
        t.k.m75 = fixture_random(fixture, 625, 0, 0.3);
        t.k.m53 = fixture_random(fixture, 81, 0, 0.3);
        t.m75 = fixture_widen(fixture, t.k.m75, 625);
        t.m53 = fixture_widen(fixture, t.k.m53, 81);
    }
    return t;
}

/* Channel c of the 5x5 kernel, then of the 3x3 one: matrix times the flattened centre. */
static void plain_transform(const struct transform *t, int c, double five[25], double three[9])
{
    for (int out = 0; out < 25; out++) {
        five[out] = 0;
        for (int in = 0; in < 25; in++) {
            double own = t->w7[((in / 5 + 1) * 7 + in % 5 + 1) * t->k.ld + c];
            five[out] += (t->m75 ? t->m75[out * 25 + in] : out == in) * own;
        }
    }
    for (int out = 0; out < 9; out++) {
        three[out] = 0;
        for (int in = 0; in < 9; in++)
            three[out] +=
                (t->m53 ? t->m53[out * 9 + in] : out == in) * five[(in / 3 + 1) * 5 + in % 3 + 1];
    }
}

static double *plain_kernel(struct fixture *fixture, const struct transform *t, int R)
{
    int C = t->k.C;
    double *w = fixture_keep(fixture, check_filled_double((size_t)(R * R * C), 0));
    for (int c = 0; c < C; c++) {
        double five[25], three[9];
        plain_transform(t, c, five, three);
        for (int tap = 0; tap < R * R; tap++)
            w[tap * C + c] = R == 5 ? five[tap] : three[tap];
    }
    return w;
}

static void active_kernels_are_the_transformed_centres(void **state)
{
    (void)state;
    for (int number = 0; number < WIDTHS; number++)
        for (int R = 3; R <= 5; R += 2)
            for (int has_matrices = 0; has_matrices < 2; has_matrices++) {
                struct fixture fixture = {.seed = (uint64_t)number << 16};
                struct transform t = make(&fixture, number, has_matrices);
                size_t count = (size_t)(R * R * t.k.C);
                float *w = fixture_keep(&fixture, check_filled(count, NAN));
                struct device *device = check_open(2);
                t.k.R = R;
                t.k.w = w;
                device->ops->kernel_forward(device, 1, &t.k);
                device_close(&device);
                check_near_map("active kernel", w, plain_kernel(&fixture, &t, R), count, 1e-6);
                fixture_fini(&fixture);
            }
}

/* L = sum dw w, so that dw is the gradient of the active kernel. */
static double objective(struct fixture *fixture, const struct transform *t, int R, const float *dw)
{
    double *w = plain_kernel(fixture, t, R), sum = 0;
    for (int i = 0; i < R * R * t->k.C; i++)
        sum += (double)dw[i] * w[i];
    return sum;
}

static void check_slopes(struct fixture *fixture, const struct transform *t, int R, const float *dw,
                         const char *what, double *at, const float *got, int count)
{
    for (int i = 0; i < count; i += count / 11 + 1) {
        if (isnan(at[i]))
            continue; /* behind the prefix */
        double before = at[i];
        at[i] = before + 0.5; /* L is linear in each number alone */
        double above = objective(fixture, t, R, dw);
        at[i] = before - 0.5;
        double want = above - objective(fixture, t, R, dw);
        at[i] = before;
        if (!(fabs((double)got[i] - 1 - want) <= 1e-5 * (1 + fabs(want))))
            fail_msg("R %d, %s[%d]: %.9g should be %.9g", R, what, i, (double)got[i] - 1, want);
    }
}

static void check_backward(int number, int R, bool has_matrices)
{
    struct fixture fixture = {.seed = (uint64_t)(number + 20) << 16};
    struct transform t = make(&fixture, number, has_matrices);
    int taps7 = 49 * t.k.ld;
    const float *dw = fixture_random(&fixture, (size_t)(R * R * t.k.C), 0, 1);
    float *dw7 = fixture_keep(&fixture, check_filled((size_t)taps7, 1));
    float *dm75 = fixture_keep(&fixture, check_filled(625, 1));
    float *dm53 = fixture_keep(&fixture, check_filled(81, 1));
    struct device *device = check_open(2);
    t.k.R = R;
    struct kernel_gradient gradient = {.of = t.k,
                                       .dw = dw,
                                       .dw7 = dw7,
                                       .dm75 = has_matrices ? dm75 : NULL,
                                       .dm53 = has_matrices ? dm53 : NULL};
    device->ops->kernel_backward(device, 1, &gradient);
    device_close(&device);
    check_slopes(&fixture, &t, R, dw, "dw7", t.w7, dw7, taps7);
    for (int i = 0; i < taps7; i++)
        if (i % t.k.ld >= t.k.C && dw7[i] != 1)
            fail_msg("dw7[%d] behind the prefix became %g", i, (double)dw7[i]);
    if (has_matrices) {
        check_slopes(&fixture, &t, R, dw, "dm75", t.m75, dm75, 625);
        check_slopes(&fixture, &t, R, dw, "dm53", t.m53, dm53, 81);
    }
    fixture_fini(&fixture);
}

static void gradients_are_finite_differences(void **state)
{
    (void)state;
    for (int number = 0; number < WIDTHS; number++)
        for (int R = 3; R <= 5; R += 2)
            for (int has_matrices = 0; has_matrices < 2; has_matrices++)
                check_backward(number, R, has_matrices);
}

struct batch { /* every width with both kernels, half of them with matrices */
    struct kernel_transform forward[2 * WIDTHS];
    struct kernel_gradient backward[2 * WIDTHS];
};

static void make_batch(struct fixture *fixture, struct batch *batch)
{
    for (int i = 0; i < 2 * WIDTHS; i++) {
        struct transform t = make(fixture, i / 2, i % 3 == 0);
        t.k.R = 3 + i % 2 * 2;
        size_t count = (size_t)(t.k.R * t.k.R * t.k.C), taps7 = (size_t)(49 * t.k.ld);
        t.k.w = fixture_keep(fixture, check_filled(count, NAN));
        batch->forward[i] = t.k;
        batch->backward[i] = (struct kernel_gradient){
            .of = t.k,
            .dw = fixture_random(fixture, count, 0, 1),
            .dw7 = fixture_keep(fixture, check_filled(taps7, 1)),
            .dm75 = t.m75 ? fixture_keep(fixture, check_filled(625, 1)) : NULL,
            .dm53 = t.m53 ? fixture_keep(fixture, check_filled(81, 1)) : NULL};
    }
}

static void check_batch(const struct batch *whole, const struct batch *alone)
{
    for (int i = 0; i < 2 * WIDTHS; i++) {
        const struct kernel_transform *k = &whole->forward[i];
        const struct kernel_gradient *got = &whole->backward[i], *want = &alone->backward[i];
        check_same("w", k->w, alone->forward[i].w, (size_t)(k->R * k->R * k->C) * sizeof(float));
        check_same("dw7", got->dw7, want->dw7, (size_t)(49 * k->ld) * sizeof(float));
        if (!got->dm75)
            continue;
        check_same("dm75", got->dm75, want->dm75, 625 * sizeof(float));
        check_same("dm53", got->dm53, want->dm53, 81 * sizeof(float));
    }
}

static void the_layers_of_a_pass_are_done_at_once_as_each_alone(void **state)
{
    (void)state;
    for (int threads = 1; threads <= CHECK_THREADS; threads++) {
        struct fixture one = {.seed = 7}, other = {.seed = 7};
        struct batch whole, alone;
        make_batch(&one, &whole);
        make_batch(&other, &alone);
        struct device *device = check_open(threads);
        device->ops->kernel_forward(device, 2 * WIDTHS, whole.forward);
        device->ops->kernel_backward(device, 2 * WIDTHS, whole.backward);
        for (int i = 0; i < 2 * WIDTHS; i++) {
            device->ops->kernel_forward(device, 1, &alone.forward[i]);
            device->ops->kernel_backward(device, 1, &alone.backward[i]);
        }
        device_close(&device);
        check_batch(&whole, &alone);
        fixture_fini(&one);
        fixture_fini(&other);
    }
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(active_kernels_are_the_transformed_centres),
        cmocka_unit_test(gradients_are_finite_differences),
        cmocka_unit_test(the_layers_of_a_pass_are_done_at_once_as_each_alone),
    };
    return cmocka_run_group_tests_name("kernel matrices", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main_maps(argc, argv, run_group);
}
