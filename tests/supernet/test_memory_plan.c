/* Buffers that live at the same time never share a byte, and those that do not may. */
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/supernet/memory_plan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BUFFERS = 120, MOMENTS = 60 };

static void check_disjoint(const struct memory_plan *memory_plan, uint64_t seed)
{
    for (int i = 0; i < memory_plan->count; i++) {
        const struct buffer *a = &memory_plan->buffers[i];
        assert_true(a->offset + a->size_bytes <= memory_plan->total_bytes);
        for (int j = 0; j < i; j++) {
            const struct buffer *b = &memory_plan->buffers[j];
            bool meet = a->first <= b->last && b->first <= a->last;
            bool share =
                a->offset < b->offset + b->size_bytes && b->offset < a->offset + a->size_bytes;
            if (meet && share)
                fail_msg("seed %d: buffers %d and %d share bytes at the same time", (int)seed, j,
                         i);
        }
    }
}

static void buffers_that_live_together_share_no_byte(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct memory_plan memory_plan = {0};
        size_t sum = 0;
        for (uint64_t i = 0; i < BUFFERS; i++) {
            int first = (int)rng_below(rng(seed, RNG_TEST, 0, i, 0), MOMENTS);
            int length = (int)rng_below(rng(seed, RNG_TEST, 0, i, 1), 8);
            size_t size = 1 + rng_below(rng(seed, RNG_TEST, 0, i, 2), 100000);
            assert_null(memory_plan_ask(&memory_plan, size, first, first + length));
            sum += size;
        }
        memory_plan_place(&memory_plan);
        check_disjoint(&memory_plan, seed);
        assert_true(memory_plan.total_bytes < sum / 2); /* lives are short: much is shared */
        memory_plan_fini(&memory_plan);
    }
}

static void addresses_come_in_the_order_of_asking(void **state)
{
    (void)state;
    struct memory_plan memory_plan = {0};
    memory_plan_ask(&memory_plan, 100, 0, 1);
    assert_null(memory_plan_ask(&memory_plan, 0, 0, 1)); /* nothing: no buffer */
    memory_plan_ask(&memory_plan, 300, 1, 2);
    memory_plan_ask(&memory_plan, 50, 2, 3);
    memory_plan_place(&memory_plan);
    char *base = mem_alloc(memory_plan.total_bytes);
    memory_plan_hand_out(&memory_plan, base);
    char *first = memory_plan_ask(&memory_plan, 100, 0, 1);
    assert_null(memory_plan_ask(&memory_plan, 0, 0, 1));
    char *second = memory_plan_ask(&memory_plan, 300, 1, 2);
    char *third = memory_plan_ask(&memory_plan, 50, 2, 3);
    assert_true(second == base);      /* the biggest lies lowest */
    assert_true(first == base + 320); /* in whole cache lines */
    assert_true(third == first);      /* when the first is gone */
    assert_int_equal(memory_plan.total_bytes, 320 + 128);
    mem_free(base);
    memory_plan_fini(&memory_plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_that_live_together_share_no_byte),
        cmocka_unit_test(addresses_come_in_the_order_of_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
