#include "trainer/compile.h"
#include "base/mem.h"
#include "kernels/memory.h"
#include "trainer/emulator/expected.h"
#include "trainer/export/bundle.h"
#include "trainer/spec/cost.h"
#include "trainer/supernet/dry_run.h"
#include "trainer/train/resume.h"
#include <string.h>

/* This sub-network was trained, and the device runs it. */
static enum err check_subnet(const struct workbench *bench, const struct compile_request *request)
{
    enum err err = ERR_OK;
    const struct space *space = &bench->blueprint.space;
    const struct subnet *subnet = request->subnet;
    struct open_choices trained;
    schedule_trained(&bench->blueprint.schedule, space, &trained);
    TRY(subnet_check(space, subnet));
    int b = subnet_find_closed(space, subnet, &trained);
    if (b >= 0)
        TRY(err_set(ERR_CONFIG,
                    "block %d of the sub-network (kernel %d, expansion %d, depth %d of its stage) "
                    "was never trained: shrink.rows left it out",
                    b + 1, subnet->kernel[b], subnet->expansion[b],
                    subnet_depth(space, subnet, space->blocks[b].stage)));
    TRY(camera_device_check_geometry(request->device, bench->splits.augment.geometry));
    TRY(camera_device_check(request->device, space, subnet));
out:
    return err;
}

static enum err calibrate(struct workbench *bench, const struct subnet *subnet)
{
    enum err err = ERR_OK;
    struct evaluate *evaluate = NULL;
    struct evaluate_parts parts = workbench_evaluate(bench);
    TRY(evaluate_open(&parts, NULL, &evaluate));
    TRY(evaluate_calibrate(evaluate, subnet));
out:
    evaluate_destroy(&evaluate);
    return err;
}

/* Hold-out images as the network takes them (training images when nothing is held out). */
static enum err read_samples(const struct workbench *bench, int side, struct bundle_sample *samples,
                             int *count)
{
    enum err err = ERR_OK;
    struct image image = {0};
    const uint32_t *records =
        bench->splits.holdout_count ? bench->splits.holdout : bench->splits.train;
    uint32_t available =
        bench->splits.holdout_count ? bench->splits.holdout_count : bench->splits.train_count;
    *count = available < COMPILE_SAMPLES ? (int)available : COMPILE_SAMPLES;
    for (int i = 0; i < *count; i++) {
        uint32_t record = records[splits_spread(available, i, *count)];
        TRY(dataset_read(bench->splits.dataset, record, &image));
        bundle_fit_image(&image, side, bench->blueprint.space.channels,
                         bench->splits.augment.geometry, &samples[i].image);
        samples[i].record = record;
    }
out:
    mem_free(image.pixels);
    return err;
}

/* The samples are a batch of a size of their own. */
static enum err prepare_samples(struct workbench *bench, const struct subnet *subnet, int count)
{
    enum err err = ERR_OK;
    struct workload workload = {0};
    TRY(dry_run_subnet(bench->net, subnet, count, PASS_FIXED, &workload));
    TRY(bench->device->ops->prepare(bench->device, &workload));
out:
    workload_fini(&workload);
    return err;
}

/* The supernet's own answers with the calibrated statistics: logits (count, classes), host. */
static enum err answer_samples(struct workbench *bench, const struct subnet *subnet,
                               const struct bundle_sample *samples, int count, float *logits)
{
    enum err err = ERR_OK;
    struct device *device = bench->device;
    struct activation_arena *arena = NULL;
    void *images = NULL;
    const float *answer = NULL;
    int side = subnet->resolution;
    size_t values = (size_t)(side * side * bench->blueprint.space.channels);
    float *host = mem_array((size_t)count * values, sizeof *host);
    for (int i = 0; i < count; i++)
        bundle_normalise(dataset_info(bench->splits.dataset), &samples[i].image, false,
                         host + (size_t)i * values);
    TRY(prepare_samples(bench, subnet, count));
    TRY(activation_arena_create(bench->net, count, side, PASS_FIXED, &arena));
    TRY(memory_map(device, host, (size_t)count * values, &images));
    struct forward forward = {.subnet = subnet,
                              .weights = bench->net->weights,
                              .shadow = bench->net->shadow,
                              .images = images,
                              .N = count,
                              .mode = PASS_FIXED};
    TRY(supernet_forward(bench->net, arena, &forward, &answer));
    TRY(device->ops->download(device, logits, answer,
                              (size_t)(count * bench->blueprint.space.classes) * sizeof *logits));
out:
    memory_free(device, images);
    activation_arena_destroy(&arena);
    mem_free(host);
    return err;
}

