/* SGD, sums, zeros, the search for what is not finite, dropout masks, and device memory. */
#include "base/rng.h"
#include "tests/kernels/check.h"
#include "tests/kernels/fixture.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t counts[] = {1, 7, 16, 1000, 65536, 200003}; /* up to several jobs */
enum { COUNTS = sizeof counts / sizeof *counts };

/* Two segments of different decay, and between them weights that rest. */
static void check_sgd(size_t count, bool is_nesterov)
{
    struct fixture fixture = {.seed = count};
    size_t third = (count + 2) / 3, last = count - count / 3;
    struct sgd sgd = {.segment_count = 2,
                      .segments = {{0, third, 3e-2f}, {last, count - last, 0}},
                      .rate = 0.1f,
                      .momentum = 0.9f,
                      .is_nesterov = is_nesterov};
    sgd.w = fixture_random(&fixture, count, 0, 1);
    sgd.v = fixture_random(&fixture, count, 0, 1);
    sgd.g = fixture_random(&fixture, count, 0, 1);
    sgd.shadow = sgd.w;
    double *w = fixture_widen(&fixture, sgd.w, count), *v = fixture_widen(&fixture, sgd.v, count);
    double *g = fixture_widen(&fixture, sgd.g, count);
    for (size_t i = 0; i < count; i++) {
        if (i >= third && i < last)
            continue;
        double d = g[i] + (i < third ? (double)3e-2f : 0) * w[i];
        v[i] = (double)sgd.momentum * v[i] + d;
        w[i] -= (double)sgd.rate * (is_nesterov ? d + (double)sgd.momentum * v[i] : v[i]);
        g[i] = 0;
    }
    struct device *device = check_open((int)(count % CHECK_THREADS) + 1);
    device->ops->sgd_step(device, &sgd);
    device_close(&device);
    check_near("weights", sgd.w, w, count, 1e-6);
    check_near("momentum", sgd.v, v, count, 1e-6);
    check_near("gradient", sgd.g, g, count, 1e-9);
    fixture_fini(&fixture);
}

/* The update leaves the new weights in the shadow too, rounded as maps are, and no others. */
static void the_shadow_follows_the_update(void **state)
{
    (void)state;
    enum { COUNT = 1003, FIRST = 5 };
    struct fixture fixture = {.seed = 77};
    struct sgd sgd = {.segment_count = 1,
                      .segments = {{FIRST, COUNT - FIRST, 0.1f}},
                      .rate = 0.37f,
                      .momentum = 0.9f};
    sgd.w = fixture_random(&fixture, COUNT, 0, 1);
    sgd.v = fixture_random(&fixture, COUNT, 0, 1);
    sgd.g = fixture_random(&fixture, COUNT, 0, 1);
    float *shadow = fixture_keep(&fixture, check_filled(COUNT, 0.5f));
    sgd.shadow = shadow;
    struct device *device = check_open(2);
    device->ops->sgd_step(device, &sgd);
    device_close(&device);
    for (int i = 0; i < COUNT; i++) {
        double want = i < FIRST ? 0.5 : (double)sgd.w[i];
        check_round_operands(&want, 1);
        if ((double)shadow[i] != want)
            fail_msg("shadow of weight %d is %.9g, should be %.9g", i, (double)shadow[i], want);
    }
    fixture_fini(&fixture);
}

