/* What changed between two sets of inputs, and who needs whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/graph.h"

static void expect_changes(const char *old_lines, const char *new_lines, const char *expected)
{
    struct text changes;
    text_init(&changes);
    graph_changes(old_lines, new_lines, &changes);
    assert_string_equal(text_get(&changes), expected);
    text_fini(&changes);
}

static void a_changed_knob_is_named_with_both_values(void **state)
{
    (void)state;
    expect_changes("seed=1\nshrink.rows.kernel.epochs=2\nrate=0.1\n",
                   "seed=1\nshrink.rows.kernel.epochs=3\nrate=0.1\n",
                   "shrink.rows.kernel.epochs 2 -> 3\n");
}

static void equal_lines_in_another_order_are_no_change(void **state)
{
    (void)state;
    expect_changes("a=1\nb=2\n", "b=2\na=1\n", "");
    expect_changes("", "", "");
}

static void knobs_that_come_and_go_are_named(void **state)
{
    (void)state;
    expect_changes("a=1\nold=x\n", "a=1\nfresh=y\n", "fresh y (was not set)\nold x removed\n");
}

static void of_lines_that_begin_alike_only_those_that_changed_are_named(void **state)
{
    (void)state;
    expect_changes("rule of=1\nrule of=2\nrule of=3\n", "rule of=1\nrule of=2\nrule of=3\n", "");
    expect_changes("rule of=1\nrule of=2\n", "rule of=1\nrule of=4\n", "rule of 1 -> 4\n");
}

static void a_knob_is_not_mistaken_for_one_it_begins(void **state)
{
    (void)state;
    expect_changes("rate=1\nrate.scale=2\n", "rate=1\nrate.scale=3\n", "rate.scale 2 -> 3\n");
    expect_changes("a=1=2\n", "a=1=3\n", "a 1=2 -> 1=3\n");
}

static void need_goes_through_others(void **state)
{
    (void)state;
    static struct graph graph;
    graph.count = 4;
    for (int i = 1; i < 3; i++)
        graph.stages[i].dependencies[graph.stages[i].dependency_count++] = i - 1;
    assert_true(graph_needs(&graph, 2, 0));
    assert_true(graph_needs(&graph, 2, 1));
    assert_false(graph_needs(&graph, 3, 0));
    assert_false(graph_needs(&graph, 0, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_knob_is_named_with_both_values),
        cmocka_unit_test(equal_lines_in_another_order_are_no_change),
        cmocka_unit_test(knobs_that_come_and_go_are_named),
        cmocka_unit_test(of_lines_that_begin_alike_only_those_that_changed_are_named),
        cmocka_unit_test(a_knob_is_not_mistaken_for_one_it_begins),
        cmocka_unit_test(need_goes_through_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
