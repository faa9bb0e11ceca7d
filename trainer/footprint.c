#include "trainer/footprint.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/data/splits.h"
#include "trainer/evaluate/eval_batches.h"
#include "trainer/evaluate/evaluate_open.h"
#include "trainer/gang/comm.h"
#include "trainer/stage_workload.h"

/* A rank of a network that hardly takes anything, with MPI and one thread; measured and rounded up.
 */
#define PROGRAM_BYTES ((size_t)72 << 20)
#define THREAD_BYTES  ((size_t)3 << 20) /* a thread beside its scratch: GEMM's panels, a decoder */

struct counting {
    const struct footprint_cfg *cfg;
    struct supernet *net; /* described only */
    size_t weights;       /* bytes of one array of their layout */
    struct calibration_set set;
    int side, micro; /* side: the largest resolution */
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t room_bytes(const struct counting *counting, int N, enum pass_mode mode)
{
    return activation_room_bytes(counting->net, &(struct activation_room){N, counting->side, mode});
}

static size_t batch_bytes(const struct counting *counting, int N, int side)
{
    size_t pixels = (size_t)side * (size_t)side * (size_t)counting->net->space->channels;
    return (size_t)N * pixels * counting->net->map_bytes;
}

/* A batch as the loader has it: u8 crops and their numbers. */
static size_t loaded_bytes(const struct counting *counting, int N)
{
    const struct footprint_cfg *cfg = counting->cfg;
    int channels = counting->net->space->channels;
    struct augment_cfg augment = splits_augment(cfg->campaign);
    double ratio = augment_ratio(augment.geometry, &augment);
    size_t crop = resample_room(cfg->image_side, cfg->image_side, channels, counting->side, ratio);
    return (size_t)N * (sizeof(struct image_crop) + sizeof(int32_t) + crop);
}

/* A loader's batches, the device's copy of the one that is computed, and its map. */
static size_t loader_bytes(const struct counting *counting, int N, int ahead)
{
    return (size_t)(ahead + 2) * loaded_bytes(counting, N) +
           batch_bytes(counting, N, counting->side);
}

/* Of `images` in leaves of N: the maps of a rank's share, at the largest resolution in training, at
 * all in an evaluation. */
static size_t map_bytes(const struct counting *counting, uint32_t images, int N)
{
    const struct space *space = counting->net->space;
    size_t leaves = ((size_t)images + (size_t)N - 1) / (size_t)N, bytes = 0;
    size_t mine = (leaves + (size_t)counting->cfg->ranks - 1) / (size_t)counting->cfg->ranks;
    for (int i = counting->cfg->phase ? space->resolution_count - 1 : 0;
         i < space->resolution_count; i++)
        bytes += mine * batch_bytes(counting, N, space->resolutions[i]);
    return bytes;
}

/* What a rank keeps for the next sub-network (trainer/evaluate/batch_cache.h): maps, or less than
 * them where they do not fit. */
static size_t kept_bytes(const struct counting *counting)
{
    const struct footprint_cfg *cfg = counting->cfg;
    size_t bytes = map_bytes(counting, cfg->holdout_images, counting->micro);
    if (counting->set.batches > 0)
        bytes += map_bytes(counting, counting->set.images, counting->set.batch);
    if (!cfg->phase)
        bytes += map_bytes(counting, cfg->test_images, counting->micro);
    return smaller(bytes, (size_t)cfg->campaign->resources.image_cache_bytes);
}

/* Calibration and hold-out images, and behind a training test images: one loader at a time, and
 * what was kept before. */
static size_t image_bytes(const struct counting *counting)
{
    const struct footprint_cfg *cfg = counting->cfg;
    int N = counting->set.batch > counting->micro ? counting->set.batch : counting->micro;
    size_t bytes = loader_bytes(counting, N, EVAL_BATCHES_AHEAD) + kept_bytes(counting);
    if (cfg->phase)
        bytes += loader_bytes(counting, counting->micro, PREFETCH_AHEAD);
    return bytes;
}

static size_t sum_bytes(const struct counting *counting)
{
    const struct footprint_cfg *cfg = counting->cfg;
    const struct supernet *net = counting->net;
    int leaves = cfg->campaign->batch.global / counting->micro;
    size_t bytes = 0;
    if (counting->set.batches > 0)
        bytes += tree_sum_bytes(cfg->ranks, counting->set.batches,
                                2 * net->statistic_count * sizeof(double));
    if (cfg->phase)
        bytes += tree_sum_bytes(cfg->ranks, leaves, counting->weights);
    return bytes;
}

static void count_activations(const struct counting *counting, struct footprint *footprint)
{
    const struct phase *phase = counting->cfg->phase;
    footprint->micro_bytes =
        room_bytes(counting, counting->micro, phase ? PASS_TRAIN : PASS_BATCH_NORM);
    footprint->calibration_bytes = room_bytes(counting, counting->set.batch, PASS_BATCH_NORM);
    footprint->activation_bytes = larger(footprint->micro_bytes, footprint->calibration_bytes);
    if (phase && phase->has_distillation)
        footprint->activation_bytes += room_bytes(counting, counting->micro, PASS_BATCH_NORM);
}

static void count_weights(const struct counting *counting, struct footprint *footprint)
{
    const struct phase *phase = counting->cfg->phase;
    const struct supernet *net = counting->net;
    size_t arrays = !phase ? 1 : phase->has_distillation ? 3 : 2; /* weights, momentum, teacher */
    size_t shadows = net->map_bytes == sizeof(float) ? 0 : phase && phase->has_distillation ? 2 : 1;
    footprint->weight_bytes = arrays * counting->weights +
                              shadows * net->weight_count * net->map_bytes +
                              2 * net->statistic_count * sizeof(float);
}

/* A checkpoint is read, with its momentum and a copy for the other ranks, before anything is loaded
 * (and evaluated: before sums and activations are made). In training one is written later. */
static size_t checkpoint_bytes(const struct counting *counting, const struct footprint *footprint)
{
    size_t copy = 2 * counting->weights, read = 3 * counting->weights, written = 0;
    size_t behind = footprint->image_bytes;
    if (counting->cfg->phase)
        written = copy + smaller(copy, CHECKPOINT_WRITE_BYTES);
    else
        behind += footprint->sum_bytes + footprint->activation_bytes;
    return larger(written, read > behind ? read - behind : 0);
}

static struct device_cfg device_cfg_of(const struct footprint_cfg *cfg, const char *name)
{
    const struct campaign *campaign = cfg->campaign;
    const char *precision = cfg->precision ? cfg->precision : campaign->precision;
    struct device_cfg device = {.name = name, .threads = campaign->resources.threads};
    if (isa_parse(campaign->resources.isa, &device.isa) != ERR_OK ||
        precision_parse(precision, &device.precision) != ERR_OK)
        BUG("%s", err_text());
    return device;
}

/* What operations of the device of this name work in. */
static size_t scratch_bytes(const struct counting *counting, const char *name)
{
    const struct footprint_cfg *cfg = counting->cfg;
    const struct campaign *campaign = cfg->campaign;
    struct device_cfg device = device_cfg_of(cfg, name);
    struct workload workload = {0};
    struct stage_workload stage = {.net = counting->net,
                                   .campaign = campaign,
                                   .phase = cfg->phase,
                                   .train_images = cfg->train_images,
                                   .holdout_images = cfg->holdout_images,
                                   .test_images = cfg->test_images,
                                   .image_side = cfg->image_side};
    if (stage_workload_add(&stage, &workload) != ERR_OK)
        BUG("%s", err_text());
    size_t size_bytes = device_scratch_bytes(&device, &workload);
    workload_fini(&workload);
    return size_bytes;
}

/* Of a rank's, as if all that its host holds of these lay there: no more does. */
static void count_device(const struct counting *counting, struct footprint *footprint)
{
    const char *name = counting->cfg->campaign->resources.device;
    if (device_is_host(name))
        return;
    footprint->scratch_bytes = scratch_bytes(counting, name);
    footprint->device_bytes = footprint->weight_bytes + footprint->sum_bytes +
                              footprint->activation_bytes + footprint->image_bytes +
                              footprint->scratch_bytes;
}

void footprint_of(const struct footprint_cfg *cfg, struct footprint *footprint)
{
    const struct campaign *campaign = cfg->campaign;
    struct counting counting = {.cfg = cfg,
                                .set = campaign_calibration(campaign, cfg->train_images),
                                .side = cfg->space->resolutions[cfg->space->resolution_count - 1],
                                .micro = campaign->batch.micro};
    int threads = campaign->resources.threads + campaign->resources.loader_threads;
    *footprint = (struct footprint){0};
    enum precision precision = device_cfg_of(cfg, "cpu").precision;
    supernet_describe(cfg->space, precision_map_bytes(precision), &counting.net);
    counting.weights = counting.net->weight_count * sizeof(float);
    count_weights(&counting, footprint);
    count_activations(&counting, footprint);
    footprint->sum_bytes = sum_bytes(&counting);
    footprint->image_bytes = image_bytes(&counting);
    footprint->checkpoint_bytes = checkpoint_bytes(&counting, footprint);
    footprint->program_bytes =
        PROGRAM_BYTES + THREAD_BYTES * (size_t)threads + scratch_bytes(&counting, "cpu");
    count_device(&counting, footprint);
    size_t other = footprint->weight_bytes + footprint->sum_bytes + footprint->activation_bytes +
                   footprint->image_bytes + footprint->program_bytes;
    footprint->rank_bytes = other + footprint->checkpoint_bytes;
    footprint->gang_bytes = footprint->rank_bytes + (size_t)(cfg->ranks - 1) * other;
    supernet_destroy(&counting.net);
}
