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

/* The only action, or the first where stages are started. */
static struct policy_action first(int64_t now)
{
    struct policy_actions actions = policy_next(&state, now);
    return actions.list[0];
}

static void expect(enum policy_verb verb, int stage, int64_t now)
{
    struct policy_action action = first(now);
    if (action.verb != verb || (stage >= 0 && action.stage != stage))
        fail_msg("at %lld: verb %d stage %d, expected verb %d stage %d", (long long)now,
                 action.verb, action.stage, verb, stage);
}

/* "23 wait": the stages to be started, and what comes behind them. They run from then on. */
static void expect_list(const char *expected, int64_t now)
{
    static const char *const verbs[] = {"start",    "help",    "release", "wait",
                                        "finished", "give up", "stopped"};
    char found[64] = "";
    struct policy_actions actions = policy_next(&state, now);
    for (int i = 0; i < actions.count - 1; i++) {
        assert_int_equal(actions.list[i].verb, POLICY_START);
        snprintf(found + strlen(found), sizeof found - strlen(found), "%d", actions.list[i].stage);
        policy_started(&state, actions.list[i].stage);
    }
    snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s",
             actions.count > 1 ? " " : "", verbs[actions.list[actions.count - 1].verb]);
    assert_string_equal(found, expected);
}

static void finish(int stage)
{
    state.stages[stage].status = POLICY_RUNNING;
    policy_ended(&state, stage, CAUSE_NONE, true, 0);
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

static void no_gang_starts_beside_a_gang(void **unused)
{
    (void)unused;
    finish(0);
    finish(1);
    state.stages[2].status = POLICY_RUNNING; /* 3 would be ready */
    expect(POLICY_WAIT, -1, 0);
}

static void only_one_gang_trains(void **unused)
{
    (void)unused;
    state.capacity.gangs = 4;
    finish(0);
    finish(1);
    expect_list("2 wait", 0); /* 3 trains too */
    graph.stages[3].kind = STAGE_EVALUATE;
    expect_list("3 wait", 0);
}

/* ---- helpers */

/* c and d evaluate and have started; "2+1": two gangs and one more for helpers. */
static void start_evaluations(int gangs)
{
    state.capacity.gangs = gangs;
    graph.stages[2].kind = graph.stages[3].kind = STAGE_EVALUATE;
    finish(0);
    finish(1);
    policy_started(&state, 2);
    policy_started(&state, 3);
    state.stages[2].wants_helpers = state.stages[3].wants_helpers = true;
}

/* "help 2 away 3 ": helpers here and on other nodes; they are given. */
static void expect_help(const char *expected, int64_t now)
{
    char found[64] = "";
    struct policy_actions actions = policy_next(&state, now);
    for (int i = 0; i < actions.count - 1; i++) {
        bool is_release = actions.list[i].verb == POLICY_RELEASE;
        int stage = actions.list[i].stage;
        enum policy_place place = actions.list[i].place;
        assert_true(is_release || actions.list[i].verb == POLICY_HELP);
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s %d ",
                 is_release             ? "release"
                 : place == POLICY_AWAY ? "away"
                                        : "help",
                 stage);
        (is_release ? policy_helper_released : policy_helper_started)(&state, stage, place);
    }
    assert_int_equal(actions.list[actions.count - 1].verb, POLICY_WAIT);
    assert_string_equal(found, expected);
}

static void room_that_is_left_is_for_helpers(void **unused)
{
    (void)unused;
    start_evaluations(5);
    expect_help("help 2 help 3 ", 0);
    expect_help("help 2 ", 0);
    expect_help("", 0);
    state.stages[2].wants_helpers = false;
    policy_helper_ended(&state, 2, POLICY_HERE, CAUSE_LOST, 0);
    expect_help("help 3 ", 0);
}

static void one_gang_has_no_helpers(void **unused)
{
    (void)unused;
    start_evaluations(2);
    expect_help("", 0);
}

static void helpers_fit_into_the_memory(void **unused)
{
    (void)unused;
    static const size_t bytes[PLAN_MAX_STAGES] = {10, 10, 30, 10, 10};
    start_evaluations(9);
    state.capacity.stage_bytes = bytes;
    state.capacity.memory_bytes = 60; /* 40 are taken */
    expect_help("help 3 ", 0);
    expect_help("help 3 ", 0);
    expect_help("", 0);
}

