#include "trainer/stage_workload.h"
#include "trainer/supernet/dry_run.h"

/* The square images that a device makes of a batch. */
static void add_images(const struct stage_workload *stage, int N, int resolution,
                       struct workload *workload)
{
    int channels = stage->net->space->channels;
    struct work work = {.kind = WORK_IMAGE_FORWARD,
                        .conv = {.in = {N, resolution, resolution, channels}},
                        .width = stage->image_side};
    workload_add(workload, &work);
}

static enum err add_batch(const struct stage_workload *stage, int N, enum pass_mode mode,
                          struct workload *workload)
{
    const struct space *space = stage->net->space;
    if (N == 0)
        return ERR_OK;
    if (stage->subnet) {
        add_images(stage, N, stage->subnet->resolution, workload);
        return dry_run_subnet(stage->net, stage->subnet, N, mode, workload);
    }
    for (int i = 0; i < space->resolution_count; i++)
        add_images(stage, N, space->resolutions[i], workload);
    dry_run_space(stage->net, N, mode, workload);
    return ERR_OK;
}

/* Images in leaves of `most`: what the last leaf has, where it is not full. */
static int last_leaf(uint32_t images, int most)
{
    return (int)(images % (uint32_t)most);
}

static enum err add_evaluation(const struct stage_workload *stage, struct workload *workload)
{
    enum err err = ERR_OK;
    int micro = stage->campaign->batch.micro;
    struct calibration_set set = campaign_calibration(stage->campaign, stage->train_images);
    const int batches[] = {set.batch, last_leaf(set.images, set.batch > 0 ? set.batch : 1), micro,
                           last_leaf(stage->holdout_images, micro),
                           last_leaf(stage->test_images, micro)};
    for (int i = 0; i < (int)(sizeof batches / sizeof *batches); i++)
        TRY(add_batch(stage, batches[i], PASS_FIXED, workload));
out:
    return err;
}

static enum err add_training(const struct stage_workload *stage, struct workload *workload)
{
    enum err err = ERR_OK;
    const struct supernet *net = stage->net;
    int micro = stage->campaign->batch.micro;
    struct work loss = {.kind = WORK_LOSS_FORWARD,
                        .conv = {.in = {.N = micro}, .K = net->space->classes}};
    struct work gradient = {.kind = WORK_FIND_NONFINITE, .count = net->weight_count};
    TRY(add_batch(stage, micro, PASS_TRAIN, workload));
    workload_add(workload, &loss);
    workload_add(workload, &gradient);
out:
    return err;
}

enum err stage_workload_add(const struct stage_workload *stage, struct workload *workload)
{
    enum err err = ERR_OK;
    TRY(add_evaluation(stage, workload));
    if (stage->phase)
        TRY(add_training(stage, workload));
out:
    return err;
}
