/* Calibration against the law of total variance (OFA reference file, sec. 3.7), worked out here
 * batch by batch: the mean of the batches' variances and the variance of their means. And the same
 * bits from gangs of any number of ranks. */
#include "base/mem.h"
#include "base/rng.h"
#include "tests/data/fixture.h"
#include "tests/gang/gang.h"
#include "tests/supernet/rig.h"
#include "tests/support/test_device.h"
#include "trainer/evaluate/calibrate.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TRAIN = 23, IMAGES = 10, BATCH = 4, LEAVES = 3, SIDE = 28, PIXELS = SIDE * SIDE, SEED = 9 };
#define UNTOUCHED 123.0f

/* 10 images in batches of 4: the last has the 2 that are left, and counts as 2 images. */
static const int starts[LEAVES + 1] = {0, 4, 8, 10};
static const struct calibration_set set = {.images = IMAGES, .batch = BATCH, .batches = LEAVES};

/* Batches as unlike as can be: dark noise, bright stripes, a grey ramp with a little noise. */
static uint8_t pixel_of(int leaf, uint32_t record, int at)
{
    int y = at / SIDE, x = at % SIDE;
    int noise = (int)rng_below(rng(SEED, RNG_TEST, 0, record, (uint64_t)at), 64);
    switch (leaf) {
    case 0:
        return (uint8_t)noise;
    case 1:
        return (uint8_t)(x / 3 % 2 ? 255 : 180 + noise / 2);
    default:
        return (uint8_t)(3 * y + 2 * x + noise / 4);
    }
}

struct trial {
    struct scene *scene;
    struct rig rig;
    struct dataset *dataset;
    uint32_t *train, train_count;
    uint32_t order[TRAIN];          /* the draw of the calibration images */
    uint8_t *file;                  /* an IDX file of TRAIN images */
    struct activation_arena *arena; /* forward only */
    double *sums[LEAVES];           /* of each batch, as supernet_forward gives them */
    double *counts[LEAVES];         /* (norm_count) */
};

static uint8_t *pixels_of(struct trial *trial, uint32_t record)
{
    return trial->file + 16 + (size_t)record * PIXELS;
}

