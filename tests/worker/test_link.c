/* The gang's end of the protocol against a scheduler that the test plays: what is reported for
 * which lease, and what ends a gang. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/worker/scripted_scheduler.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 20.0

static atomic_int slept_s; /* this machine, so far */

double __wrap_clock_seconds(void);
double __real_clock_seconds(void);
double __wrap_clock_seconds(void)
{
    return __real_clock_seconds() + atomic_load(&slept_s);
}

static void begin(struct script *script, uint64_t lease_epoch, const char *stage)
{
    struct assignment assignment;
    script_assign(script, lease_epoch, stage);
    if (link_take(script->link, &assignment) != ERR_OK)
        fail_msg("%s", err_text());
    assert_string_equal(assignment.stage, stage);
    assert_int_equal(assignment.lease_epoch, lease_epoch);
}

static void expect_heard(const struct heard *heard, uint64_t lease_epoch, const char *stage)
{
    assert_string_equal(heard->stage, stage);
    assert_int_equal(heard->lease_epoch, lease_epoch);
}

static void an_unheard_report_is_repeated_as_its_own_lease_s(void **state)
{
    struct script *script = *state;
    struct hash content = {{1}};
    begin(script, 1, "teacher");
    link_checkpoint(script->link, 5, &content);
    expect_heard(script_hear(script, GW__FROM_WORKER__BODY_CHECKPOINT), 1, "teacher");
    begin(script, 2, "kernel");
    script_await_lease(script, 2);
    const struct heard *again = script_hear(script, GW__FROM_WORKER__BODY_CHECKPOINT);
    expect_heard(again, 1, "teacher");
    assert_int_equal(again->step, 5);
    link_checkpoint(script->link, 3, &content);
    while (again->step != 3)
        again = script_hear(script, GW__FROM_WORKER__BODY_CHECKPOINT);
    expect_heard(again, 2, "kernel");
}

/* The next assignment has come, and the trainer is still busy with the one before. */
static void a_stage_that_still_runs_is_not_taken_for_the_next_one(void **state)
{
    struct script *script = *state;
    struct hash content = {{1}};
    struct assignment next;
    struct link_progress progress = {.step = 19, .doing = "training"};
    begin(script, 1, "teacher");
    script_assign(script, 2, "kernel");
    script_await_lease(script, 2);
    link_progress(script->link, &progress);
    expect_heard(script_hear(script, GW__FROM_WORKER__BODY_PROGRESS), 1, "teacher");
    link_checkpoint(script->link, 20, &content);
    link_warning(script->link, "late");
    expect_heard(script_hear(script, GW__FROM_WORKER__BODY_CHECKPOINT), 1, "teacher");
    expect_heard(script_hear(script, GW__FROM_WORKER__BODY_WARNING), 1, "teacher");
    assert_int_equal(link_take(script->link, &next), ERR_OK);
    assert_string_equal(next.stage, "kernel");
}

struct call { /* of a link's function that waits, in a thread of its own */
    struct link *link;
    enum err (*wait)(struct link *link);
    enum err err;
};

static enum err say_done(struct link *link)
{
    struct hash content = {{1}};
    return link_done(link, &content, NULL);
}

static enum err say_failed(struct link *link)
{
    return link_failed(link, ERR_NUMERIC, "the loss is not a number", 7);
}

static enum err take_next(struct link *link)
{
    struct assignment assignment;
    return link_take(link, &assignment);
}

static void *run_call(void *own)
{
    struct call *call = own;
    call->err = call->wait(call->link);
    return NULL;
}

static void expect_end(pthread_t thread)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)PATIENCE_S;
    if (pthread_timedjoin_np(thread, NULL, &end) != 0)
        fail_msg("it waits still");
}

static void wait_for_stop(struct link *link)
{
    for (double end = clock_seconds() + PATIENCE_S; !link_stop_requested(link);) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        assert_true(clock_seconds() < end);
    }
}

