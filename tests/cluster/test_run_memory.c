/* Whether a run fits, and what a refusal says: on machines that are made up, so that nothing has to
 * be large. */
#include "base/mem.h"
#include "cluster/run_memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MB ((size_t)1000000)

struct stand {
    struct campaign_run run;
    bool done[PLAN_MAX_STAGES];
};

/* own-images.yaml: firefly at 160 px, two ranks, micro-batches of 32; 55,000 images. */
static int open_stand(void **state)
{
    struct stand *stand = mem_alloc(sizeof *stand);
    struct campaign_run *run = &stand->run;
    struct graph_cfg graph = {&run->campaign, &run->space, &run->schedule, &run->dataset, ""};
    if (campaign_load("configs/own-images.yaml", NULL, 0, &run->campaign) != ERR_OK ||
        campaign_space(&run->campaign, 10, 3, &run->space) != ERR_OK)
        return -1;
    campaign_schedule(&run->campaign, &run->space, &run->schedule);
    graph_build(&graph, &run->graph);
    run->train_images = 55000;
    run->holdout_images = 5000;
    run->test_images = 10000;
    *state = stand;
    return 0;
}

static int close_stand(void **state)
{
    struct stand *stand = *state;
    graph_fini(&stand->run.graph);
    mem_free(stand);
    return 0;
}

static struct machine_memory machine_of(size_t total_bytes)
{
    return (struct machine_memory){.total_bytes = total_bytes, .whose = "this machine has"};
}

static struct run_memory memory_of(const struct stand *stand)
{
    struct run_memory memory;
    run_memory_of(&stand->run, stand->done, &memory);
    return memory;
}

static enum err check(struct stand *stand, size_t total_bytes)
{
    struct run_memory memory;
    struct machine_memory machine = machine_of(total_bytes);
    return run_memory_check(&stand->run, stand->done, &machine, &memory);
}

static void check_refusal(struct stand *stand, size_t total_bytes, const char *const *words)
{
    assert_int_equal(check(stand, total_bytes), ERR_CONFIG);
    for (int i = 0; words[i]; i++)
        if (!strstr(err_text(), words[i]))
            fail_msg("\"%s\" lacks \"%s\"", err_text(), words[i]);
}

static int number_behind(const char *word)
{
    const char *found = strstr(err_text(), word);
    if (!found)
        fail_msg("\"%s\" lacks \"%s\"", err_text(), word);
    return (int)strtol(found + strlen(word), NULL, 10);
}

static void what_fits_to_the_byte_is_not_refused(void **state)
{
    struct run_memory memory = memory_of(*state);
    assert_int_equal(memory.ranks, 2);
    assert_true(memory.footprint.gang_bytes > memory.footprint.rank_bytes);
    assert_int_equal(check(*state, memory.footprint.gang_bytes), ERR_OK);
    assert_int_equal(check(*state, memory.footprint.gang_bytes - 1), ERR_CONFIG);
}

static void ranks_of_one_machine_count_together(void **state)
{
    struct stand *stand = *state;
    size_t two = memory_of(stand).footprint.gang_bytes;
    stand->run.campaign.resources.ranks = 4;
    size_t four = memory_of(stand).footprint.gang_bytes;
    stand->run.campaign.resources.ranks = 2;
    assert_true(four > two + two / 2);
}

static size_t gang_bytes_with_cache(struct stand *stand, size_t cache_bytes)
{
    double *cache = &stand->run.campaign.resources.image_cache_bytes, before = *cache;
    *cache = (double)cache_bytes;
    size_t bytes = memory_of(stand).footprint.gang_bytes;
    *cache = before;
    return bytes;
}

/* Of 5,000 held out and 2,000 calibration images of 160 px a rank has half: 1.1 GB of maps. */
static void the_image_cache_counts_up_to_what_there_is_to_keep(void **state)
{
    size_t none = gang_bytes_with_cache(*state, 0);
    assert_int_equal(gang_bytes_with_cache(*state, 100 * MB), none + 2 * 100 * MB);
    assert_true(gang_bytes_with_cache(*state, 1000 * MB) >= none + 2 * 1000 * MB);
    assert_int_equal(gang_bytes_with_cache(*state, 100000 * MB),
                     gang_bytes_with_cache(*state, 200000 * MB));
}

