#include "trainer/input/sampler.h"
#include "base/mem.h"
#include <string.h>

struct sampler {
    const struct workbench *bench;
    const struct lr_schedule *lr_schedule;
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
    const struct campaign *campaign = sampler->bench->campaign;
    uint64_t step = index / sampler->mine, leaf = sampler->first + index % sampler->mine;
    uint64_t epoch = 0, first = 0;
    sampler_place(sampler->lr_schedule, campaign->batch.global, campaign->batch.micro, step, leaf,
                  &epoch, &first);
    if (!sampler->has_order || sampler->order_epoch != epoch) {
        loader_shuffle(campaign->seed, epoch, sampler->bench->train_count, sampler->order);
        sampler->order_epoch = epoch;
        sampler->has_order = true;
    }
    request->epoch = epoch;
    request->resolution = lr_schedule_resolution(&sampler->bench->space, campaign->seed,
                                                 sampler->lr_schedule->first_step + step);
    request->N = campaign->batch.micro;
    memcpy(request->positions, sampler->order + first,
           (size_t)request->N * sizeof *request->positions);
}

enum err sampler_create(const struct workbench *bench, const struct lr_schedule *lr_schedule,
                        uint64_t first_step, struct sampler **result)
{
    enum err err = ERR_OK;
    const struct comm *comm = bench->comm;
    const struct space *space = &bench->space;
    int leaves = bench->campaign->batch.global / bench->campaign->batch.micro;
    int first = comm_first(leaves, comm->size, comm->rank);
    struct sampler *sampler = mem_alloc(sizeof *sampler);
    *sampler = (struct sampler){
        .bench = bench,
        .lr_schedule = lr_schedule,
        .first = (uint64_t)first,
        .mine = (uint64_t)(comm_first(leaves, comm->size, comm->rank + 1) - first)};
    sampler->order = mem_array(bench->train_count, sizeof *sampler->order);
    struct prefetch_cfg cfg = {
        .device = bench->device,
        .loader = {.dataset = bench->dataset,
                   .records = bench->train,
                   .count = bench->train_count,
                   .seed = bench->campaign->seed,
                   .augment = &bench->augment,
                   .threads = bench->campaign->resources.loader_threads,
                   .max_batch = bench->campaign->batch.micro,
                   .max_resolution = space->resolutions[space->resolution_count - 1]},
        .first = first_step * sampler->mine,
        .end = lr_schedule->steps * sampler->mine,
        .ahead = PREFETCH_AHEAD,
        .own = sampler,
        .fill = fill};
    TRY(prefetch_create(&cfg, &sampler->prefetch));
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

struct prefetch *sampler_feed(struct sampler *sampler)
{
    return sampler->prefetch;
}
