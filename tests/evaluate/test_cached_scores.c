/* Scores do not depend on how many batches are kept, or as what, nor on the order of a generation;
 * and a generation is measured resolution by resolution. */
#include "base/mem.h"
#include "tests/data/running.h"
#include "tests/supernet/rig.h"
#include "trainer/evaluate/evaluate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PICTURES = 30, HOLDOUT = 9, MICRO = 4, CALIBRATION = 10, MOST = 28, COUNT = 5, CHANGES = 8 };

/* As maps 28 px take 200 KB, all three resolutions 450 KB; as crops one of them takes 40 KB. */
static const size_t budgets[] = {0, 9000, 30000, 60000, 250000, 8000000};
enum { BUDGETS = sizeof budgets / sizeof *budgets };

static const char *const genes[COUNT] = {"r=28 k=7 e=4 d=3", "r=20 k=3 e=2 d=1", "r=28 k=5 e=3 d=2",
                                         "r=24 k=3 e=4 d=2", "r=20 k=7 e=3 d=3"};

struct trial {
    struct scene *scene;
    struct dataset *dataset;
    uint32_t *train, *holdout, train_count, holdout_count;
    struct rig rig;
    struct comm comm;
    struct device_comm *device_comm;
};

static int open_trial(void **state)
{
    char name[64];
    void *scene = NULL;
    struct trial *trial = mem_alloc(sizeof *trial);
    if (scene_make(&scene) != 0)
        return -1;
    trial->scene = scene;
    for (int i = 0; i < PICTURES; i++) {
        snprintf(name, sizeof name, "%d/%02d.png", i % 3, i);
        write_picture(trial->scene->source, name, 20 + i % 9, 30 - i % 7, 3, (uint64_t)i);
    }
    trial->dataset = must_import(&trial->scene->cfg);
    must(dataset_split(trial->dataset, SPLIT_TRAIN, HOLDOUT, &trial->train, &trial->train_count));
    must(dataset_split(trial->dataset, SPLIT_HOLDOUT, HOLDOUT, &trial->holdout,
                       &trial->holdout_count));
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 3);
    rig_open(&trial->rig, &space, MICRO, MOST, 2);
    comm_alone(&trial->comm);
    trial->device_comm = comm_staged(&trial->comm, trial->rig.device);
    *state = trial;
    return 0;
}

static int close_trial(void **state)
{
    struct trial *trial = *state;
    void *scene = trial->scene;
    device_comm_close(&trial->device_comm);
    rig_close(&trial->rig);
    dataset_close(&trial->dataset);
    mem_free(trial->train);
    mem_free(trial->holdout);
    mem_free(trial);
    return scene_remove(&scene);
}

static struct evaluate *open_evaluate(struct trial *trial, size_t cache_bytes)
{
    struct evaluate *evaluate = NULL;
    struct evaluate_cfg cfg = {.calibrate = {.comm = &trial->comm,
                                             .device_comm = trial->device_comm,
                                             .net = trial->rig.net,
                                             .dataset = trial->dataset,
                                             .train = trial->train,
                                             .train_count = trial->train_count,
                                             .set = {CALIBRATION, MICRO, 3},
                                             .seed = 9,
                                             .augment = &running_augment,
                                             .loader_threads = 2},
                               .holdout = trial->holdout,
                               .holdout_count = trial->holdout_count,
                               .micro = MICRO,
                               .cache_bytes = cache_bytes,
                               .precision = "fp32",
                               .lineage = ""};
    must(evaluate_create(&cfg, &evaluate));
    return evaluate;
}

/* In the order of the genes, or backwards. */
static void measure(const struct trial *trial, struct evaluate *evaluate, bool is_backwards,
                    struct candidate *measured)
{
    struct candidate candidates[COUNT] = {0};
    struct evaluator evaluator;
    evaluate_as_evaluator(evaluate, &evaluator);
    for (int i = 0; i < COUNT; i++)
        must(subnet_parse(&trial->rig.space, genes[is_backwards ? COUNT - 1 - i : i],
                          &candidates[i].subnet));
    must(evaluator.measure(&evaluator, candidates, COUNT));
    for (int i = 0; i < COUNT; i++)
        measured[i] = candidates[is_backwards ? COUNT - 1 - i : i];
}

static void check_scores(const struct candidate *got, const struct candidate *wanted, size_t budget)
{
    for (int i = 0; i < COUNT; i++)
        if (memcmp(&got[i].loss, &wanted[i].loss, sizeof got[i].loss) != 0 ||
            memcmp(&got[i].accuracy, &wanted[i].accuracy, sizeof got[i].accuracy) != 0)
            fail_msg(
                "%s with %zu bytes of batches kept: loss %.17g, accuracy %.17g; without %.17g, "
                "%.17g",
                genes[i], budget, got[i].loss, got[i].accuracy, wanted[i].loss, wanted[i].accuracy);
}

static void scores_are_the_same_bits_whatever_is_kept(void **state)
{
    struct trial *trial = *state;
    struct candidate wanted[COUNT], got[COUNT];
    for (int b = 0; b < BUDGETS; b++) {
        struct evaluate *evaluate = open_evaluate(trial, budgets[b]);
        for (int round = 0; round < 3; round++) {
            measure(trial, evaluate, round == 1, got);
            if (b == 0 && round == 0)
                memcpy(wanted, got, sizeof wanted);
            check_scores(got, wanted, budgets[b]);
        }
        evaluate_destroy(&evaluate);
    }
    for (int i = 1; i < COUNT; i++) /* they do depend on the sub-network */
        assert_memory_not_equal(&wanted[i].loss, &wanted[0].loss, sizeof wanted[i].loss);
}

static struct {
    const struct device_ops *plain;
    int resolutions[CHANGES], count; /* of image_forward's calls, where they change */
} noted;

static void note_resolution(struct device *device, const struct image_batch *batch, void *images)
{
    if (noted.count == 0 || noted.resolutions[noted.count - 1] != batch->R) {
        assert_true(noted.count < CHANGES);
        noted.resolutions[noted.count++] = batch->R;
    }
    noted.plain->image_forward(device, batch, images);
}

static void a_generation_is_measured_resolution_by_resolution(void **state)
{
    struct trial *trial = *state;
    struct device *device = trial->rig.device;
    struct device_ops ops = *device->ops;
    struct candidate measured[COUNT];
    const int wanted[] = {20, 24, 28, 20, 24};
    noted.plain = device->ops;
    ops.image_forward = note_resolution;
    device->ops = &ops;
    struct evaluate *evaluate = open_evaluate(trial, 0);
    measure(trial, evaluate, false, measured);
    measure(trial, evaluate, false, measured);
    evaluate_destroy(&evaluate);
    device->ops = noted.plain;
    assert_int_equal(noted.count, 5);
    assert_memory_equal(noted.resolutions, wanted, sizeof wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_the_same_bits_whatever_is_kept),
        cmocka_unit_test(a_generation_is_measured_resolution_by_resolution),
    };
    return cmocka_run_group_tests(tests, open_trial, close_trial);
}