/* What a float's lower half can be, on either side of a tie. */
static void a_cast_rounds_to_nearest_and_ties_to_even(void **state)
{
    (void)state;
    static const uint32_t upper[] = {0x3f80, 0x3f81, 0xbf80, 0xbf81,
                                     0x0080, 0x7f7f, 0xff7f, 0x4300};
    static const uint32_t lower[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    enum { COUNT = 8 * 6 + 4 };
    float w[COUNT], cast[COUNT];
    for (int i = 0; i < 8 * 6; i++) {
        uint32_t bits = upper[i / 6] << 16 | lower[i % 6];
        memcpy(&w[i], &bits, sizeof bits);
    }
    const float last[] = {INFINITY, -INFINITY, 0.0f, -0.0f};
    memcpy(w + 8 * 6, last, sizeof last);
    struct device *device = check_open(1);
    device->ops->cast(device, COUNT, w, cast);
    device_close(&device);
    for (int i = 0; i < COUNT; i++) {
        double want = (double)w[i];
        check_round_operands(&want, 1);
        float expected = (float)want;
        check_same("a weight's shadow", &cast[i], &expected, sizeof expected);
    }
}

/* Also a NaN whose lower half would carry into nothing but its upper bits. */
static void a_cast_keeps_what_is_no_number(void **state)
{
    (void)state;
    static const uint32_t bits[] = {0x7fc00000, 0x7f800001, 0x7fffffff, 0xffffffff, 0xff80ffff};
    enum { COUNT = sizeof bits / sizeof *bits };
    float w[COUNT], cast[COUNT];
    memcpy(w, bits, sizeof bits);
    struct device *device = check_open(1);
    device->ops->cast(device, COUNT, w, cast);
    device_close(&device);
    for (int i = 0; i < COUNT; i++)
        assert_true(isnan(cast[i]));
}

static void a_flaw_stops_the_update(void **state)
{
    (void)state;
    float w = 1, v = 2, g = 3;
    uint64_t flaw = 5;
    struct sgd sgd = {.segment_count = 1,
                      .segments = {{0, 1, 0.1f}},
                      .w = &w,
                      .v = &v,
                      .g = &g,
                      .shadow = &w,
                      .rate = 0.1f,
                      .flaw = &flaw};
    struct device *device = check_open(1);
    device->ops->sgd_step(device, &sgd);
    assert_true(w == 1 && v == 2 && g == 3);
    device->ops->set_word(device, FLAW_NONE, &flaw);
    device->ops->sgd_step(device, &sgd);
    assert_true(w < 1);
    device_close(&device);
}

static void a_step_of_sgd_is_the_formula(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTS; i++) {
        check_sgd(counts[i], true);
        check_sgd(counts[i], false);
    }
}

static void sums_zeros_and_nans_reach_every_element_and_no_other(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTS; i++) {
        struct fixture fixture = {.seed = counts[i]};
        size_t count = counts[i];
        float *x = fixture_random(&fixture, count, 0, 1);
        float *sum = fixture_random(&fixture, count + 1, 0, 1), last = sum[count];
        double *want = fixture_widen(&fixture, sum, count);
        for (size_t j = 0; j < count; j++)
            want[j] += (double)x[j];
        struct device *device = check_open(3);
        device->ops->fold(device, count, x, sum);
        check_near("sum", sum, want, count, 1e-6);
        for (size_t j = 0; j < count; j++)
            assert_true(x[j] == 0);
        assert_true(sum[count] == last);
        device->ops->zero(device, count * sizeof *sum, sum);
        for (size_t j = 0; j < count; j++)
            assert_true(sum[j] == 0);
        device->ops->fill_nan(device, count * sizeof *sum, sum);
        for (size_t j = 0; j < count; j++)
            assert_true(isnan(sum[j]));
        assert_true(sum[count] == last);
        device_close(&device);
        fixture_fini(&fixture);
    }
}

/* The index, or count. */
static size_t find(struct device *device, size_t count, const float *x)
{
    uint64_t word = FLAW_NONE;
    device->ops->find_nonfinite(device, count, x, (struct flaw){&word, 1000});
    return word == FLAW_NONE ? count : (size_t)(word - 1000);
}

static void doubles_are_folded_alike(void **state)
{
    (void)state;
    enum { COUNT = 70001 };
    struct fixture fixture = {.seed = 3};
    float *x = fixture_random(&fixture, COUNT, 0, 1), *y = fixture_random(&fixture, COUNT, 0, 1);
    double *from = fixture_widen(&fixture, x, COUNT), *sum = fixture_widen(&fixture, y, COUNT);
    struct device *device = check_open(3);
    device->ops->fold_doubles(device, COUNT, from, sum);
    device_close(&device);
    for (int i = 0; i < COUNT; i++)
        assert_true(from[i] == 0 && sum[i] == (double)x[i] + (double)y[i]);
    fixture_fini(&fixture);
}

