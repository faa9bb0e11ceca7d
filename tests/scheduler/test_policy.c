/* Decisions without clocks, sockets or processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/policy.h"

/* a -> b -> {c, d} -> e */
static void make_graph(struct graph *graph)
{
    memset(graph, 0, sizeof *graph);
    graph->count = 5;
    for (int i = 0; i < 5; i++)
        snprintf(graph->stages[i].name, sizeof graph->stages[i].name, "%c", 'a' + i);
    graph->stages[1].dependencies[graph->stages[1].dependency_count++] = 0;
    graph->stages[2].dependencies[graph->stages[2].dependency_count++] = 1;
    graph->stages[3].dependencies[graph->stages[3].dependency_count++] = 1;
    graph->stages[4].dependencies[graph->stages[4].dependency_count++] = 2;
    graph->stages[4].dependencies[graph->stages[4].dependency_count++] = 3;
}

static struct graph graph;
static struct policy_state state;

static int set_up(void **unused)
{
    (void)unused;
    make_graph(&graph);
    policy_init(&state, &graph);
    return 0;
}

static void expect(enum policy_verb verb, int stage, int64_t now)
{
    struct policy_action action = policy_next(&state, now);
    if (action.verb != verb || (stage >= 0 && action.stage != stage))
        fail_msg("at %lld: verb %d stage %d, expected verb %d stage %d", (long long)now,
                 action.verb, action.stage, verb, stage);
}

static void finish(int stage)
{
    state.stages[stage].status = POLICY_RUNNING;
    policy_ended(&state, stage, ERR_OK, true, 0);
}

static void stages_start_in_order_of_their_dependencies(void **unused)
{
    (void)unused;
    for (int i = 0; i < 5; i++) {
        expect(POLICY_START, i, 0);
        finish(i);
    }
    expect(POLICY_FINISHED, -1, 0);
}

static void nothing_starts_while_something_runs(void **unused)
{
    (void)unused;
    finish(0);
    finish(1);
    state.stages[2].status = POLICY_RUNNING; /* 3 would be ready */
    expect(POLICY_WAIT, -1, 0);
}

static void a_lost_gang_is_tried_again_after_a_growing_pause(void **unused)
{
    (void)unused;
    int64_t now = 1000, pause = state.backoff_ms;
    for (int failure = 1; failure < state.max_failures; failure++) {
        expect(POLICY_START, 0, now);
        state.stages[0].status = POLICY_RUNNING;
        policy_ended(&state, 0, ERR_PEER, false, now);
        expect(POLICY_WAIT, 0, now + pause - 1);
        assert_int_equal(policy_next(&state, now).until_ms, now + pause);
        now += pause;
        pause *= 2;
    }
    expect(POLICY_START, 0, now);
    state.stages[0].status = POLICY_RUNNING;
    policy_ended(&state, 0, ERR_PEER, false, now);
    expect(POLICY_GIVE_UP, 0, now + 1000000);
}

static void progress_gives_the_budget_back(void **unused)
{
    (void)unused;
    int64_t now = 0;
    for (int i = 0; i < 10 * state.max_failures; i++) {
        now += state.backoff_max_ms;
        expect(POLICY_START, 0, now);
        state.stages[0].status = POLICY_RUNNING;
        policy_ended(&state, 0, ERR_PEER, true, now);
    }
    expect(POLICY_START, 0, now + state.backoff_max_ms);
}

static void the_pause_has_a_longest(void **unused)
{
    (void)unused;
    state.max_failures = 100;
    for (int i = 0; i < 99; i++)
        policy_ended(&state, 0, ERR_AGAIN, false, 0);
    assert_int_equal(state.stages[0].not_before_ms, state.backoff_max_ms);
}

static void a_runner_that_takes_over_goes_on_with_the_budget(void **unused)
{
    (void)unused;
    policy_recall(&state, 0, state.max_failures - 1, 500, 1000);
    expect(POLICY_WAIT, 0, 1499);
    expect(POLICY_START, 0, 1500);
    policy_ended(&state, 0, ERR_PEER, false, 2000);
    expect(POLICY_GIVE_UP, 0, 1000000);
}

static void a_clock_that_was_set_stretches_no_pause(void **unused)
{
    (void)unused;
    policy_recall(&state, 0, 1, INT64_MAX, 1000);
    expect(POLICY_START, 0, 1000 + state.backoff_max_ms);
    policy_recall(&state, 1, 1, INT64_MIN, 1000);
    assert_int_equal(state.stages[1].not_before_ms, 0);
}

static void errors_that_would_come_again_are_never_retried(void **unused)
{
    static const enum err final[] = {ERR_FAILED, ERR_USAGE, ERR_DATA, ERR_NOT_FOUND,   ERR_NUMERIC,
                                     ERR_CONFIG, ERR_IO,    ERR_FULL, ERR_UNAVAILABLE, ERR_MEMORY};
    for (size_t i = 0; i < sizeof final / sizeof final[0]; i++) {
        set_up(unused);
        policy_ended(&state, 0, final[i], true, 0);
        expect(POLICY_GIVE_UP, 0, 1000000);
        assert_int_equal(state.stages[0].error, final[i]);
    }
}

static void a_failed_branch_does_not_stop_its_neighbour(void **unused)
{
    (void)unused;
    finish(0);
    finish(1);
    policy_ended(&state, 2, ERR_CONFIG, false, 0);
    expect(POLICY_START, 3, 0);
    finish(3);
    expect(POLICY_GIVE_UP, 2, 0); /* 4 needs 2 */
}

static void a_stop_starts_nothing_more_and_is_no_failure(void **unused)
{
    (void)unused;
    finish(0);
    state.stages[1].status = POLICY_RUNNING;
    state.is_stopping = true;
    expect(POLICY_WAIT, -1, 0);
    policy_ended(&state, 1, ERR_INTERRUPTED, true, 0);
    assert_int_equal(state.stages[1].status, POLICY_PENDING);
    assert_int_equal(state.stages[1].failures, 0);
    expect(POLICY_STOPPED, -1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(stages_start_in_order_of_their_dependencies, set_up),
        cmocka_unit_test_setup(nothing_starts_while_something_runs, set_up),
        cmocka_unit_test_setup(a_lost_gang_is_tried_again_after_a_growing_pause, set_up),
        cmocka_unit_test_setup(progress_gives_the_budget_back, set_up),
        cmocka_unit_test_setup(the_pause_has_a_longest, set_up),
        cmocka_unit_test_setup(a_runner_that_takes_over_goes_on_with_the_budget, set_up),
        cmocka_unit_test_setup(a_clock_that_was_set_stretches_no_pause, set_up),
        cmocka_unit_test_setup(errors_that_would_come_again_are_never_retried, set_up),
        cmocka_unit_test_setup(a_failed_branch_does_not_stop_its_neighbour, set_up),
        cmocka_unit_test_setup(a_stop_starts_nothing_more_and_is_no_failure, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
