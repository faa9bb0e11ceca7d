/* What a person is told before a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/processors.h"
#include "cluster/run_hints.h"

static void expect_hints(struct campaign_run *run, const char *part)
{
    struct text hints;
    text_init(&hints);
    run_hints(run, &hints);
    if (part)
        assert_non_null(strstr(text_get(&hints), part));
    else
        assert_string_equal(text_get(&hints), "");
    text_fini(&hints);
}

static struct campaign_run *plain_run(void)
{
    static struct campaign_run run;
    run.campaign.resources.gangs = run.campaign.resources.ranks = 1;
    run.campaign.resources.threads = 1;
    run.campaign.evaluate.calibration_images = run.campaign.evaluate.calibration_batch = 10;
    run.train_images = 100;
    snprintf(run.campaign.resources.device, sizeof run.campaign.resources.device, "auto");
    snprintf(run.campaign.resources.launcher, sizeof run.campaign.resources.launcher, "local");
    run.campaign.resources.gpus_per_rank = 0;
    return &run;
}

static void expect_hint(int gangs, int ranks, const char *part)
{
    struct campaign_run *run = plain_run();
    run->campaign.resources.gangs = gangs;
    run->campaign.resources.ranks = ranks;
    expect_hints(run, part);
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

static void expect_gpu_hint(const char *device, const char *launcher, int each, const char *part)
{
    struct campaign_run *run = plain_run();
    snprintf(run->campaign.resources.device, sizeof run->campaign.resources.device, "%s", device);
    snprintf(run->campaign.resources.launcher, sizeof run->campaign.resources.launcher, "%s",
             launcher);
    run->campaign.resources.gpus_per_rank = each;
    expect_hints(run, part);
}

static void gpus_that_are_asked_for_in_vain_or_not_at_all_are_said(void **state)
{
    (void)state;
    expect_gpu_hint("cuda", "slurm", 0, "Slurm has to be asked for one a rank");
    expect_gpu_hint("cuda", "slurm", 1, NULL);
    expect_gpu_hint("cuda", "local", 0, NULL);
    expect_gpu_hint("auto", "slurm", 2, "resources.gpus_per_rank: 2, but resources.device is auto");
    expect_gpu_hint("cpu", "slurm", 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gangs_without_processors_of_their_own_are_said),
        cmocka_unit_test(gpus_that_are_asked_for_in_vain_or_not_at_all_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
