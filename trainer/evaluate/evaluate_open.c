#include "trainer/evaluate/evaluate_open.h"
#include "base/log.h"

static bool wants_stop(void *own)
{
    return reporter_wants_stop(own);
}

static void is_alive(void *own)
{
    reporter_is_alive(own);
}

enum err evaluate_open(const struct evaluate_parts *parts, struct activation_arena *arena,
                       struct evaluate **evaluate)
{
    const struct campaign *campaign = parts->campaign;
    const struct splits *splits = parts->splits;
    struct calibration_set set = campaign_calibration(campaign, splits->train_count);
    struct evaluate_cfg cfg = {.calibrate = {.comm = parts->comm,
                                             .device_comm = parts->device_comm,
                                             .net = parts->net,
                                             .dataset = splits->dataset,
                                             .train = splits->train,
                                             .train_count = splits->train_count,
                                             .set = set,
                                             .seed = campaign->seed,
                                             .augment = &splits->augment,
                                             .loader_threads = campaign->resources.loader_threads,
                                             .work = reporter_work(parts->reporter),
                                             .own = parts->reporter,
                                             .is_alive = is_alive},
                               .holdout = splits->holdout,
                               .holdout_count = splits->holdout_count,
                               .test = splits->test,
                               .test_count = splits->test_count,
                               .exchange = parts->exchange,
                               .is_shared = parts->is_shared,
                               .micro = campaign->batch.micro,
                               .cache_bytes = (size_t)campaign->resources.image_cache_bytes,
                               .precision = campaign->precision,
                               .lineage = parts->lineage,
                               .arena = arena,
                               .own = parts->reporter,
                               .wants_stop = wants_stop};
    if (parts->comm->rank == 0)
        log_info("calibration images=%u batch=%d batches=%d", set.images, set.batch, set.batches);
    enum err err = evaluate_create(&cfg, evaluate);
    return comm_agree(parts->comm, err);
}