static void write_source(struct trial *trial)
{
    const uint8_t images[16] = {0, 0, 8, 3, 0, 0, 0, TRAIN, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    uint8_t labels[8 + TRAIN] = {0, 0, 8, 1, 0, 0, 0, TRAIN};
    size_t bytes = 16 + (size_t)TRAIN * PIXELS;
    trial->file = mem_alloc(bytes);
    memcpy(trial->file, images, sizeof images);
    rng_permute(SEED, RNG_CALIBRATION, 0, TRAIN, trial->order);
    for (int i = 0; i < TRAIN; i++) {
        int leaf = i < starts[1] ? 0 : i < starts[2] ? 1 : 2;
        for (int at = 0; at < PIXELS; at++)
            pixels_of(trial, trial->order[i])[at] = pixel_of(leaf, trial->order[i], at);
    }
    for (int i = 0; i < TRAIN; i++)
        labels[8 + i] = (uint8_t)(i % 10);
    const char *folder = trial->scene->source;
    write_packed(folder, "train-images-idx3-ubyte", trial->file, bytes, PLAIN);
    write_packed(folder, "train-labels-idx1-ubyte", labels, sizeof labels, PLAIN);
}

static int open_trial(void **state)
{
    struct trial *trial = mem_alloc(sizeof *trial);
    void *scene = NULL;
    if (scene_make(&scene) != 0)
        return -1;
    trial->scene = scene;
    write_source(trial);
    trial->dataset = must_import(&trial->scene->cfg);
    must(dataset_split(trial->dataset, SPLIT_TRAIN, 0, &trial->train, &trial->train_count));
    struct space space = rig_space("configs/spaces/firefly-tiny.yaml", 1);
    rig_open(&trial->rig, &space, BATCH, SIDE, 2);
    must(activation_arena_create(trial->rig.net, BATCH, SIDE, PASS_BATCH_NORM, &trial->arena));
    *state = trial;
    return 0;
}

static int close_trial(void **state)
{
    struct trial *trial = *state;
    void *scene = trial->scene;
    activation_arena_destroy(&trial->arena);
    rig_close(&trial->rig);
    dataset_close(&trial->dataset);
    mem_free(trial->train);
    mem_free(trial->file);
    mem_free(trial);
    return scene_remove(&scene);
}

/* The images of a batch on the device: not enlarged, not cut, normalised. */
static void upload_leaf(struct trial *trial, int leaf)
{
    static float images[BATCH * PIXELS];
    const struct dataset_info *info = dataset_info(trial->dataset);
    struct device *device = trial->rig.device;
    int count = 0;
    for (int i = starts[leaf]; i < starts[leaf + 1]; i++)
        for (int at = 0; at < PIXELS; at++)
            images[count++] =
                (float)(((double)pixels_of(trial, trial->order[i])[at] - info->mean[0]) /
                        info->deviation[0]);
    rig_set_images(&trial->rig, images, (size_t)count);
    must(device->ops->sync(device));
}

static void run_leaf(struct trial *trial, int leaf, const struct subnet *subnet)
{
    struct supernet *net = trial->rig.net;
    struct device *device = trial->rig.device;
    struct forward forward = rig_forward(&trial->rig, subnet, PASS_BATCH_NORM);
    size_t bytes = 2 * net->statistic_count * sizeof(double);
    void *sums = NULL;
    must(device->ops->alloc(device, bytes, &sums));
    trial->sums[leaf] = mem_alloc(bytes);
    trial->counts[leaf] = mem_array((size_t)net->norm_count, sizeof(double));
    upload_leaf(trial, leaf);
    forward.N = starts[leaf + 1] - starts[leaf];
    forward.calibration = sums;
    forward.calibration_counts = trial->counts[leaf];
    mem_free(rig_logits(&trial->rig, &forward));
    must(device->ops->download(device, trial->sums[leaf], sums, bytes));
    device->ops->free(device, sums);
}

struct moments {
    double mean, within, between; /* variance = within + between */
};

/* Of channel c of a norm, over the batches. */
static struct moments moments_of(const struct trial *trial, int norm, int c)
{
    const struct supernet *net = trial->rig.net;
    size_t at = net->norms[norm].statistic + (size_t)c;
    struct moments all = {0};
    double mean[LEAVES], total = 0;
    for (int leaf = 0; leaf < LEAVES; leaf++) {
        double n = trial->counts[leaf][norm];
        double square = trial->sums[leaf][net->statistic_count + at] / n;
        mean[leaf] = trial->sums[leaf][at] / n;
        all.mean += n * mean[leaf];
        all.within += n * (square - mean[leaf] * mean[leaf]);
        total += n;
    }
    all.mean /= total;
    for (int leaf = 0; leaf < LEAVES; leaf++)
        all.between +=
            trial->counts[leaf][norm] * (mean[leaf] - all.mean) * (mean[leaf] - all.mean) / total;
    all.within /= total;
    return all;
}

/* Channels of a norm that the sub-network runs, from its name; 0: its block is skipped. */
static int active_width(const struct trial *trial, const struct subnet *subnet,
                        const struct norm_slot *norm)
{
    const struct space *space = &trial->rig.space;
    int block = 0;
    if (sscanf(norm->name, "blocks.%d.", &block) != 1 || block == 0)
        return norm->C;
    if (!subnet_has_block(space, subnet, block - 1))
        return 0;
    bool is_middle = !strstr(norm->name, "point_linear");
    return is_middle ? space_middle(&space->blocks[block - 1], subnet->expansion[block - 1])
                     : norm->C;
}

static void mark_statistics(struct trial *trial)
{
    struct supernet *net = trial->rig.net;
    struct device *device = trial->rig.device;
    float *marks = mem_array(net->statistic_count, sizeof *marks);
    for (size_t i = 0; i < net->statistic_count; i++)
        marks[i] = UNTOUCHED;
    device->ops->upload(device, net->means, marks, net->statistic_count * sizeof *marks);
    device->ops->upload(device, net->variances, marks, net->statistic_count * sizeof *marks);
    must(device->ops->sync(device));
    mem_free(marks);
}

static struct rank_work shown;

static enum err calibrate(const struct trial *trial, struct comm *comm, struct supernet *net,
                          struct activation_arena *arena, const struct subnet *subnet)
{
    enum err err = ERR_OK;
    struct calibrate *calibrate = NULL;
    struct device_comm *device_comm = comm_staged(comm, net->device);
    struct batch_cache *cache = batch_cache_create(
        &(struct batch_cache_cfg){.device = net->device, .dataset = trial->dataset});
    struct calibrate_cfg cfg = {.comm = comm,
                                .device_comm = device_comm,
                                .net = net,
                                .dataset = trial->dataset,
                                .train = trial->train,
                                .train_count = trial->train_count,
                                .set = set,
                                .seed = SEED,
                                .loader_threads = 1,
                                .cache = cache,
                                .work = &shown};
    TRY(calibrate_create(&cfg, &calibrate));
    TRY(calibrate_subnet(calibrate, arena, subnet));
out:
    calibrate_destroy(&calibrate);
    batch_cache_destroy(&cache);
    device_comm_close(&device_comm);
    return err;
}

static void calibrate_alone(struct trial *trial, const struct subnet *subnet)
{
    struct comm comm;
    comm_alone(&comm);
    trial->rig.net->has_statistics = false;
    must(calibrate(trial, &comm, trial->rig.net, trial->arena, subnet));
    assert_true(trial->rig.net->has_statistics);
}

/* Returns the largest share of a channel's variance that lies between the batches. */
static double check_norm(const struct trial *trial, const struct subnet *subnet, int index,
                         const float *means, const float *variances)
{
    const struct norm_slot *norm = &trial->rig.net->norms[index];
    int active = active_width(trial, subnet, norm);
    double share = 0;
    assert_true(active > 0 || trial->counts[0][index] <= 0);
    for (int c = 0; c < norm->C; c++) {
        if (c >= active) {
            assert_true(means[c] == UNTOUCHED && variances[c] == UNTOUCHED);
            continue;
        }
        struct moments wanted = moments_of(trial, index, c);
        double variance = wanted.within + wanted.between,
               scale = sqrt(variance) + fabs(wanted.mean);
        if (!(fabs((double)means[c] - wanted.mean) <= 1e-5 * scale &&
              fabs((double)variances[c] - variance) <= 1e-5 * scale * scale))
            fail_msg("%s, channel %d: mean %.8g, variance %.8g; expected %.8g, %.8g", norm->name, c,
                     means[c], variances[c], wanted.mean, variance);
        share = fmax(share, wanted.between / variance);
    }
    return share;
}

static void check_subnet(struct trial *trial, const char *genes)
{
    struct supernet *net = trial->rig.net;
    struct subnet subnet;
    size_t bytes = net->statistic_count * sizeof(float);
    float *means = mem_alloc(bytes), *variances = mem_alloc(bytes);
    must(subnet_parse(&trial->rig.space, genes, &subnet));
    for (int leaf = 0; leaf < LEAVES; leaf++)
        run_leaf(trial, leaf, &subnet);
    mark_statistics(trial);
    calibrate_alone(trial, &subnet);
    must(trial->rig.device->ops->download(trial->rig.device, means, net->means, bytes));
    must(trial->rig.device->ops->download(trial->rig.device, variances, net->variances, bytes));
    for (int i = 0; i < net->norm_count; i++) {
        size_t at = net->norms[i].statistic;
        double share = check_norm(trial, &subnet, i, means + at, variances + at);
        if (i == 0) /* the stem sees the batches as they are: leaving this out would be seen */
            assert_true(share > 0.1);
    }
    for (int leaf = 0; leaf < LEAVES; leaf++) {
        mem_free(trial->sums[leaf]);
        mem_free(trial->counts[leaf]);
    }
    mem_free(means);
    mem_free(variances);
}

static void the_biggest_has_the_variance_within_and_between_the_batches(void **state)
{
    check_subnet(*state, "r=28 k=7 e=4 d=3");
}

/* Blocks 3, 5 and 6 are skipped; strides make 14, 7 and 4 of 28 pixels. */
static void narrow_and_shallow_ones_too_and_leave_the_rest_alone(void **state)
{
    check_subnet(*state, "r=28 k=3,5,7,7,5,3 e=2,3,4,3,2,4 d=2,1");
}

/* A leaf of 200 images may take a slow machine longer than a rank may stand still. */
static void a_calibration_batch_moves_the_work_with_every_block(void **state)
{
    struct trial *trial = *state;
    struct subnet subnet;
    must(subnet_parse(&trial->rig.space, "r=28 k=7 e=4 d=3", &subnet));
    atomic_store(&shown.done, 0);
    calibrate_alone(trial, &subnet);
    assert_int_equal(atomic_load(&shown.done), (1 + 2 * 3) * LEAVES); /* the first has no choices */
}

struct gang { /* what its ranks share, and what each of them found */
    const struct trial *trial;
    struct subnet subnet;
    float *weights;                /* of the trial's network, (weight_count) */
    float *statistics[LEAVES + 1]; /* by rank: means, then variances */
};

/* A rank with a device, a network and a pass of its own. No assertions: it is a thread. */
static void work(struct comm *comm, void *own)
{
    enum err err = ERR_OK;
    struct gang *gang = own;
    struct device *device = NULL;
    struct supernet *net = NULL;
    struct activation_arena *arena = NULL;
    struct device_cfg cfg = {.name = test_device(), .threads = 1, .precision = test_precision()};
    const struct supernet *trained = gang->trial->rig.net;
    size_t bytes = trained->statistic_count * sizeof(float);
    TRY(device_open(&cfg, &device));
    TRY(supernet_create(trained->space, device, &net));
    device->ops->upload(device, net->weights, gang->weights, trained->weight_count * sizeof(float));
    supernet_cast(net, 0, net->weight_count);
    TRY(activation_arena_create(net, BATCH, SIDE, PASS_BATCH_NORM, &arena));
    TRY(calibrate(gang->trial, comm, net, arena, &gang->subnet));
    gang->statistics[comm->rank] = mem_alloc(2 * bytes);
    must(device->ops->download(device, gang->statistics[comm->rank], net->means, bytes));
    must(device->ops->download(device, gang->statistics[comm->rank] + net->statistic_count,
                               net->variances, bytes));
out:
    if (err != ERR_OK)
        BUG("rank %d: %s", comm->rank, err_text());
    activation_arena_destroy(&arena);
    supernet_destroy(&net);
    device_close(&device);
}

/* More ranks than batches too: one of them has nothing to compute. */
static void every_gang_finds_the_same_bits(void **state)
{
    const struct trial *trial = *state;
    const struct supernet *net = trial->rig.net;
    size_t bytes = 2 * net->statistic_count * sizeof(float),
           weight_bytes = net->weight_count * sizeof(float);
    struct gang alone = {.trial = trial, .weights = mem_alloc(weight_bytes)};
    must(net->device->ops->download(net->device, alone.weights, net->weights, weight_bytes));
    must(subnet_parse(&trial->rig.space, "r=28 k=3,5,7,7,5,3 e=2,3,4,3,2,4 d=2,1", &alone.subnet));
    gang_run(1, work, &alone);
    for (int ranks = 2; ranks <= LEAVES + 1; ranks++) {
        struct gang gang = {.trial = trial, .subnet = alone.subnet, .weights = alone.weights};
        gang_run(ranks, work, &gang);
        for (int rank = 0; rank < ranks; rank++) {
            assert_memory_equal(gang.statistics[rank], alone.statistics[0], bytes);
            mem_free(gang.statistics[rank]);
        }
    }
    mem_free(alone.statistics[0]);
    mem_free(alone.weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_biggest_has_the_variance_within_and_between_the_batches,
                                        open_trial, close_trial),
        cmocka_unit_test_setup_teardown(narrow_and_shallow_ones_too_and_leave_the_rest_alone,
                                        open_trial, close_trial),
        cmocka_unit_test_setup_teardown(a_calibration_batch_moves_the_work_with_every_block,
                                        open_trial, close_trial),
        cmocka_unit_test_setup_teardown(every_gang_finds_the_same_bits, open_trial, close_trial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