static void a_stage_that_is_ready_comes_before_helpers(void **unused)
{
    (void)unused;
    start_evaluations(4);
    expect_help("help 2 help 3 ", 0);
    policy_ended(&state, 3, CAUSE_LOST, false, 0);  /* it waits for its next try... */
    policy_helper_released(&state, 3, POLICY_HERE); /* ...and its helper goes */
    policy_helper_ended(&state, 3, POLICY_HERE, CAUSE_NONE, 0);
    expect_help("help 2 ", 0);
    expect_help("help 2 ", 0);
    expect_help("", 0);
    int64_t again = state.stages[3].not_before_ms;
    expect_help("release 2 ", again);
    expect_help("", again); /* one is on its way */
    policy_helper_ended(&state, 2, POLICY_HERE, CAUSE_NONE, again);
    expect_list("3 wait", again);
    assert_int_equal(policy_helpers_staying(&state.stages[2]), 2);
}

static void helpers_that_fail_are_given_up_and_the_stage_goes_on(void **unused)
{
    (void)unused;
    start_evaluations(3);
    state.stages[3].wants_helpers = false;
    int64_t now = 0;
    for (int i = 0; i < cause_limit(CAUSE_CRASH); i++) {
        expect_help("help 2 ", now);
        policy_helper_ended(&state, 2, POLICY_HERE, CAUSE_LOST, now);
        expect_help("", now); /* the pause */
        now += state.backoff_max_ms;
    }
    expect_help("", now);
    assert_int_equal(state.stages[2].status, POLICY_RUNNING);
    policy_helper_works(&state, 2); /* as if one had */
    expect_help("help 2 ", now);
}

static void a_helper_that_would_fail_again_was_the_last(void **unused)
{
    (void)unused;
    start_evaluations(3);
    state.stages[3].wants_helpers = false;
    expect_help("help 2 ", 0);
    policy_helper_ended(&state, 2, POLICY_HERE, CAUSE_MEMORY, 0);
    expect_help("", state.backoff_max_ms);
}

static void helpers_that_find_no_room_cost_nothing_but_a_pause(void **unused)
{
    (void)unused;
    start_evaluations(3);
    state.stages[3].wants_helpers = false;
    int64_t now = 0;
    for (int i = 0; i < 100; i++, now += state.backoff_ms) {
        expect_help("help 2 ", now);
        policy_helper_ended(&state, 2, POLICY_HERE, CAUSE_FULL, now);
        expect_help("", now);
    }
    assert_int_equal(state.stages[2].helper_failures, 0);
}

static void helpers_go_to_other_nodes_first_where_they_can_read(void **unused)
{
    (void)unused;
    start_evaluations(3);
    state.capacity.away = 2;
    expect_help("help 2 ", 0); /* nothing is published yet */
    expect_help("", 0);
    state.stages[2].is_seen_away = state.stages[3].is_seen_away = true;
    expect_help("away 2 away 3 ", 0);
    expect_help("", 0);
    policy_helper_ended(&state, 3, POLICY_AWAY, CAUSE_LOST, 0);
    state.stages[3].wants_helpers = false;
    expect_help("away 2 ", 0);
    assert_int_equal(policy_helpers_staying(&state.stages[2]), 3);
}

/* A stage that needs room here gets none by a helper elsewhere that goes. */
static void only_helpers_here_make_room(void **unused)
{
    (void)unused;
    start_evaluations(2);
    state.capacity.away = 1;
    state.stages[2].is_seen_away = true;
    state.stages[3].wants_helpers = false;
    policy_ended(&state, 3, CAUSE_LOST, false, 0);
    expect_help("away 2 ", 0);
    expect_help("help 2 ", 0);
    int64_t again = state.stages[3].not_before_ms;
    expect_help("release 2 ", again);
    assert_int_equal(state.stages[2].helpers[POLICY_HERE].leaving, 1);
    assert_int_equal(state.stages[2].helpers[POLICY_AWAY].leaving, 0);
    policy_helper_ended(&state, 2, POLICY_HERE, CAUSE_NONE, again);
    expect_list("3 wait", again);
}

