#include "trainer/evaluate/calibrate.h"
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/spec/layer_walk.h"
#include "trainer/supernet/param_table.h"

/* Draws of the calibration images' augmentation: an epoch that training never reaches. */
#define CALIBRATION_EPOCH UINT32_MAX

struct extent {      /* what of a batch norm a sub-network uses */
    double elements; /* of one channel, per image; 0: the layer is skipped */
    int channels;
};

struct calibrate {
    struct calibrate_cfg cfg;
    struct eval_batches *batches;
    struct tree_sum *sums;    /* per batch norm channel sum z, then sum z^2 */
    double *total;            /* host (2 statistic_count) */
    float *means, *variances; /* host (statistic_count) */
    struct extent *extents;   /* of each batch norm (norm_count) */
};

void calibrate_describe(const struct calibrate_cfg *cfg, struct text *lines)
{
    const struct augment_cfg *augment = cfg->augment;
    text_add(lines, "calibration.images=%u\ncalibration.batch=%d\ncalibration.seed=%llu\n",
             (unsigned)cfg->set.images, cfg->set.batch, (unsigned long long)cfg->seed);
    if (!augment)
        return;
    const double reals[] = {augment->crop_min, augment->brightness, augment->saturation};
    static const char *const names[] = {"crop", "brightness", "saturation"};
    for (int i = 0; i < 3; i++) {
        text_add(lines, "calibration.%s=", names[i]);
        text_add_real(lines, reals[i]);
        text_add(lines, "\n");
    }
    text_add(lines, "calibration.flip=%d\ncalibration.colour=%d\ngeometry=%d\n", augment->has_flip,
             augment->has_colour, augment->geometry);
}

static enum err choose_images(struct calibrate *calibrate)
{
    const struct calibrate_cfg *cfg = &calibrate->cfg;
    uint32_t *order = mem_array(cfg->train_count, sizeof *order);
    rng_permute(cfg->seed, RNG_CALIBRATION, 0, cfg->train_count, order);
    struct eval_batches_cfg batches = {.comm = cfg->comm,
                                       .device = cfg->net->device,
                                       .cache = cfg->cache,
                                       .loader = {.dataset = cfg->dataset,
                                                  .records = cfg->train,
                                                  .count = cfg->train_count,
                                                  .seed = cfg->seed,
                                                  .augment = cfg->augment,
                                                  .threads = cfg->loader_threads,
                                                  .max_batch = cfg->set.batch},
                                       .positions = order,
                                       .count = cfg->set.images,
                                       .epoch = CALIBRATION_EPOCH,
                                       .work = cfg->work,
                                       .own = cfg->own,
                                       .is_alive = cfg->is_alive};
    enum err err = eval_batches_create(&batches, &calibrate->batches);
    mem_free(order);
    return err;
}

enum err calibrate_create(const struct calibrate_cfg *cfg, struct calibrate **result)
{
    enum err err = ERR_OK;
    const struct supernet *net = cfg->net;
    struct calibrate *calibrate = mem_alloc(sizeof *calibrate);
    *calibrate = (struct calibrate){.cfg = *cfg};
    calibrate->total = mem_array(2 * net->statistic_count, sizeof *calibrate->total);
    calibrate->means = mem_array(net->statistic_count, sizeof *calibrate->means);
    calibrate->variances = mem_array(net->statistic_count, sizeof *calibrate->variances);
    calibrate->extents = mem_array((size_t)net->norm_count, sizeof *calibrate->extents);
    TRY(choose_images(calibrate));
    struct tree_sum_cfg sums = {.comm = cfg->comm,
                                .on_device = cfg->device_comm,
                                .leaves = eval_batches_leaves(calibrate->batches),
                                .count = 2 * net->statistic_count,
                                .is_double = true};
    TRY(tree_sum_create(&sums, &calibrate->sums));
    *result = calibrate;
    calibrate = NULL;
out:
    calibrate_destroy(&calibrate);
    return err;
}

void calibrate_destroy(struct calibrate **pointer)
{
    struct calibrate *calibrate = *pointer;
    if (!calibrate)
        return;
    eval_batches_destroy(&calibrate->batches);
    tree_sum_destroy(&calibrate->sums);
    mem_free(calibrate->total);
    mem_free(calibrate->means);
    mem_free(calibrate->variances);
    mem_free(calibrate->extents);
    mem_free(calibrate);
    *pointer = NULL;
}