static void a_refusal_names_the_calibration_batch_that_fits(void **state)
{
    struct stand *stand = *state;
    int *batch = &stand->run.campaign.evaluate.calibration_batch;
    *batch = 2000;
    check_refusal(stand, 4000 * MB,
                  (const char *[]){"stage ", " GB of memory on 2 ranks (activations at 160 px",
                                   "GB for evaluate.calibration_batch 2000)",
                                   ", but this machine has 4.00 GB: lower ",
                                   "resources.ranks (now 2)", NULL});
    *batch = number_behind("lower evaluate.calibration_batch ("); /* it cures, and no more would */
    assert_int_equal(check(stand, 4000 * MB), ERR_OK);
    *batch += 1;
    assert_int_equal(check(stand, 4000 * MB), ERR_CONFIG);
    *batch = 200;
}

static void a_refusal_names_the_micro_batch_that_fits(void **state)
{
    struct stand *stand = *state;
    int *micro = &stand->run.campaign.batch.micro, before = *micro;
    *micro = stand->run.campaign.batch.global / 2;
    check_refusal(stand, 4000 * MB, (const char *[]){"GB of a rank for batch.micro ", NULL});
    *micro = number_behind("lower batch.micro (");
    assert_int_equal(check(stand, 4000 * MB), ERR_OK);
    *micro *= 2;
    assert_int_equal(check(stand, 4000 * MB), ERR_CONFIG);
    *micro = before;
}

static void where_only_both_help_that_is_said(void **state)
{
    struct stand *stand = *state;
    struct campaign *campaign = &stand->run.campaign;
    int micro = campaign->batch.micro;
    campaign->batch.micro = campaign->evaluate.calibration_batch = 2;
    size_t least = memory_of(stand).footprint.gang_bytes;
    campaign->batch.micro = campaign->batch.global / 2;
    campaign->evaluate.calibration_batch = 2000;
    check_refusal(
        stand, least,
        (const char *[]){"is enough by itself: lower both, or lower resources.ranks", NULL});
    check_refusal(stand, least - 1,
                  (const char *[]){"no batch.micro is small enough: lower resources.threads (now ",
                                   "), or lower resources.ranks (now 2)", NULL});
    campaign->batch.micro = micro;
    campaign->evaluate.calibration_batch = 200;
}

/* A run that is done needs nothing, and compiling is one process. */
static void only_what_is_still_to_be_run_counts(void **state)
{
    struct stand *stand = *state;
    const struct graph *graph = &stand->run.graph;
    size_t all = memory_of(stand).footprint.gang_bytes;
    for (int i = 0; i < graph->count; i++)
        stand->done[i] = graph->stages[i].kind != STAGE_COMPILE;
    struct run_memory memory = memory_of(stand);
    assert_int_equal(memory.ranks, 1);
    assert_in_range(memory.footprint.gang_bytes, 1, all / 2);
    for (int i = 0; i < graph->count; i++)
        stand->done[i] = graph->stages[i].kind != STAGE_REPORT;
    assert_int_equal(check(stand, 0), ERR_OK);
    assert_int_equal(memory_of(stand).stage, -1);
    memset(stand->done, 0, sizeof stand->done);
}

static void nothing_is_refused_for_the_memory_of_another_device_but_it_is_counted(void **state)
{
    struct stand *stand = *state;
    struct run_memory host = memory_of(stand);
    assert_int_equal(host.device_stage, -1);
    snprintf(stand->run.campaign.resources.device, sizeof stand->run.campaign.resources.device,
             "other");
    assert_int_equal(check(stand, 0), ERR_OK);
    struct run_memory other = memory_of(stand);
    assert_int_equal(other.stage, -1);
    assert_true(other.device_stage >= 0);
    assert_int_equal(stand->run.graph.stages[other.device_stage].kind, STAGE_TRAIN);
    /* what its ranks hold on the CPU but for the program and a checkpoint */
    assert_in_range(other.device_bytes, host.footprint.rank_bytes / 2, host.footprint.rank_bytes);
    snprintf(stand->run.campaign.resources.device, sizeof stand->run.campaign.resources.device,
             "cpu");
    assert_int_equal(check(stand, 0), ERR_CONFIG);
}