static void the_run_ends_behind_helpers_elsewhere_too(void **unused)
{
    (void)unused;
    start_evaluations(2);
    state.capacity.away = 1;
    state.stages[2].is_seen_away = true;
    expect_help("away 2 ", 0);
    finish(2);
    finish(3);
    finish(4);
    expect(POLICY_WAIT, -1, 0);
    policy_helper_released(&state, 2, POLICY_AWAY);
    policy_helper_ended(&state, 2, POLICY_AWAY, CAUSE_NONE, 0);
    expect(POLICY_FINISHED, -1, 0);
}

static void nothing_is_helped_while_a_stop_is_asked_for(void **unused)
{
    (void)unused;
    start_evaluations(5);
    state.is_stopping = true;
    expect_help("", 0);
}

static void the_run_ends_behind_the_last_helper(void **unused)
{
    (void)unused;
    start_evaluations(3);
    expect_help("help 2 ", 0);
    finish(2);
    finish(3);
    finish(4);
    expect(POLICY_WAIT, -1, 0);
    policy_helper_released(&state, 2, POLICY_HERE);
    policy_helper_ended(&state, 2, POLICY_HERE, CAUSE_NONE, 0);
    expect(POLICY_FINISHED, -1, 0);
}

static void a_lost_gang_is_tried_again_after_a_growing_pause(void **unused)
{
    (void)unused;
    int64_t now = 1000, pause = state.backoff_ms;
    for (int failure = 1; failure < cause_limit(CAUSE_CRASH); failure++) {
        expect(POLICY_START, 0, now);
        state.stages[0].status = POLICY_RUNNING;
        policy_ended(&state, 0, CAUSE_CRASH, false, now);
        expect(POLICY_WAIT, 0, now + pause - 1);
        assert_int_equal(first(now).until_ms, now + pause);
        now += pause;
        pause *= 2;
    }
    expect(POLICY_START, 0, now);
    state.stages[0].status = POLICY_RUNNING;
    policy_ended(&state, 0, CAUSE_CRASH, false, now);
    expect(POLICY_GIVE_UP, 0, now + 1000000);
}

static void progress_gives_the_budget_back(void **unused)
{
    (void)unused;
    int64_t now = 0;
    for (int i = 0; i < 10 * cause_limit(CAUSE_CRASH); i++) {
        now += state.backoff_max_ms;
        expect(POLICY_START, 0, now);
        state.stages[0].status = POLICY_RUNNING;
        policy_ended(&state, 0, CAUSE_CRASH, true, now);
    }
    expect(POLICY_START, 0, now + state.backoff_max_ms);
}

static void the_pause_has_a_longest(void **unused)
{
    (void)unused;
    state.backoff_ms = state.backoff_max_ms / 3;
    for (int i = 1; i < cause_limit(CAUSE_BUSY); i++)
        policy_ended(&state, 0, CAUSE_BUSY, false, 0);
    assert_int_equal(state.stages[0].not_before_ms, state.backoff_max_ms);
}

static void crashes_and_silences_count_together_and_apart_from_others(void **unused)
{
    static const enum cause mixed[] = {CAUSE_CRASH, CAUSE_BUG,  CAUSE_LOST,
                                       CAUSE_BUSY,  CAUSE_LOST, CAUSE_TIME_LIMIT};
    (void)unused;
    for (size_t i = 0; i < sizeof mixed / sizeof mixed[0]; i++) {
        policy_ended(&state, 0, mixed[i], false, 0);
        assert_int_equal(state.stages[0].status, POLICY_PENDING);
    }
    policy_ended(&state, 0, CAUSE_CRASH, false, 0);
    expect(POLICY_GIVE_UP, 0, 0);
}

static void a_bug_is_tried_once_more(void **unused)
{
    (void)unused;
    policy_ended(&state, 0, CAUSE_BUG, false, 0);
    expect(POLICY_START, 0, state.backoff_ms);
    policy_ended(&state, 0, CAUSE_BUG, false, 0);
    expect(POLICY_GIVE_UP, 0, 0);
}