static void the_first_element_that_is_not_finite_is_found(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    struct device *device = check_open(2);
    for (int i = 0; i < COUNTS; i++) {
        struct fixture fixture = {.seed = counts[i]};
        size_t count = counts[i];
        float *x = fixture_random(&fixture, count, 0, 1e18);
        x[0] = 3e38f; /* large is finite */
        assert_int_equal(find(device, count, x), count);
        for (size_t at = count; at-- > 0; at -= at > 9 ? at / 3 : 0) {
            x[at] = bad[at % 3];
            size_t found = find(device, count, x);
            if (found != at)
                fail_msg("of %zu: found %zu, should be %zu", count, found, at);
        }
        assert_int_equal(find(device, 0, x), 0);
        fixture_fini(&fixture);
    }
    device_close(&device);
}

static void dropout_is_a_function_of_seed_step_and_place(void **state)
{
    (void)state;
    enum { N = 50, C = 40 };
    float whole[N * C], half[N * C];
    struct device *device = check_open(3);
    device->ops->dropout_mask(device, N, C, 0.25f, 5, 9, 1000, whole);
    device->ops->dropout_mask(device, N / 2, C, 0.25f, 5, 9, 1000 + N / 2 * C, half);
    device_close(&device);
    check_same("second half", half, whole + N / 2 * C, sizeof whole / 2);
    int dropped = 0;
    for (int i = 0; i < N * C; i++) {
        double draw = rng_unit(rng(5, RNG_DROPOUT, 0, 9, 1000 + (uint64_t)i));
        double want = draw < 0.25 ? 0 : 1 / 0.75;
        if (fabs((double)whole[i] - want) > 1e-6)
            fail_msg("mask[%d] is %g, should be %g", i, (double)whole[i], want);
        dropped += whole[i] == 0;
    }
    assert_in_range(dropped, N * C / 5, N * C * 3 / 10);
}

static void memory_is_zeroed_and_aligned_and_keeps_what_is_put_in(void **state)
{
    (void)state;
    struct device *device = check_open(1);
    float host[300], back[300];
    void *memory = NULL;
    for (int i = 0; i < 300; i++)
        host[i] = (float)i;
    assert_int_equal(device->ops->alloc(device, sizeof host, &memory), ERR_OK);
    assert_int_equal((uintptr_t)memory % 64, 0);
    assert_int_equal(device->ops->download(device, back, memory, sizeof host), ERR_OK);
    for (int i = 0; i < 300; i++)
        assert_true(back[i] == 0);
    device->ops->upload(device, memory, host, sizeof host);
    assert_int_equal(device->ops->sync(device), ERR_OK);
    assert_int_equal(device->ops->download(device, back, memory, sizeof host), ERR_OK);
    check_same("download", back, host, sizeof host);
    device->ops->free(device, memory);
    device->ops->free(device, NULL);
    assert_int_equal(device->ops->alloc(device, SIZE_MAX / 2, &memory), ERR_MEMORY);
    device_close(&device);
    device_close(&device);
    device_close(NULL);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_of_sgd_is_the_formula),
        cmocka_unit_test(sums_zeros_and_nans_reach_every_element_and_no_other),
        cmocka_unit_test(the_shadow_follows_the_update),
        cmocka_unit_test(a_cast_rounds_to_nearest_and_ties_to_even),
        cmocka_unit_test(a_cast_keeps_what_is_no_number),
        cmocka_unit_test(a_flaw_stops_the_update),
        cmocka_unit_test(doubles_are_folded_alike),
        cmocka_unit_test(the_first_element_that_is_not_finite_is_found),
        cmocka_unit_test(dropout_is_a_function_of_seed_step_and_place),
        cmocka_unit_test(memory_is_zeroed_and_aligned_and_keeps_what_is_put_in),
    };
    return cmocka_run_group_tests_name("elementwise", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return check_main_maps(argc, argv, run_group);
}
