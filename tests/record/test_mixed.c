/* A run that goes on on another device says so, is marked from there on, or refuses. */
#include "base/mem.h"
#include "kernels/memory.h"
#include "tests/integration/scene.h"
#include "tests/trainer/bench_parts.h"
#include "trainer/checkpoint/lineage.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OTHER "cpu x86-64-v2 oneDNN 0.1 on Abacus (1/2/3)"

enum { TEACHER, KERNEL, DEPTH_1 }; /* places in the plan */

struct stand {
    struct campaign *campaign;
    struct comm comm;
    struct observer observer;
    struct workbench *bench;
    float *momentum;
    int warnings;
};

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

static void take_warning(void *own, const char *text)
{
    struct stand *stand = own;
    assert_non_null(strstr(text, "marked as mixed"));
    stand->warnings++;
}

static void open_stand(const struct scene *scene, const char *run,
                       const struct campaign_override *sets, int set_count, struct stand *stand)
{
    char folder[400];
    snprintf(folder, sizeof folder, "%s/%s", scene->folder, run);
    *stand = (struct stand){.campaign = mem_alloc(sizeof *stand->campaign)};
    must(campaign_load(scene->campaign, sets, set_count, stand->campaign));
    comm_alone(&stand->comm);
    stand->observer = (struct observer){.own = stand, .warning = take_warning};
    must(workbench_open(&(struct workbench_cfg){.campaign = stand->campaign,
                                                .folder = folder,
                                                .comm = &stand->comm,
                                                .observer = &stand->observer,
                                                .version = "0"},
                        &stand->bench));
    must(memory_array(stand->bench->device, stand->bench->net->weight_count, sizeof(float),
                      (void **)&stand->momentum));
}

static void close_stand(struct stand *stand)
{
    memory_free(stand->bench->device, stand->momentum);
    workbench_close(&stand->bench);
    mem_free(stand->campaign);
}

static void save(struct stand *stand, int stage, uint64_t step, bool is_final)
{
    struct lr_schedule lr_schedule = {.steps_per_epoch = 10};
    struct resume resume = {.step = step};
    struct resume_cfg of = workbench_resume(stand->bench);
    struct resume_saving saving = {
        .of = &of, .stage = stage, .lr_schedule = &lr_schedule, .momentum = stand->momentum};
    must(resume_prepare(&saving));
    must(resume_save(&saving, &resume, is_final));
    must(checkpoint_wait(stand->bench->store));
    resume_release(&saving);
}

/* As a run on that device leaves it. */
static void save_from(struct stand *stand, const char *device, int stage, bool is_final)
{
    char lineage[300];
    char *mine = stand->bench->provenance.lineage;
    snprintf(lineage, sizeof lineage, "0; %s", device);
    stand->bench->provenance.lineage = lineage;
    save(stand, stage, 9, is_final);
    stand->bench->provenance.lineage = mine;
}

static enum err load(struct stand *stand, int stage)
{
    struct resume resume;
    return load_resume(stand->bench, stage, &(struct stage_start){0}, stand->momentum, &resume);
}

static void expect_mixed(const struct stand *stand, const char *name, const char *mixed)
{
    struct checkpoint checkpoint = {0};
    char lineage[300];
    must(checkpoint_peek(stand->bench->store, name, &checkpoint));
    snprintf(lineage, sizeof lineage, "0; %s", stand->bench->device->lineage);
    assert_string_equal(checkpoint.meta.lineage, lineage);
    assert_string_equal(checkpoint.meta.mixed, mixed);
    checkpoint_fini(&checkpoint);
}

static void every_later_checkpoint_is_marked(void **state)
{
    struct stand stand;
    open_stand(*state, "marked", NULL, 0, &stand);
    save_from(&stand, OTHER, TEACHER, true);
    must(load(&stand, KERNEL));
    assert_int_equal(stand.warnings, 1);
    save(&stand, KERNEL, 5, false);
    expect_mixed(&stand, "kernel/latest", OTHER);
    close_stand(&stand);
    open_stand(*state, "marked", NULL, 0, &stand); /* an attempt later, on this device again */
    must(load(&stand, KERNEL));
    assert_int_equal(stand.warnings, 0);
    save(&stand, KERNEL, 9, true);
    expect_mixed(&stand, "kernel/final", OTHER);
    close_stand(&stand);
    open_stand(*state, "marked", NULL, 0, &stand); /* and the stage behind it */
    must(load(&stand, DEPTH_1));
    save(&stand, DEPTH_1, 1, false);
    expect_mixed(&stand, "depth-1/latest", OTHER);
    close_stand(&stand);
}