static void the_ends_of_its_jobs_cost_a_stage_nothing_while_it_gets_on(void **unused)
{
    static const enum cause of_job[] = {CAUSE_PREEMPTED, CAUSE_TIME_LIMIT};
    (void)unused;
    for (int i = 0; i < 1000; i++) {
        policy_ended(&state, 0, of_job[i % 2], true, 7);
        expect(POLICY_START, 0, 7); /* without a pause */
    }
}

static void jobs_that_end_before_anything_is_done_are_not_asked_for_for_ever(void **unused)
{
    static const enum cause of_job[] = {CAUSE_PREEMPTED, CAUSE_TIME_LIMIT};
    for (int i = 0; i < 2; i++) {
        set_up(unused);
        state.is_stopping = true;
        for (int end = 1; end < cause_limit(of_job[i]); end++) {
            policy_ended(&state, 0, of_job[i], false, 0);
            expect(POLICY_STOPPED, -1, 0);
        }
        policy_ended(&state, 0, of_job[i], false, 0);
        expect(POLICY_GIVE_UP, 0, 0);
    }
}

static void a_person_may_stop_a_stage_any_number_of_times(void **unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++)
        policy_ended(&state, 0, i % 2 ? CAUSE_STOPPED : CAUSE_RUNNER, false, 0);
    expect(POLICY_START, 0, 0);
}

static struct policy_memory remember(const struct budget *budget, enum cause cause, int64_t ago_ms)
{
    return (struct policy_memory){.budget = budget, .cause = cause, .ago_ms = ago_ms};
}

static void a_runner_that_takes_over_goes_on_with_the_budget(void **unused)
{
    (void)unused;
    struct budget budget = {.spent = {[CAUSE_CRASH] = cause_limit(CAUSE_CRASH) - 1}};
    int64_t pause = state.backoff_ms * 8;
    struct policy_memory memory = remember(&budget, CAUSE_CRASH, pause - 500);
    policy_recall(&state, 0, &memory, 1000);
    expect(POLICY_WAIT, 0, 1499);
    expect(POLICY_START, 0, 1500);
    policy_ended(&state, 0, CAUSE_LOST, false, 2000);
    expect(POLICY_GIVE_UP, 0, 1000000);
}

static void a_clock_that_was_set_stretches_no_pause(void **unused)
{
    (void)unused;
    struct budget budget = {.spent = {[CAUSE_CRASH] = 1}};
    struct policy_memory back = remember(&budget, CAUSE_CRASH, INT64_MIN);
    struct policy_memory forth = remember(&budget, CAUSE_CRASH, INT64_MAX);
    policy_recall(&state, 0, &back, 1000);
    expect(POLICY_START, 0, 1000 + state.backoff_ms);
    policy_recall(&state, 1, &forth, 1000);
    assert_int_equal(state.stages[1].not_before_ms, 0);
}

static void errors_that_would_come_again_are_never_retried(void **unused)
{
    static const enum err final[] = {ERR_FAILED,    ERR_USAGE,       ERR_DATA,
                                     ERR_NOT_FOUND, ERR_NUMERIC,     ERR_CONFIG,
                                     ERR_IO,        ERR_UNAVAILABLE, ERR_MEMORY};
    for (size_t i = 0; i < sizeof final / sizeof final[0]; i++) {
        set_up(unused);
        policy_ended(&state, 0, cause_of(final[i]), true, 0);
        expect(POLICY_GIVE_UP, 0, 1000000);
    }
}

static void a_full_disk_is_waited_for_however_often(void **unused)
{
    (void)unused;
    int64_t now_ms = 0, pause_ms = 0;
    for (int i = 0; i < 100; i++) {
        policy_ended(&state, 0, cause_of(ERR_FULL), false, now_ms);
        pause_ms = state.stages[0].not_before_ms - now_ms;
        expect(POLICY_WAIT, 0, now_ms);
        now_ms += pause_ms;
        expect(POLICY_START, 0, now_ms);
    }
    assert_int_equal(pause_ms, state.backoff_max_ms);
}

