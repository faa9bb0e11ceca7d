#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h> /* needs the four above */

#define DRAWS 20000

/* Computed by an independent program from the definition; a change breaks every checkpoint. */
static void golden_values_are_pinned(void **state)
{
    (void)state;
    assert_int_equal(rng(0, RNG_INIT, 0, 0, 0), 0xc739f5ec15a29d83);
    assert_int_equal(rng(1, RNG_SUBNET, 0, 7, 65537), 0x25e230670c34e887);
    assert_int_equal(rng(42, RNG_SHUFFLE, 3, 0, 54999), 0x147e08e71b979cd5);
    assert_int_equal(rng(UINT64_MAX, RNG_TEST, UINT64_MAX, UINT64_MAX, UINT64_MAX),
                     0x1d21303943edbc97);
    assert_int_equal(rng(1, RNG_TEST, 0, 0, 0), 0x9b0b9a0f76c9661c);
    assert_int_equal(rng(1, RNG_TEST, 0, 0, 1), 0xa9d81910844606e8);
}

/* |count - n/2| of a fair coin stays below 5 deviations, sqrt(n)/2 each. */
static void assert_fair(const char *what, int which, long count, long n)
{
    double deviations = fabs((double)count - 0.5 * (double)n) / (0.5 * sqrt((double)n));
    if (deviations > 5.0)
        fail_msg("%s %d: %ld of %ld are set, %.1f deviations", what, which, count, n, deviations);
}

static void every_bit_is_balanced(void **state)
{
    (void)state;
    long set[64] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        uint64_t bits = rng(1, RNG_TEST, 0, 0, i);
        for (int b = 0; b < 64; b++)
            set[b] += (long)(bits >> b & 1);
    }
    for (int b = 0; b < 64; b++)
        assert_fair("bit", b, set[b], DRAWS);
}

/* Neighbours in any of the five words differ in every bit half of the time, and in half of the
 * bits. */
static void neighbours_in_every_word_are_uncorrelated(void **state)
{
    (void)state;
    for (int word = 0; word < 5; word++) {
        long differ[64] = {0};
        for (uint64_t i = 0; i < DRAWS; i++) {
            uint64_t here[5] = {i, i % 97, 3 * i, i, i}, there[5];
            for (int w = 0; w < 5; w++)
                there[w] = here[w] + (w == word);
            uint64_t bits = rng(here[0], (enum rng_stream)here[1], here[2], here[3], here[4]) ^
                            rng(there[0], (enum rng_stream)there[1], there[2], there[3], there[4]);
            for (int b = 0; b < 64; b++)
                differ[b] += (long)(bits >> b & 1);
        }
        for (int b = 0; b < 64; b++)
            assert_fair("neighbours: bit", b + 100 * word, differ[b], DRAWS);
    }
}

static double correlation_at(uint64_t lag_index, uint64_t lag_step, int lag_stream)
{
    double sum = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        double x = rng_unit(rng(7, RNG_TEST, 0, 0, i)) - 0.5;
        enum rng_stream stream = (enum rng_stream)(RNG_TEST + lag_stream);
        double y = rng_unit(rng(7, stream, 0, lag_step, i + lag_index)) - 0.5;
        sum += 12.0 * x * y; /* the variance of a uniform draw is 1/12 */
    }
    return sum / sqrt((double)DRAWS); /* standard normal when independent */
}

static void neighbouring_series_do_not_correlate(void **state)
{
    (void)state;
    const double z[4] = {correlation_at(1, 0, 0), correlation_at(2, 0, 0), correlation_at(0, 1, 0),
                         correlation_at(0, 0, 1)};
    for (int i = 0; i < 4; i++)
        if (fabs(z[i]) > 5.0)
            fail_msg("series %d: %.2f deviations from no correlation", i, z[i]);
}

static void draws_below_a_bound_are_uniform(void **state)
{
    (void)state;
    long count[7] = {0};
    for (uint64_t i = 0; i < DRAWS; i++)
        count[rng_below(rng(3, RNG_TEST, 0, 0, i), 7)]++;
    double chi = 0, expected = DRAWS / 7.0;
    for (int v = 0; v < 7; v++)
        chi += (double)(count[v] - expected) * ((double)count[v] - expected) / expected;
    if (chi > 33.1) /* 6 degrees of freedom, p = 1e-5 */
        fail_msg("chi-square %.1f for 7 values, expected below 33.1", chi);
}

static void bounds_are_kept_at_the_ends(void **state)
{
    (void)state;
    assert_int_equal(rng_below(UINT64_MAX, 1), 0);
    assert_int_equal(rng_below(UINT64_MAX, 7), 6);
    assert_int_equal(rng_below(UINT64_MAX, UINT32_MAX), UINT32_MAX - 1);
    assert_int_equal(rng_below(0, UINT32_MAX), 0);
    assert_true(rng_unit(UINT64_MAX) < 1.0);
    assert_true(rng_unit(0) == 0.0);
    assert_true(isfinite(rng_normal(UINT64_MAX, 0)) && isfinite(rng_normal(0, UINT64_MAX)));
}

static void normal_draws_have_the_moments_of_one(void **state)
{
    (void)state;
    double sum = 0, square = 0, fourth = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        double x = rng_normal(rng(5, RNG_TEST, 0, 0, 2 * i), rng(5, RNG_TEST, 0, 0, 2 * i + 1));
        sum += x, square += x * x, fourth += x * x * x * x;
    }
    double root = sqrt((double)DRAWS);
    double z[3] = {sum / root, (square - DRAWS) / root / sqrt(2.0),
                   (fourth - 3.0 * DRAWS) / root / sqrt(96.0)};
    for (int i = 0; i < 3; i++)
        if (fabs(z[i]) > 5.0)
            fail_msg("moment %d is %.1f deviations off", i, z[i]);
}

static void a_permutation_is_pinned_and_complete(void **state)
{
    (void)state;
    static const uint32_t golden[10] = {8, 5, 6, 1, 2, 4, 9, 7, 3, 0};
    uint32_t order[1000], seen[1000] = {0};
    rng_permute(1, RNG_SHUFFLE, 2, 10, order);
    assert_memory_equal(order, golden, sizeof golden);
    rng_permute(1, RNG_SHUFFLE, 3, 1000, order);
    for (int i = 0; i < 1000; i++)
        seen[order[i]]++;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(seen[i], 1);
    rng_permute(1, RNG_SHUFFLE, 3, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values_are_pinned),
        cmocka_unit_test(every_bit_is_balanced),
        cmocka_unit_test(neighbours_in_every_word_are_uncorrelated),
        cmocka_unit_test(neighbouring_series_do_not_correlate),
        cmocka_unit_test(draws_below_a_bound_are_uniform),
        cmocka_unit_test(bounds_are_kept_at_the_ends),
        cmocka_unit_test(normal_draws_have_the_moments_of_one),
        cmocka_unit_test(a_permutation_is_pinned_and_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
