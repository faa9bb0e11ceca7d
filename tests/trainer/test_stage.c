/* What the stages behind training leave in the run's folder: here on a data set that has no test
 * images. */
#include "base/mem.h"
#include "kernels/memory.h"
#include "tests/integration/scene.h"
#include "tests/trainer/bench_parts.h"
#include "trainer/data/import.h"
#include "trainer/stage.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HOLDOUT 100 /* the scene's */
#define WORST   12

static void must(enum err err)
{
    if (err != ERR_OK)
        fail_msg("%s: %s", err_name(err), err_text());
}

/* The scene's training images alone. */
static void import_without_test(const struct scene *scene, char data[400])
{
    char images[400], labels[400];
    const char *sources[] = {images, labels};
    struct import_report report = {0};
    snprintf(images, sizeof images, "%s/train-images-idx3-ubyte", scene->folder);
    snprintf(labels, sizeof labels, "%s/train-labels-idx1-ubyte", scene->folder);
    snprintf(data, 400, "%s/untested", scene->folder);
    struct import_cfg cfg = {
        .sources = sources, .source_count = 2, .destination = data, .threads = 1};
    must(dataset_import(&cfg, &report));
    import_report_fini(&report);
}

/* The last training stage's final checkpoint: fresh weights, which is enough to be measured. */
static void save_trained(struct workbench *bench)
{
    float *momentum = NULL;
    struct lr_schedule lr_schedule = {.steps_per_epoch = 1};
    struct resume resume = {.step = 1};
    must(memory_array(bench->device, bench->net->weight_count, sizeof(float), (void **)&momentum));
    struct resume_cfg of = workbench_resume(bench);
    struct resume_saving saving = {.of = &of,
                                   .stage = blueprint_find_stage(&bench->blueprint, "width-2"),
                                   .lr_schedule = &lr_schedule,
                                   .momentum = momentum};
    supernet_init_weights(bench->net, 1);
    must(resume_prepare(&saving));
    must(resume_save(&saving, &resume, true));
    must(checkpoint_wait(bench->store));
    resume_release(&saving);
    memory_free(bench->device, momentum);
}

static json_t *result_of(struct workbench *bench, const struct scene *scene, const char *stage)
{
    char name[64];
    struct stage_result result;
    json_error_t error;
    must(stage_run(bench, stage, &(struct stage_start){0}, &result));
    snprintf(name, sizeof name, "results/%s.json", stage);
    char *bytes = scene_read(scene, "untested-run", name);
    json_t *json = json_loads(bytes, 0, &error);
    if (!json)
        fail_msg("%s: %s", name, error.text);
    mem_free(bytes);
    return json;
}

/* All images of the hold-out are in the matrix, and the worst of them are there as pictures. */
static void check_mistakes(const json_t *row)
{
    const json_t *holdout = json_object_get(row, "holdout"), *line = NULL, *cell = NULL;
    size_t i = 0, j = 0;
    json_int_t images = 0;
    assert_null(json_object_get(row, "test"));
    json_array_foreach(json_object_get(holdout, "confusion"), i, line)
        json_array_foreach(line, j, cell) images += json_integer_value(cell);
    assert_int_equal(images, HOLDOUT);
    assert_int_equal(json_array_size(json_object_get(holdout, "recall")), 4);
    const json_t *worst = json_object_get(holdout, "worst");
    assert_int_equal(json_array_size(worst), WORST);
    assert_memory_equal(json_string_value(json_object_get(json_array_get(worst, 0), "png")),
                        "iVBORw0KGgo", 11);
}

static void without_test_images_the_mistakes_are_those_of_the_holdout(void **state)
{
    const struct scene *scene = *state;
    char folder[400], data[400];
    struct comm comm;
    struct workbench *bench = NULL;
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    import_without_test(scene, data);
    const struct campaign_override set = {"dataset.path", data};
    must(campaign_load(scene->campaign, &set, 1, campaign));
    comm_alone(&comm);
    snprintf(folder, sizeof folder, "%s/untested-run", scene->folder);
    must(workbench_open(
        &(struct workbench_cfg){.campaign = campaign, .folder = folder, .comm = &comm}, &bench));
    save_trained(bench);
    json_t *evaluated = result_of(bench, scene, "evaluate");
    json_t *found = result_of(bench, scene, "search");
    check_mistakes(json_array_get(json_object_get(evaluated, "subnets"), 0)); /* the biggest */
    check_mistakes(json_array_get(json_object_get(found, "targets"), 0));
    json_decref(evaluated);
    json_decref(found);
    workbench_close(&bench);
    mem_free(campaign);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_test_images_the_mistakes_are_those_of_the_holdout),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