static void a_failed_branch_does_not_stop_its_neighbour(void **unused)
{
    (void)unused;
    finish(0);
    finish(1);
    policy_ended(&state, 2, CAUSE_CONFIG, false, 0);
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
    policy_ended(&state, 1, CAUSE_STOPPED, true, 0);
    assert_int_equal(state.stages[1].status, POLICY_PENDING);
    assert_int_equal(budget_spent(&state.stages[1].budget, CAUSE_CRASH), 0);
    expect(POLICY_STOPPED, -1, 0);
}

/* c and d as host stages, b done: both are ready. */
static void make_hosts(int hosts)
{
    graph.stages[2].is_host = graph.stages[3].is_host = true;
    state.capacity.hosts = hosts;
    finish(0);
    finish(1);
}

static void end(int stage, enum err error)
{
    policy_ended(&state, stage, cause_of(error), false, 0);
}

static void host_stages_run_side_by_side(void **unused)
{
    (void)unused;
    make_hosts(2);
    expect_list("23 wait", 0);
    expect_list("wait", 0);
    end(2, ERR_OK);
    expect_list("wait", 0); /* 4 needs both */
    end(3, ERR_OK);
    expect_list("4 wait", 0);
    end(4, ERR_OK);
    expect_list("finished", 0);
}

static void host_stages_are_no_more_than_fit(void **unused)
{
    (void)unused;
    make_hosts(1);
    expect_list("2 wait", 0);
    end(2, ERR_OK);
    expect_list("3 wait", 0);
}

static void a_host_stage_runs_beside_a_gang(void **unused)
{
    (void)unused;
    make_hosts(1);
    graph.stages[2].is_host = false;
    expect_list("23 wait", 0);
}

static void what_runs_together_fits_into_memory(void **unused)
{
    static const size_t bytes[5] = {9, 9, 4, 3, 9};
    (void)unused;
    make_hosts(2);
    state.capacity.stage_bytes = bytes;
    state.capacity.memory_bytes = 7;
    expect_list("23 wait", 0);
    end(2, ERR_INTERRUPTED);
    end(3, ERR_INTERRUPTED);
    state.capacity.memory_bytes = 6;
    expect_list("2 wait", 0);
    end(2, ERR_OK);
    expect_list("3 wait", 0);
    end(3, ERR_OK);
    expect_list("4 wait", 0); /* alone it runs, whatever it takes */
}

static void one_backs_off_while_the_other_goes_on(void **unused)
{
    (void)unused;
    make_hosts(2);
    expect_list("23 wait", 0);
    end(2, ERR_PEER);
    expect_list("wait", 0);
    assert_int_equal(first(0).stage, 2);
    assert_int_equal(first(0).until_ms, state.backoff_ms);
    expect_list("2 wait", state.backoff_ms);
}

/* Its last attempt has left a process that a disk holds: its room is for others meanwhile. */
static void who_is_held_leaves_its_room_to_others_and_the_run_waits_for_it(void **unused)
{
    (void)unused;
    finish(0);
    finish(1);
    state.stages[2].is_held = true;
    expect_list("3 wait", 0);
    finish(3);
    expect_list("wait", 0);
    assert_int_equal(first(0).stage, 2);
    state.stages[2].is_held = false;
    expect_list("2 wait", 0);
}

static void a_final_failure_lets_what_runs_end(void **unused)
{
    (void)unused;
    make_hosts(2);
    expect_list("23 wait", 0);
    end(2, ERR_CONFIG);
    expect_list("wait", 0);
    end(3, ERR_PEER);
    expect_list("3 wait", state.backoff_ms); /* needs nothing of what failed */
    end(3, ERR_OK);
    expect_list("give up", 0);
    assert_int_equal(first(0).stage, 2);
}

static void a_stop_waits_for_all_that_runs(void **unused)
{
    (void)unused;
    make_hosts(2);
    expect_list("23 wait", 0);
    state.is_stopping = true;
    end(2, ERR_INTERRUPTED);
    expect_list("wait", 0);
    end(3, ERR_INTERRUPTED);
    expect_list("stopped", 0);
}

