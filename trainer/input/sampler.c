#include "trainer/input/sampler.h"
#include "base/mem.h"
#include "trainer/gang/comm.h"
#include <string.h>

struct sampler {
    struct sampler_cfg cfg;
    uint64_t first, mine; /* this rank's leaves of every step */
    uint32_t *order;      /* the permutation of order_epoch */
    uint64_t order_epoch;
    bool has_order;
    struct prefetch *prefetch;
};

void sampler_place(const struct lr_schedule *lr_schedule, int global_batch, int micro,
                   uint64_t step, uint64_t leaf, uint64_t *epoch, uint64_t *first)
{
    *epoch = lr_schedule->first_epoch + step / lr_schedule->steps_per_epoch;
    *first = step % lr_schedule->steps_per_epoch * (uint64_t)global_batch + leaf * (uint64_t)micro;
}

/* Requests are numbered over all steps: the loader runs ahead across their borders. */
static void fill(void *own, uint64_t index, struct batch_request *request)
{
    struct sampler *sampler = own;
    const struct campaign *campaign = sampler->cfg.campaign;
    uint64_t step = index / sampler->mine, leaf = sampler->first + index % sampler->mine;
    uint64_t epoch = 0, first = 0;
    sampler_place(sampler->cfg.lr_schedule, campaign->batch.global, campaign->batch.micro, step,
                  leaf, &epoch, &first);
    if (!sampler->has_order || sampler->order_epoch != epoch) {
        loader_shuffle(campaign->seed, epoch, sampler->cfg.splits->train_count, sampler->order);
        sampler->order_epoch = epoch;
        sampler->has_order = true;
    }
    request->epoch = epoch;
    request->resolution = lr_schedule_resolution(sampler->cfg.space, campaign->seed,
                                                 sampler->cfg.lr_schedule->first_step + step);
    request->N = campaign->batch.micro;
    memcpy(request->positions, sampler->order + first,
           (size_t)request->N * sizeof *request->positions);
}

enum err sampler_create(const struct sampler_cfg *cfg, struct sampler **result)
{
    enum err err = ERR_OK;
    const struct campaign *campaign = cfg->campaign;
    const struct splits *splits = cfg->splits;
    int leaves = campaign->batch.global / campaign->batch.micro;
    int first = comm_first(leaves, cfg->size, cfg->rank);
    struct sampler *sampler = mem_alloc(sizeof *sampler);
    *sampler =
        (struct sampler){.cfg = *cfg,
                         .first = (uint64_t)first,
                         .mine = (uint64_t)(comm_first(leaves, cfg->size, cfg->rank + 1) - first)};
    sampler->order = mem_array(splits->train_count, sizeof *sampler->order);
    struct prefetch_cfg prefetch = {
        .device = cfg->device,
        .loader = {.dataset = splits->dataset,
                   .records = splits->train,
                   .count = splits->train_count,
                   .seed = campaign->seed,
                   .augment = &splits->augment,
                   .threads = campaign->resources.loader_threads,
                   .max_batch = campaign->batch.micro,
                   .max_resolution = cfg->space->resolutions[cfg->space->resolution_count - 1]},
        .first = cfg->first_step * sampler->mine,
        .end = cfg->lr_schedule->steps * sampler->mine,
        .ahead = PREFETCH_AHEAD,
        .work = cfg->work,
        .own = sampler,
        .fill = fill};
    TRY(prefetch_create(&prefetch, &sampler->prefetch));
    *result = sampler;
    sampler = NULL;
out:
    sampler_destroy(&sampler);
    return err;
}

void sampler_destroy(struct sampler **pointer)
{
    struct sampler *sampler = *pointer;
    if (!sampler)
        return;
    prefetch_destroy(&sampler->prefetch);
    mem_free(sampler->order);
    mem_free(sampler);
    *pointer = NULL;
}

int sampler_leaves(const struct sampler *sampler)
{
    return (int)sampler->mine;
}

struct prefetch *sampler_prefetch(struct sampler *sampler)
{
    return sampler->prefetch;
}