static void one_device_leaves_no_mark(void **state)
{
    struct stand stand;
    char kind[DEVICE_LINEAGE];
    open_stand(*state, "whole", NULL, 0, &stand);
    snprintf(kind, sizeof kind, "%s", stand.bench->device->lineage);
    *strstr(kind, DEVICE_LINEAGE_ON) = '\0'; /* as programs wrote it that did not know the model */
    save_from(&stand, kind, TEACHER, true);
    must(load(&stand, KERNEL));
    save(&stand, KERNEL, 5, false);
    must(load(&stand, KERNEL));
    save(&stand, KERNEL, 9, true);
    expect_mixed(&stand, "kernel/final", "");
    assert_int_equal(stand.warnings, 0);
    close_stand(&stand);
}

static void same_refuses_another_device_with_the_cure(void **state)
{
    struct stand stand;
    const struct campaign_override same = {"resources.lineage", "same"};
    open_stand(*state, "same", &same, 1, &stand);
    save_from(&stand, OTHER, TEACHER, true);
    assert_int_equal(load(&stand, KERNEL), ERR_CONFIG);
    static const char *const parts[] = {"stage teacher, step 9", OTHER, "resources.lineage is same",
                                        "set resources.lineage: any", "another run_folder"};
    for (int i = 0; i < 5; i++)
        if (!strstr(err_text(), parts[i]))
            fail_msg("\"%s\" is not in: %s", parts[i], err_text());
    save(&stand, TEACHER, 9, true);
    must(load(&stand, KERNEL));
    lineage_add(&stand.bench->mixed.others, "", OTHER); /* mixed by whoever said any */
    save(&stand, KERNEL, 5, false);
    assert_int_equal(load(&stand, KERNEL), ERR_CONFIG);
    assert_int_equal(stand.warnings, 0);
    close_stand(&stand);
}

static void evaluation_goes_on_from_training(void **state)
{
    struct stand stand;
    const struct campaign_override same = {"resources.lineage", "same"};
    open_stand(*state, "measured", NULL, 0, &stand);
    save_from(&stand, OTHER, blueprint_find_stage(&stand.bench->blueprint, "width-2"), true);
    must(load_trained(stand.bench, NULL));
    assert_int_equal(stand.warnings, 1);
    assert_string_equal(text_get(&stand.bench->mixed.others), OTHER);
    close_stand(&stand);
    open_stand(*state, "measured", &same, 1, &stand);
    assert_int_equal(load_trained(stand.bench, NULL), ERR_CONFIG);
    close_stand(&stand);
}

/* It is an input: what computed it is its own affair, but what it is mixed of goes along. */
static void a_given_teacher_passes_on_what_it_is_mixed_of(void **state)
{
    struct stand stand;
    char from[400];
    const struct scene *scene = *state;
    snprintf(from, sizeof from, "%s/given@teacher/final", scene->folder);
    const struct campaign_override given[] = {
        {"teacher.from", from}, {"teacher.epochs", "auto"}, {"teacher.rate", "auto"}};
    open_stand(scene, "given", NULL, 0, &stand);
    save_from(&stand, OTHER, TEACHER, true);
    close_stand(&stand);
    open_stand(scene, "taught", given, 3, &stand);
    must(load(&stand, TEACHER)); /* the first stage is the kernel's now */
    assert_string_equal(text_get(&stand.bench->mixed.others), "");
    close_stand(&stand);
    open_stand(scene, "given", NULL, 0, &stand);
    lineage_add(&stand.bench->mixed.others, "", OTHER);
    save(&stand, TEACHER, 10, true);
    close_stand(&stand);
    open_stand(scene, "taught", given, 3, &stand);
    must(load(&stand, TEACHER));
    assert_string_equal(text_get(&stand.bench->mixed.others), OTHER);
    assert_int_equal(stand.warnings, 0);
    close_stand(&stand);
}

static void a_gang_may_be_of_several_models_but_of_one_instruction_set(void **state)
{
    struct stand stand;
    char little[DEVICE_LINEAGE], other[] = OTHER;
    open_stand(*state, "gang", NULL, 0, &stand);
    write_little(stand.bench, little);
    must(mix_with(stand.bench, stand.bench->device->lineage));
    assert_string_equal(text_get(&stand.bench->mixed.others), "");
    assert_int_equal(mix_with(stand.bench, other), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "pin resources.isa"));
    must(mix_with(stand.bench, little));
    assert_string_equal(text_get(&stand.bench->mixed.others), little);
    assert_int_equal(stand.warnings, 1);
    stand.bench->mixed.is_refused = true;
    assert_int_equal(mix_with(stand.bench, little), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "machines of one model"));
    close_stand(&stand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_later_checkpoint_is_marked),
        cmocka_unit_test(one_device_leaves_no_mark),
        cmocka_unit_test(same_refuses_another_device_with_the_cure),
        cmocka_unit_test(evaluation_goes_on_from_training),
        cmocka_unit_test(a_given_teacher_passes_on_what_it_is_mixed_of),
        cmocka_unit_test(a_gang_may_be_of_several_models_but_of_one_instruction_set),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
