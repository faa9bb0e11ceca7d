/* Buffers that live at the same time never share a byte, and those that do not may. */
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/layout.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BUFFERS = 120, MOMENTS = 60 };

static void check_disjoint(const struct layout *layout, uint64_t seed)
{
    for (int i = 0; i < layout->count; i++) {
        const struct buffer *a = &layout->buffers[i];
        assert_true(a->offset + a->size_bytes <= layout->total_bytes);
        for (int j = 0; j < i; j++) {
            const struct buffer *b = &layout->buffers[j];
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
        struct layout layout = {0};
        size_t sum = 0;
        for (uint64_t i = 0; i < BUFFERS; i++) {
            int first = (int)rng_below(rng(seed, RNG_TEST, 0, i, 0), MOMENTS);
            int length = (int)rng_below(rng(seed, RNG_TEST, 0, i, 1), 8);
            size_t size = 1 + rng_below(rng(seed, RNG_TEST, 0, i, 2), 100000);
            assert_null(layout_ask(&layout, size, first, first + length));
            sum += size;
        }
        layout_place(&layout);
        check_disjoint(&layout, seed);
        assert_true(layout.total_bytes < sum / 2); /* lives are short: much is shared */
        layout_fini(&layout);
    }
}

static void addresses_come_in_the_order_of_asking(void **state)
{
    (void)state;
    struct layout layout = {0};
    layout_ask(&layout, 100, 0, 1);
    assert_null(layout_ask(&layout, 0, 0, 1)); /* nothing: no buffer */
    layout_ask(&layout, 300, 1, 2);
    layout_ask(&layout, 50, 2, 3);
    layout_place(&layout);
    char *base = mem_alloc(layout.total_bytes);
    layout_hand_out(&layout, base);
    char *first = layout_ask(&layout, 100, 0, 1);
    assert_null(layout_ask(&layout, 0, 0, 1));
    char *second = layout_ask(&layout, 300, 1, 2);
    char *third = layout_ask(&layout, 50, 2, 3);
    assert_true(second == base);      /* the biggest lies lowest */
    assert_true(first == base + 320); /* in whole cache lines */
    assert_true(third == first);      /* when the first is gone */
    assert_int_equal(layout.total_bytes, 320 + 128);
    mem_free(base);
    layout_fini(&layout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_that_live_together_share_no_byte),
        cmocka_unit_test(addresses_come_in_the_order_of_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