/* For a device that pictures can be injected into: what it is to answer to each of them. Returns
 * owned: expected (count, BUNDLE_EXPECTED, outputs); NULL where the device's arithmetic is not
 * known. */
static enum err expect_samples(const struct workbench *bench, const struct camera_device *device,
                               const struct folded *folded, struct bundle_sample *samples,
                               int count, float **expected)
{
    enum err err = ERR_OK;
    struct expected *answers = NULL;
    size_t each = (size_t)BUNDLE_EXPECTED * (size_t)folded->outputs;
    if (device->arithmetic == DEVICE_ARITHMETIC_UNKNOWN)
        goto out;
    TRY(expected_open(folded, dataset_info(bench->splits.dataset), &answers));
    *expected = mem_array((size_t)count, each * sizeof **expected);
    for (int i = 0; i < count; i++) {
        samples[i].expected = *expected + (size_t)i * each;
        TRY(expected_answer(answers, &samples[i].image, *expected + (size_t)i * each));
    }
out:
    expected_close(&answers);
    return err;
}

static enum err write_bundle(struct workbench *bench, const struct compile_request *request,
                             const struct hash *weights, const struct folded *folded,
                             const struct bundle_sample *samples, int sample_count)
{
    enum err err = ERR_OK;
    struct text subnet;
    struct cost cost = cost_of(&bench->blueprint.space, request->subnet);
    char content[HASH_HEX_BYTES];
    text_init(&subnet);
    subnet_format(&bench->blueprint.space, request->subnet, &subnet);
    hash_hex(weights, content);
    struct bundle_cfg cfg = {.folder = request->folder,
                             .target = request->name,
                             .device = request->device,
                             .folded = folded,
                             .subnet = text_get(&subnet),
                             .macs = cost.macs,
                             .latency_ms = camera_device_latency_ms(request->device, &cost),
                             .budget_ms = request->budget_ms,
                             .parameters = cost.parameters,
                             .dataset = dataset_info(bench->splits.dataset),
                             .geometry = bench->splits.augment.geometry,
                             .formats = {bench->blueprint.campaign->compile.tensorflow,
                                         bench->blueprint.campaign->compile.caffe,
                                         bench->blueprint.campaign->compile.onnx},
                             .samples = samples,
                             .sample_count = sample_count,
                             .sample_split =
                                 bench->splits.holdout_count ? SPLIT_HOLDOUT : SPLIT_TRAIN,
                             .checkpoint = content,
                             .fence = {bench->folder, bench->cfg.claim}};
    TRY(bundle_write(&cfg));
out:
    text_fini(&subnet);
    return err;
}

enum err compile_subnet(struct workbench *bench, const struct compile_request *request)
{
    enum err err = ERR_OK;
    struct bundle_sample samples[COMPILE_SAMPLES];
    struct folded folded = {0};
    struct hash weights;
    int count = 0;
    float *expected = NULL;
    struct fold_cfg fold = bundle_fold(request->device, &bench->blueprint.space);
    float *logits =
        mem_array((size_t)COMPILE_SAMPLES * (size_t)bench->blueprint.space.classes, sizeof *logits);
    memset(samples, 0, sizeof samples);
    TRY(check_subnet(bench, request));
    struct resume_cfg from = workbench_resume(bench);
    TRY(workbench_prepare(bench, NULL, request->subnet));
    TRY(resume_load_trained(&from, &weights));
    TRY(calibrate(bench, request->subnet));
    TRY(fold_subnet(bench->net, request->subnet, &fold, &folded));
    TRY(read_samples(bench, request->subnet->resolution, samples, &count));
    TRY(answer_samples(bench, request->subnet, samples, count, logits));
    for (int i = 0; i < count; i++)
        samples[i].logits = logits + i * bench->blueprint.space.classes;
    TRY(expect_samples(bench, request->device, &folded, samples, count, &expected));
    TRY(write_bundle(bench, request, &weights, &folded, samples, count));
out:
    for (int i = 0; i < COMPILE_SAMPLES; i++)
        mem_free(samples[i].image.pixels);
    folded_fini(&folded);
    mem_free(expected);
    mem_free(logits);
    return err;
}
