#include "trainer/deal.h"
#include "base/mem.h"
#include <string.h>

struct deal {
    const struct workbench *bench;
    const struct timetable *timetable;
    uint64_t first, mine; /* this rank's leaves of every step */
    uint32_t *order;      /* the permutation of order_epoch */
    uint64_t order_epoch;
    bool has_order;
    struct feed *feed;
};

void deal_place(const struct timetable *timetable, int global_batch, int micro, uint64_t step,
                uint64_t leaf, uint64_t *epoch, uint64_t *first)
{
    *epoch = timetable->first_epoch + step / timetable->steps_per_epoch;
    *first = step % timetable->steps_per_epoch * (uint64_t)global_batch + leaf * (uint64_t)micro;
}

/* Requests are numbered over all steps: the loader runs ahead across their borders. */
static void fill(void *own, uint64_t index, struct batch_request *request)
{
    struct deal *deal = own;
    const struct campaign *campaign = deal->bench->campaign;
    uint64_t step = index / deal->mine, leaf = deal->first + index % deal->mine;
    uint64_t epoch = 0, first = 0;
    deal_place(deal->timetable, campaign->batch.global, campaign->batch.micro, step, leaf, &epoch,
               &first);
    if (!deal->has_order || deal->order_epoch != epoch) {
        loader_shuffle(campaign->seed, epoch, deal->bench->train_count, deal->order);
        deal->order_epoch = epoch;
        deal->has_order = true;
    }
    request->epoch = epoch;
    request->resolution = timetable_resolution(&deal->bench->space, campaign->seed,
                                               deal->timetable->first_step + step);
    request->N = campaign->batch.micro;
    memcpy(request->positions, deal->order + first,
           (size_t)request->N * sizeof *request->positions);
}

enum err deal_create(const struct workbench *bench, const struct timetable *timetable,
                     uint64_t first_step, struct deal **result)
{
    enum err err = ERR_OK;
    const struct comm *comm = bench->comm;
    const struct space *space = &bench->space;
    int leaves = bench->campaign->batch.global / bench->campaign->batch.micro;
    int first = comm_first(leaves, comm->size, comm->rank);
    struct deal *deal = mem_alloc(sizeof *deal);
    *deal =
        (struct deal){.bench = bench,
                      .timetable = timetable,
                      .first = (uint64_t)first,
                      .mine = (uint64_t)(comm_first(leaves, comm->size, comm->rank + 1) - first)};
    deal->order = mem_array(bench->train_count, sizeof *deal->order);
    struct feed_cfg cfg = {
        .device = bench->device,
        .loader = {.dataset = bench->dataset,
                   .records = bench->train,
                   .count = bench->train_count,
                   .seed = bench->campaign->seed,
                   .augment = &bench->augment,
                   .threads = bench->campaign->resources.loader_threads,
                   .max_batch = bench->campaign->batch.micro,
                   .max_resolution = space->resolutions[space->resolution_count - 1]},
        .first = first_step * deal->mine,
        .end = timetable->steps * deal->mine,
        .ahead = FEED_AHEAD,
        .own = deal,
        .fill = fill};
    TRY(feed_create(&cfg, &deal->feed));
    *result = deal;
    deal = NULL;
out:
    deal_destroy(&deal);
    return err;
}

void deal_destroy(struct deal **pointer)
{
    struct deal *deal = *pointer;
    if (!deal)
        return;
    feed_destroy(&deal->feed);
    mem_free(deal->order);
    mem_free(deal);
    *pointer = NULL;
}

int deal_leaves(const struct deal *deal)
{
    return (int)deal->mine;
}

struct feed *deal_feed(struct deal *deal)
{
    return deal->feed;
}