static void set_device(struct stand *stand, const char *name)
{
    char *device = stand->run.campaign.resources.device;
    snprintf(device, sizeof stand->run.campaign.resources.device, "%s", name);
}

static enum err check_card(struct stand *stand, size_t card_bytes)
{
    struct run_memory memory;
    struct machine_memory machine = {.whose = "this machine has", .card_bytes = card_bytes};
    return run_memory_check(&stand->run, stand->done, &machine, &memory);
}

static void a_card_that_is_too_small_is_refused_with_the_micro_batch_that_fits(void **state)
{
    struct stand *stand = *state;
    struct campaign *campaign = &stand->run.campaign;
    int micro = campaign->batch.micro;
    set_device(stand, "cuda-emulated");
    campaign->evaluate.calibration_batch = 2;
    campaign->batch.micro = campaign->batch.global / 2;
    struct run_memory memory = memory_of(stand);
    assert_true(memory.scratch_bytes > 0 && memory.scratch_bytes < memory.device_bytes / 4);
    assert_int_equal(check_card(stand, memory.device_bytes), ERR_OK);
    assert_int_equal(check_card(stand, memory.device_bytes / 2), ERR_CONFIG);
    print_message("%s\n", err_text());
    assert_non_null(strstr(err_text(), " GB of its device's memory for a rank (activations at "));
    assert_non_null(strstr(err_text(), ", but a card of device cuda-emulated here has "));
    campaign->batch.micro = number_behind("lower batch.micro (");
    assert_int_equal(check_card(stand, memory.device_bytes / 2), ERR_OK);
    campaign->batch.micro *= 2;
    assert_int_equal(check_card(stand, memory.device_bytes / 2), ERR_CONFIG);
    assert_int_equal(check_card(stand, 1), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "is small enough: lower resources.image_cache"));
    assert_int_equal(check_card(stand, 0), ERR_OK); /* no card here, or not known */
    campaign->batch.micro = micro;
    campaign->evaluate.calibration_batch = 200;
    set_device(stand, "cpu");
}

static void the_cards_of_this_machine_are_asked_for(void **state)
{
    struct stand *stand = *state;
    struct machine_memory machine;
    set_device(stand, "cuda-emulated");
    assert_int_equal(run_memory_there(&stand->run.campaign, &machine), ERR_OK);
    assert_int_equal(machine.card_bytes, (size_t)64 << 20);
    set_device(stand, "other");
    assert_int_equal(run_memory_there(&stand->run.campaign, &machine), ERR_OK);
    assert_int_equal(machine.card_bytes, 0);
    set_device(stand, "cpu");
}

/* The images that calibrate bound the batch, whatever is asked for. */
static void few_images_need_no_large_batch(void **state)
{
    struct stand *stand = *state;
    size_t full = memory_of(stand).footprint.gang_bytes;
    stand->run.campaign.evaluate.calibration_batch = 65536;
    size_t beyond = memory_of(stand).footprint.gang_bytes;
    stand->run.campaign.evaluate.calibration_images = 200;
    size_t few = memory_of(stand).footprint.gang_bytes;
    stand->run.campaign.evaluate.calibration_batch = 200;
    stand->run.campaign.evaluate.calibration_images = 2000;
    assert_true(beyond > 2 * full);
    assert_true(few <= full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_to_the_byte_is_not_refused),
        cmocka_unit_test(ranks_of_one_machine_count_together),
        cmocka_unit_test(the_image_cache_counts_up_to_what_there_is_to_keep),
        cmocka_unit_test(a_refusal_names_the_calibration_batch_that_fits),
        cmocka_unit_test(a_refusal_names_the_micro_batch_that_fits),
        cmocka_unit_test(where_only_both_help_that_is_said),
        cmocka_unit_test(only_what_is_still_to_be_run_counts),
        cmocka_unit_test(nothing_is_refused_for_the_memory_of_another_device_but_it_is_counted),
        cmocka_unit_test(a_card_that_is_too_small_is_refused_with_the_micro_batch_that_fits),
        cmocka_unit_test(the_cards_of_this_machine_are_asked_for),
        cmocka_unit_test(few_images_need_no_large_batch),
    };
    return cmocka_run_group_tests(tests, open_stand, close_stand);
}