/* The last message that it waits for an answer to; then the scheduler sends it away. */
static void a_gang_that_is_sent_away_waits_for_nothing_more(void **state)
{
    static const struct {
        enum err (*wait)(struct link *link);
        Gw__FromWorker__BodyCase body;
    } cases[] = {{say_done, GW__FROM_WORKER__BODY_DONE},
                 {say_failed, GW__FROM_WORKER__BODY_FAILED},
                 {take_next, GW__FROM_WORKER__BODY_HEARTBEAT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script *script = *state;
        pthread_t thread;
        begin(script, 1, "teacher");
        struct call call = {.link = script->link, .wait = cases[i].wait};
        assert_int_equal(pthread_create(&thread, NULL, run_call, &call), 0);
        script_hear(script, cases[i].body);
        script_bye(script, 1);
        expect_end(thread);
        assert_int_equal(call.err, ERR_INTERRUPTED);
        script_close(state);
        script_open(state);
    }
}

static void a_stage_whose_lease_is_void_stops_and_reports_nothing_more(void **state)
{
    struct script *script = *state;
    struct hash content = {{1}};
    begin(script, 1, "teacher");
    link_checkpoint(script->link, 5, &content);
    script_hear(script, GW__FROM_WORKER__BODY_CHECKPOINT);
    script_bye(script, 1);
    wait_for_stop(script->link);
    assert_false(link_is_lost(script->link));
    assert_int_equal(say_failed(script->link), ERR_INTERRUPTED);
    assert_int_equal(take_next(script->link), ERR_INTERRUPTED);
}

static void an_assignment_that_was_taken_back_is_not_begun(void **state)
{
    struct script *script = *state;
    script_assign(script, 1, "teacher");
    script_bye(script, 1);
    wait_for_stop(script->link);
    assert_int_equal(take_next(script->link), ERR_INTERRUPTED);
}

/* When the acknowledgement of a later report has come, so has the goodbye to the old lease. */
static void finish_stage(struct script *script)
{
    pthread_t thread;
    struct call call = {.link = script->link, .wait = say_done};
    assert_int_equal(pthread_create(&thread, NULL, run_call, &call), 0);
    script_accept(script, script_hear(script, GW__FROM_WORKER__BODY_DONE)->sequence);
    expect_end(thread);
    assert_int_equal(call.err, ERR_OK);
}

static void the_end_of_an_old_lease_ends_its_reports_and_not_the_gang(void **state)
{
    struct script *script = *state;
    struct hash content = {{1}};
    begin(script, 1, "teacher");
    link_checkpoint(script->link, 5, &content);
    script_hear(script, GW__FROM_WORKER__BODY_CHECKPOINT);
    begin(script, 2, "kernel");
    script_bye(script, 1);
    finish_stage(script);
    assert_false(link_stop_requested(script->link));
    link_warning(script->link, "said again and again");
    script_hear(script, GW__FROM_WORKER__BODY_WARNING);
    do
        assert_int_equal(script_hear_any(script)->lease_epoch, 2);
    while (script->heard.body != GW__FROM_WORKER__BODY_WARNING);
    begin(script, 3, "depth-1");
}

static void rank_0_says_with_its_words_how_far_it_has_got(void **state)
{
    struct script *script = *state;
    assert_true(script_hear_any(script)->is_alive);
    begin(script, 1, "teacher");
    atomic_fetch_add(&script->work.done, 5);
    while (script->heard.work != 5)
        assert_true(script_hear_any(script)->is_alive);
    assert_int_equal(script->heard.pid, getpid());
    atomic_fetch_add(&script->work.done, 1);
    link_progress(script->link, &(struct link_progress){.step = 9, .doing = "training"});
    assert_int_equal(script_hear(script, GW__FROM_WORKER__BODY_PROGRESS)->work, 6);
}

/* The second heartbeat is of a turn behind the one that found the time passed. */
static void a_gang_whose_machine_slept_has_not_lost_its_scheduler(void **state)
{
    struct script *script = *state;
    begin(script, 1, "teacher");
    atomic_fetch_add(&slept_s, 3600);
    for (int i = 0; i < 2; i++)
        script_hear(script, GW__FROM_WORKER__BODY_HEARTBEAT);
    assert_false(link_is_lost(script->link));
    assert_false(link_stop_requested(script->link));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_open, script_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unheard_report_is_repeated_as_its_own_lease_s),
        TEST(a_stage_that_still_runs_is_not_taken_for_the_next_one),
        TEST(a_gang_that_is_sent_away_waits_for_nothing_more),
        TEST(a_stage_whose_lease_is_void_stops_and_reports_nothing_more),
        TEST(an_assignment_that_was_taken_back_is_not_begun),
        TEST(the_end_of_an_old_lease_ends_its_reports_and_not_the_gang),
        TEST(rank_0_says_with_its_words_how_far_it_has_got),
        TEST(a_gang_whose_machine_slept_has_not_lost_its_scheduler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
