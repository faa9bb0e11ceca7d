/* binary16 against its definition in double: every number of it, every float around each of them
 * and around the ties between them; and the processor's own conversion bit for bit. */
#include "trainer/emulator/accumulate.h"
#include "trainer/emulator/half.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* By the definition: the nearest multiple of what the last bit is worth, ties to even. */
static float defined_round(float value)
{
    if (value == 0 || !isfinite(value))
        return value;
    int exponent = ilogb(value);
    double quantum = ldexp(1, (exponent < -14 ? -14 : exponent) - 10);
    double rounded = nearbyint(value / quantum) * quantum;
    return fabs(rounded) > 65504 ? (float)copysign(INFINITY, rounded)
                                 : (float)copysign(rounded, value);
}

/* All signs, exponents and ten leading bits of the fraction, with what the thirteen bits that are
 * rounded away may look like: nothing, almost nothing, just below, on and above a tie, almost all.
 */
enum { TAILS = 6, HEADS = 1 << 19 };

static float probe(uint32_t head, int tail)
{
    static const uint32_t tails[TAILS] = {0, 1, 0xfff, 0x1000, 0x1001, 0x1fff};
    return float_of(head << 13 | tails[tail]);
}

static void every_kind_of_float_is_rounded_as_defined(void **state)
{
    (void)state;
    for (uint32_t head = 0; head < HEADS; head++)
        for (int tail = 0; tail < TAILS; tail++) {
            float value = probe(head, tail), rounded = half_round(value);
            if (isnan(value) ? !isnan(rounded) : bits_of(rounded) != bits_of(defined_round(value)))
                fail_msg("%a becomes %a, not %a", value, rounded, defined_round(value));
        }
}

static void every_number_of_it_is_encoded_and_decoded(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
        double expected = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        float value = half_decode((uint16_t)bits);
        expected = exponent == 31 ? INFINITY : expected;
        if (exponent == 31 && fraction) {
            assert_true(isnan(value) && isnan(half_decode(half_encode(value))));
            continue;
        }
        if (value != (bits >> 15 ? -expected : expected) || half_encode(value) != bits ||
            bits_of(half_round(value)) != bits_of(value))
            fail_msg("%04x is %a, and %04x again", bits, value, half_encode(value));
    }
}

/* Sixteen at a time, so that whole vectors and a rest occur. */
static void check_f16c(const float *values, int count)
{
    float sums[32] = {0}, again[32] = {0};
    accumulate_fp16.plain(sums, values, count);
    accumulate_fp16_f16c.plain(again, values, count);
    for (int i = 0; i < count; i++)
        if (isnan(sums[i]) ? !isnan(again[i]) : bits_of(sums[i]) != bits_of(again[i]))
            fail_msg("%a becomes %a by F16C, %a without", values[i], again[i], sums[i]);
}

static void the_processor_rounds_to_the_same_bits(void **state)
{
    enum { COUNT = 21 };
    float values[COUNT];
    int filled = 0;
    (void)state;
    if (!accumulate_has_f16c())
        skip();
    for (uint32_t head = 0; head < HEADS; head++)
        for (int tail = 0; tail < TAILS; tail++) {
            values[filled++] = probe(head, tail);
            if (filled == COUNT)
                check_f16c(values, filled);
            filled %= COUNT;
        }
    check_f16c(values, filled);
}

/* Products of all exponents, and sums that cancel, absorb and overflow. */
static void products_and_sums_have_the_same_bits(void **state)
{
    enum { COUNT = 19, ROUNDS = 20000 };
    (void)state;
    if (!accumulate_has_f16c())
        skip();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        float sums[2][COUNT], w[COUNT], x[COUNT];
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t mixed = (round * COUNT + i) * 2654435761u;
            sums[0][i] = sums[1][i] = half_decode((uint16_t)(mixed >> 3));
            w[i] = half_decode((uint16_t)(mixed >> 11));
            x[i] = half_decode((uint16_t)(mixed >> 16));
        }
        accumulate_fp16.pairs(sums[0], w, x, COUNT);
        accumulate_fp16_f16c.pairs(sums[1], w, x, COUNT);
        accumulate_fp16.scaled(sums[0], w, x[0], COUNT);
        accumulate_fp16_f16c.scaled(sums[1], w, x[0], COUNT);
        for (int i = 0; i < COUNT; i++)
            if (!isnan(sums[0][i]) || !isnan(sums[1][i]))
                assert_int_equal(bits_of(sums[0][i]), bits_of(sums[1][i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_float_is_rounded_as_defined),
        cmocka_unit_test(every_number_of_it_is_encoded_and_decoded),
        cmocka_unit_test(the_processor_rounds_to_the_same_bits),
        cmocka_unit_test(products_and_sums_have_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
