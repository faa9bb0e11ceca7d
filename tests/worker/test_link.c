/* The gang's end of the protocol against a scheduler that the test plays: what is reported for
 * which lease, and what ends a gang. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/worker/scripted_scheduler.h"

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_open, script_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unheard_report_is_repeated_as_its_own_lease_s),
        TEST(a_stage_that_still_runs_is_not_taken_for_the_next_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
