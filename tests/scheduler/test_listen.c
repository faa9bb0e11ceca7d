/* What the loop believes of a gang's words, where it answers, and what it bears from others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scheduler/puppet.h"

/* Ends the run as a person would; the gang answers as it should. */
static void stop_run(struct puppet *puppet)
{
    puppet->set->stop = 1;
    puppet_say_failed(puppet, "teacher", ERR_INTERRUPTED);
}

static void report_on_another_stage(struct puppet *puppet)
{
    static uint64_t own;
    if (puppet->scene == 0) {
        puppet_connect(puppet);
        puppet_say_hello(puppet);
        puppet->scene++;
    } else if (puppet->scene == 1 && puppet_hears(puppet, GW__TO_WORKER__BODY_ASSIGN)) {
        puppet_say_warning(puppet, "kernel");
        puppet_say_checkpoint(puppet, "kernel", 9);
        puppet_say_failed(puppet, "kernel", ERR_NUMERIC);
        puppet_say_done(puppet, "kernel");
        own = puppet_say_checkpoint(puppet, "teacher", 4);
        puppet->scene++;
    } else if (puppet->scene == 2 && puppet_hears(puppet, GW__TO_WORKER__BODY_ACCEPTED) &&
               puppet_was_accepted(puppet, own)) {
        for (uint64_t lie = own - 4; lie < own; lie++)
            assert_false(puppet_was_accepted(puppet, lie));
        stop_run(puppet);
        puppet->scene++;
    }
}

static void a_report_on_another_stage_changes_nothing(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, report_on_another_stage);
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 3);
    puppet_free(&puppet);
    assert_string_equal(text_get(&set->told), "start teacher 0\n");
    set_survey(set);
    assert_int_equal(set->survey.stages[SET_TEACHER].record.step, 4);
    assert_false(set->survey.stages[SET_KERNEL].has_record);
}

/* The gang of lease 1 is told that 99 is void, not that it is to go. */
static void speak_of_another_lease(struct puppet *puppet)
{
    if (puppet->scene == 0) {
        puppet_connect(puppet);
        puppet_say_hello(puppet);
        puppet->scene++;
    } else if (puppet->scene == 1 && puppet_hears(puppet, GW__TO_WORKER__BODY_ASSIGN)) {
        puppet_say_alive(puppet, 99);
        puppet->scene++;
    } else if (puppet->scene == 2 && puppet_hears(puppet, GW__TO_WORKER__BODY_BYE)) {
        assert_int_equal(puppet->void_lease, 99);
        stop_run(puppet);
        puppet->scene++;
    }
}

static void a_goodbye_names_the_lease_that_is_void(void **state)
{
    struct stage_set *set = *state;
    struct puppet puppet;
    puppet_make(&puppet, set, speak_of_another_lease);
    expect_run(set, ERR_INTERRUPTED);
    assert_int_equal(puppet.scene, 3);
    puppet_free(&puppet);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_report_on_another_stage_changes_nothing),
        TEST(a_goodbye_names_the_lease_that_is_void),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
