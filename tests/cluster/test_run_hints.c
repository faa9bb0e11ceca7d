/* What a person is told before a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/processors.h"
#include "cluster/run_hints.h"

static void expect_hint(int gangs, int ranks, const char *part)
{
    static struct campaign_run run;
    struct text hints;
    run.campaign.resources.gangs = gangs;
    run.campaign.resources.ranks = ranks;
    run.campaign.resources.threads = 1;
    run.campaign.evaluate.calibration_images = run.campaign.evaluate.calibration_batch = 10;
    run.train_images = 100;
    text_init(&hints);
    run_hints(&run, &hints);
    if (part)
        assert_non_null(strstr(text_get(&hints), part));
    else
        assert_string_equal(text_get(&hints), "");
    text_fini(&hints);
}

static void gangs_without_processors_of_their_own_are_said(void **state)
{
    char expected[128];
    int there = processors_allowed();
    (void)state;
    snprintf(expected, sizeof expected, "%d gangs of 1 ranks of 1 threads want %d processors, of",
             there + 1, there + 1);
    expect_hint(there + 1, 1, expected);
    expect_hint(there, 1, NULL);
    expect_hint(1, 2 * there, NULL); /* ranks are another matter */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gangs_without_processors_of_their_own_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
