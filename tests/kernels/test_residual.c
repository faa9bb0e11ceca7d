/* Residual sums against the plain double-precision formula. */
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/reference_dw.h"
#include <math.h>
#include <stdio.h>

static const int channels[] = {8, 24, 13, 40, 100, 3, 27, 259};
static const enum act acts[] = {ACT_NONE, ACT_RELU, ACT_RELU6, ACT_HSWISH};

static void check_sum(struct dims map, struct view x, struct view y, double tolerance)
{
    struct fixture fixture = {0};
    char what[80];
    size_t count = reference_count(map);
    double *left = fixture_keep(&fixture, reference_view(map, &x));
    double *right = fixture_keep(&fixture, reference_view(map, &y));
    float *first = NULL;
    for (size_t i = 0; i < count; i++)
        left[i] += right[i];
    for (int threads = 1; threads <= CHECK_THREADS; threads++) {
        float *sum = fixture_keep(&fixture, check_filled(count, NAN));
        struct device *device = check_open(threads);
        device->ops->residual_forward(device, map, x, y, sum);
        assert_int_equal(device->traffic.residual_bytes, count * sizeof *sum);
        assert_int_equal(device->traffic.raw_bytes + device->traffic.gradient_bytes, 0);
        device_close(&device);
        snprintf(what, sizeof what, "sum of %d images %dx%d, %d channels, %d threads", map.N, map.H,
                 map.W, map.C, threads);
        first = first ? first : sum;
        check_near_map(what, sum, left, count, tolerance);
        check_same(what, sum, first, count * sizeof *sum);
    }
    fixture_fini(&fixture);
}

static void residual_is_the_sum_of_two_views(void **state)
{
    (void)state;
    for (int x_act = 0; x_act < 4; x_act++)
        for (int y_act = 0; y_act < 4; y_act++) {
            struct fixture fixture = {.seed = (uint64_t)(x_act * 4 + y_act) << 16};
            struct dims map = {5, 3, 7, channels[(x_act * 4 + y_act) % 8]};
            struct view x = fixture_view(&fixture, map, acts[x_act], 0, y_act % 2);
            struct view y = fixture_view(&fixture, map, acts[y_act], 0, x_act % 2);
            check_sum(map, x, y, 3e-7);
            fixture_fini(&fixture);
        }
}

/* What a bottleneck adds: its raw projection, normalised, to an earlier residual sum. */
static void residual_adds_a_map_that_needs_no_view(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct fixture fixture = {.seed = (uint64_t)(i + 20) << 16};
        struct dims map = {2, 9, 4, channels[i]};
        struct view x = fixture_view(&fixture, map, ACT_NONE, 256, false);
        struct view y = {.z = fixture_random(&fixture, reference_count(map), 0, 1)};
        check_sum(map, x, y, 1e-5); /* scale z is 300 before the shift: x86-64-v2 rounds it */
        check_sum(map, y, y, 1e-7);
        fixture_fini(&fixture);
    }
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual_is_the_sum_of_two_views),
        cmocka_unit_test(residual_adds_a_map_that_needs_no_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main_maps(argc, argv, run_group);
}
