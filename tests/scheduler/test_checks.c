/* A bundle's check as a stage: one that fails ends the run with its word, and keeps nobody else
 * from being done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/scheduler/stage_set.h"
#include <unistd.h>

enum { CHECK = SET_REPORT, TOLD = SET_REPORT + 1 }; /* set_add_check() moved the report */

#define FAILS_OF_THE_CHECK                                                                         \
    "[ \"$1\" = check ] && { echo '{}' > \"$2/bundles/$4/check.json\"\n"                           \
    "echo 'glowworm check: layer stem loses too much' >&2; exit 1; }\n"

static int set_up_check(void **state)
{
    if (set_up(state) != 0)
        return -1;
    set_add_check(*state);
    return 0;
}

static void expect_hosted(const struct stage_set *set, const char *expected)
{
    char *hosted = set_read(set, "hosted");
    assert_string_equal(hosted, expected);
    mem_free(hosted);
}

static void remove_of_bundle(const struct stage_set *set, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/bundles/best/%s", set->folder, name);
    assert_int_equal(unlink(path), 0);
}

static void a_check_follows_its_bundle_and_the_report_waits_for_it(void **state)
{
    struct stage_set *set = *state;
    expect_run(set, ERR_OK);
    set_expect_done(set);
    expect_hosted(set, "compile best\ncheck best\nreport \n");
}

static void one_that_fails_is_told_of_and_ends_the_run_with_its_word(void **state)
{
    struct stage_set *set = *state;
    set_script(set, "best", FAILS_OF_THE_CHECK);
    expect_run(set, ERR_FAILED);
    expect_in(err_text(), "stage check-best failed: ended with exit code 1: glowworm check: layer "
                          "stem loses too much");
    set_survey(set);
    assert_int_equal(set->survey.stages[CHECK].record.attempts, 1);
    assert_int_not_equal(set->survey.stages[CHECK].verdict, SURVEY_DONE);
    assert_int_equal(set->survey.stages[TOLD].record.attempts, 1);
    expect_hosted(set, "compile best\nreport \n");
}

static void it_is_tried_again_with_the_next_run_and_told_of_anew(void **state)
{
    struct stage_set *set = *state;
    set_script(set, "best", FAILS_OF_THE_CHECK);
    expect_run(set, ERR_FAILED);
    set_script(set, "best", NULL);
    set_survey(set);
    assert_int_equal(set->survey.stages[TOLD].verdict, SURVEY_LOST);
    assert_string_equal(set->survey.stages[TOLD].why, "check-best runs again");
    expect_run(set, ERR_OK);
    set_expect_done(set);
    expect_hosted(set, "compile best\nreport \ncheck best\nreport \n");
}

static void a_bundle_that_is_compiled_again_is_checked_again(void **state)
{
    struct stage_set *set = *state;
    expect_run(set, ERR_OK);
    remove_of_bundle(set, "bundle.json");
    set_survey(set);
    assert_string_equal(set->survey.stages[CHECK].why, "compile-best runs again");
    expect_run(set, ERR_OK);
    set_expect_done(set);
    expect_hosted(set, "compile best\ncheck best\nreport \ncompile best\ncheck best\nreport \n");
}

static void a_verdict_that_is_gone_is_come_to_again(void **state)
{
    struct stage_set *set = *state;
    expect_run(set, ERR_OK);
    remove_of_bundle(set, "check.json");
    expect_run(set, ERR_OK);
    set_expect_done(set);
    expect_hosted(set, "compile best\ncheck best\nreport \ncheck best\nreport \n");
}

static void one_that_waits_for_a_person_ends_the_run_with_86_and_is_tried_again(void **state)
{
    struct stage_set *set = *state;
    set_script(
        set, "best",
        "[ \"$1\" = check ] && { echo 'put firefly.graph into the bundle' >&2; exit 86; }\n");
    expect_run(set, ERR_HELD);
    expect_in(err_text(), "put firefly.graph into the bundle");
    assert_int_equal(err_exit_code(ERR_HELD), 86);
    set_survey(set);
    assert_int_equal(set->survey.stages[CHECK].record.attempts, 1);
    assert_int_equal(set->survey.stages[CHECK].record.cause, CAUSE_HELD);
    set_script(set, "best", NULL);
    expect_run(set, ERR_OK);
    set_expect_done(set);
}

/* A bundle that was not made has no check, and a report would have nothing to tell of. */
static void where_compiling_fails_nothing_waits_for_a_check(void **state)
{
    struct stage_set *set = *state;
    set_script(set, "best", "echo 'the squeeze-excite cannot be written'; exit 78\n");
    expect_run(set, ERR_CONFIG);
    expect_in(err_text(), "stage compile-best failed: ended with exit code 78: the squeeze-excite");
    set_survey(set);
    assert_false(set->survey.stages[CHECK].has_record);
    assert_false(set->survey.stages[TOLD].has_record);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_check, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_check_follows_its_bundle_and_the_report_waits_for_it),
        TEST(one_that_fails_is_told_of_and_ends_the_run_with_its_word),
        TEST(it_is_tried_again_with_the_next_run_and_told_of_anew),
        TEST(a_bundle_that_is_compiled_again_is_checked_again),
        TEST(a_verdict_that_is_gone_is_come_to_again),
        TEST(one_that_waits_for_a_person_ends_the_run_with_86_and_is_tried_again),
        TEST(where_compiling_fails_nothing_waits_for_a_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