/* The norm behind a layer; -1: it has none. */
static int norm_of(const struct param_table *table, const struct layer_shape *layer)
{
    switch (layer->part) {
    case PART_STEM:
        return table->stem.norm;
    case PART_EXPAND:
        return table->blocks[layer->block].expand.norm;
    case PART_DEPTHWISE:
        return table->blocks[layer->block].depthwise.norm;
    case PART_PROJECT:
        return table->blocks[layer->block].project.norm;
    case PART_HEAD:
        return table->expand.norm;
    default:
        return -1;
    }
}

static void take_extent(void *own, const struct layer_shape *layer)
{
    struct calibrate *calibrate = own;
    int norm = norm_of(calibrate->cfg.net->param_table, layer);
    if (norm >= 0)
        calibrate->extents[norm] = (struct extent){(double)layer->side * layer->side, layer->K};
}

/* The map's area and the active width of every batch norm; nothing for layers that are skipped. */
static void find_extents(struct calibrate *calibrate, const struct subnet *subnet)
{
    const struct supernet *net = calibrate->cfg.net;
    for (int i = 0; i < net->norm_count; i++)
        calibrate->extents[i] = (struct extent){0};
    layer_walk(net->space, subnet, take_extent, calibrate);
}

struct visit {
    struct calibrate *calibrate;
    struct activation_arena *arena;
    const struct subnet *subnet;
};

static enum err add_leaf(void *own, const struct prefetched *prefetched)
{
    struct visit *visit = own;
    struct calibrate *calibrate = visit->calibrate;
    struct supernet *net = calibrate->cfg.net;
    const float *logits = NULL;
    struct forward forward = {.subnet = visit->subnet,
                              .weights = net->weights,
                              .shadow = net->shadow,
                              .images = prefetched->images,
                              .N = prefetched->host.N,
                              .mode = PASS_BATCH_NORM,
                              .calibration = tree_sum_leaf(calibrate->sums),
                              /* a leaf is many micro-batches: it takes as many times as long */
                              .moved = calibrate->cfg.work ? &calibrate->cfg.work->done : NULL};
    enum err err = supernet_forward(net, visit->arena, &forward, &logits);
    if (err == ERR_OK)
        tree_sum_close_leaf(calibrate->sums);
    return err;
}

/* mean = E z, variance = E z^2 - (E z)^2 over all images: within and between the batches. */
static enum err set_statistics(struct calibrate *calibrate, const double *device_sums)
{
    enum err err = ERR_OK;
    double *sums = calibrate->total;
    struct supernet *net = calibrate->cfg.net;
    struct device *device = net->device;
    size_t count = net->statistic_count, bytes = count * sizeof(float);
    TRY(device->ops->download(device, sums, device_sums, 2 * count * sizeof *sums));
    TRY(device->ops->download(device, calibrate->means, net->means, bytes));
    TRY(device->ops->download(device, calibrate->variances, net->variances, bytes));
    for (int i = 0; i < net->norm_count; i++) {
        const struct norm_slot *norm = &net->norms[i];
        double n = calibrate->extents[i].elements * (double)calibrate->cfg.set.images;
        for (int c = 0; c < calibrate->extents[i].channels && n > 0; c++) {
            size_t at = norm->statistic + (size_t)c;
            double mean = sums[at] / n, square = sums[count + at] / n;
            calibrate->means[at] = (float)mean;
            calibrate->variances[at] = (float)(square > mean * mean ? square - mean * mean : 0);
        }
    }
    device->ops->upload(device, net->means, calibrate->means, bytes);
    device->ops->upload(device, net->variances, calibrate->variances, bytes);
    net->has_statistics = true;
out:
    return err;
}

enum err calibrate_subnet(struct calibrate *calibrate, struct activation_arena *arena,
                          const struct subnet *subnet)
{
    enum err err = ERR_OK;
    void *sums = NULL;
    struct visit visit = {.calibrate = calibrate, .arena = arena, .subnet = subnet};
    err = eval_batches_walk(calibrate->batches, subnet->resolution, add_leaf, &visit);
    if (err != ERR_OK)
        tree_sum_forget(calibrate->sums);
    TRY(comm_agree(calibrate->cfg.comm, err));
    TRY(tree_sum_total(calibrate->sums, &sums));
    find_extents(calibrate, subnet);
    TRY(set_statistics(calibrate, sums));
out:
    return err;
}
