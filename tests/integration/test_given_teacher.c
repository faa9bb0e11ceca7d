/* A supernet that was shrunk already, given as the teacher of another campaign (teacher.from). */
#include "base/mem.h"
#include "tests/integration/scene.h"
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct measured { /* a sub-network on the hold-out images */
    double accuracy, loss;
};

static void run(struct scene *scene, const struct gang_cfg *cfg)
{
    if (scene_run(scene, cfg) != 0)
        fail_msg("%s of %s:\n%s", cfg->stages, cfg->run, scene_log_end(scene));
}

/* From results/STAGE.json: the smallest sub-network "before" the first step or "after" the last. */
static struct measured read_smallest(const struct scene *scene, const char *run_name,
                                     const char *stage, const char *when)
{
    char name[64];
    struct measured measured = {-1, -1};
    size_t index;
    json_t *entry;
    snprintf(name, sizeof name, "results/%s.json", stage);
    char *text = scene_read(scene, run_name, name);
    json_t *json = json_loads(text, 0, NULL);
    json_array_foreach(json_object_get(json, when), index, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "label")), "smallest") != 0)
            continue;
        measured.accuracy = json_number_value(json_object_get(entry, "accuracy"));
        measured.loss = json_number_value(json_object_get(entry, "loss"));
    }
    json_decref(json);
    mem_free(text);
    if (measured.accuracy < 0)
        fail_msg("%s of %s has no smallest sub-network %s", stage, run_name, when);
    return measured;
}

static struct checkpoint_store *open_store(const struct scene *scene, const char *name, bool is_new)
{
    char path[400];
    struct checkpoint_store *store = NULL;
    snprintf(path, sizeof path, "%s/%s", scene->folder, name);
    struct checkpoint_store_cfg cfg = {.path = path, .is_writer = is_new, .keep = 1};
    if (checkpoint_store_open(&cfg, &store) != ERR_OK)
        fail_msg("%s", err_text());
    return store;
}

/* (K,C): every later half of the columns times `factor`. */
static void scale_half(const struct checkpoint *checkpoint, int block, const char *what,
                       float factor)
{
    char name[112];
    snprintf(name, sizeof name, "blocks.%d.conv.%s", block, what);
    const struct tensor *tensor = checkpoint_find(checkpoint, name);
    assert_non_null(tensor);
    uint64_t columns = tensor->rank == 1 ? tensor->count : (uint64_t)tensor->shape[1];
    for (uint64_t i = 0; i < tensor->count; i++)
        if (i % columns >= columns / 2)
            tensor->values[i] *= factor;
}

/* The shrunk network as a longer training might leave it: in every block the outer half of the
 * channels, which the smallest sub-network does not have, weighs more than the inner. ReLU lets a
 * factor pass, so every sub-network computes what it did. */
static void weigh_outer_channels(const struct scene *scene)
{
    struct checkpoint checkpoint = {0};
    struct checkpoint_store *from = open_store(scene, "shrunk/checkpoints", false);
    struct checkpoint_store *to = open_store(scene, "weighed", true);
    assert_int_equal(checkpoint_load(from, "width-2/final", &checkpoint), ERR_OK);
    for (int block = 1; block <= 6; block++) {
        scale_half(&checkpoint, block, "point_linear.conv.conv.weight", 64.0f);
        scale_half(&checkpoint, block, "depth_conv.bn.bn.weight", 1.0f / 64);
        scale_half(&checkpoint, block, "depth_conv.bn.bn.bias", 1.0f / 64);
    }
    assert_int_equal(checkpoint_save(to, &checkpoint), ERR_OK);
    assert_int_equal(checkpoint_wait(to), ERR_OK);
    checkpoint_fini(&checkpoint);
    checkpoint_store_close(&from);
    checkpoint_store_close(&to);
}

/* Before the first step of `stage`, whose channels were just sorted, it is what it was. */
static void expect_unchanged(const struct scene *scene, const char *run_name, const char *stage)
{
    struct measured was = read_smallest(scene, "shrunk", "width-2", "after");
    struct measured is = read_smallest(scene, run_name, stage, "before");
    print_message("%s: accuracy %.4f loss %.6f, was %.4f %.6f\n", stage, is.accuracy, is.loss,
                  was.accuracy, was.loss);
    assert_true(was.accuracy > 0.4); /* it has learnt something that can be lost */
    assert_true(fabs(is.accuracy - was.accuracy) < 1e-9);
    assert_true(fabs(is.loss - was.loss) < 1e-4 * was.loss);
}

static void sorting_keeps_every_width_of_a_shrunk_teacher(void **state)
{
    struct scene *scene = *state;
    char from[400];
    struct gang_cfg shrunk = {.run = "shrunk",
                              .ranks = 1,
                              .stages = SCENE_STAGES,
                              .sets = {"teacher.epochs=6", "shrink.epochs_scale=0.05"}};
    struct gang_cfg again = {
        .run = "again",
        .ranks = 2,
        .stages = "random",
        .sets = {from, "teacher.epochs=0", "shrink.schedule=random", "evaluate.every_epochs=100"}};
    run(scene, &shrunk);
    weigh_outer_channels(scene);
    snprintf(from, sizeof from, "teacher.from=%s/weighed@width-2/final", scene->folder);
    run(scene, &again);
    expect_unchanged(scene, "again", "random");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorting_keeps_every_width_of_a_shrunk_teacher),
    };
    return cmocka_run_group_tests(tests, scene_make, scene_remove);
}