static void what_is_made_again_waits_for_its_readers_and_holds_up_the_others(void **unused)
{
    (void)unused;
    make_hosts(2);
    expect_list("23 wait", 0);
    end(2, ERR_AGAIN); /* it has found b damaged */
    policy_reopen(&state, 1);
    expect_list("wait", state.backoff_ms);
    end(3, ERR_OK);
    expect_list("1 wait", state.backoff_ms);
    end(1, ERR_OK);
    expect_list("2 wait", state.backoff_ms);
    policy_reopen(&state, 0); /* c goes on, 4 would stand on what a makes */
    end(2, ERR_OK);
    expect_list("0 wait", state.backoff_ms);
    end(0, ERR_OK);
    expect_list("4 wait", state.backoff_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(stages_start_in_order_of_their_dependencies, set_up),
        cmocka_unit_test_setup(no_gang_starts_beside_a_gang, set_up),
        cmocka_unit_test_setup(only_one_gang_trains, set_up),
        cmocka_unit_test_setup(room_that_is_left_is_for_helpers, set_up),
        cmocka_unit_test_setup(one_gang_has_no_helpers, set_up),
        cmocka_unit_test_setup(helpers_fit_into_the_memory, set_up),
        cmocka_unit_test_setup(helpers_go_to_other_nodes_first_where_they_can_read, set_up),
        cmocka_unit_test_setup(only_helpers_here_make_room, set_up),
        cmocka_unit_test_setup(the_run_ends_behind_helpers_elsewhere_too, set_up),
        cmocka_unit_test_setup(a_stage_that_is_ready_comes_before_helpers, set_up),
        cmocka_unit_test_setup(helpers_that_fail_are_given_up_and_the_stage_goes_on, set_up),
        cmocka_unit_test_setup(a_helper_that_would_fail_again_was_the_last, set_up),
        cmocka_unit_test_setup(helpers_that_find_no_room_cost_nothing_but_a_pause, set_up),
        cmocka_unit_test_setup(nothing_is_helped_while_a_stop_is_asked_for, set_up),
        cmocka_unit_test_setup(the_run_ends_behind_the_last_helper, set_up),
        cmocka_unit_test_setup(a_lost_gang_is_tried_again_after_a_growing_pause, set_up),
        cmocka_unit_test_setup(progress_gives_the_budget_back, set_up),
        cmocka_unit_test_setup(the_pause_has_a_longest, set_up),
        cmocka_unit_test_setup(crashes_and_silences_count_together_and_apart_from_others, set_up),
        cmocka_unit_test_setup(a_bug_is_tried_once_more, set_up),
        cmocka_unit_test_setup(the_ends_of_its_jobs_cost_a_stage_nothing_while_it_gets_on, set_up),
        cmocka_unit_test_setup(jobs_that_end_before_anything_is_done_are_not_asked_for_for_ever,
                               set_up),
        cmocka_unit_test_setup(a_person_may_stop_a_stage_any_number_of_times, set_up),
        cmocka_unit_test_setup(a_runner_that_takes_over_goes_on_with_the_budget, set_up),
        cmocka_unit_test_setup(a_clock_that_was_set_stretches_no_pause, set_up),
        cmocka_unit_test_setup(errors_that_would_come_again_are_never_retried, set_up),
        cmocka_unit_test_setup(a_full_disk_is_waited_for_however_often, set_up),
        cmocka_unit_test_setup(a_failed_branch_does_not_stop_its_neighbour, set_up),
        cmocka_unit_test_setup(a_stop_starts_nothing_more_and_is_no_failure, set_up),
        cmocka_unit_test_setup(host_stages_run_side_by_side, set_up),
        cmocka_unit_test_setup(host_stages_are_no_more_than_fit, set_up),
        cmocka_unit_test_setup(a_host_stage_runs_beside_a_gang, set_up),
        cmocka_unit_test_setup(what_runs_together_fits_into_memory, set_up),
        cmocka_unit_test_setup(who_is_held_leaves_its_room_to_others_and_the_run_waits_for_it,
                               set_up),
        cmocka_unit_test_setup(one_backs_off_while_the_other_goes_on, set_up),
        cmocka_unit_test_setup(a_final_failure_lets_what_runs_end, set_up),
        cmocka_unit_test_setup(a_stop_waits_for_all_that_runs, set_up),
        cmocka_unit_test_setup(what_is_made_again_waits_for_its_readers_and_holds_up_the_others,
                               set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
