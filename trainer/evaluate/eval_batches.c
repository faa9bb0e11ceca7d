#include "trainer/evaluate/eval_batches.h"
#include "base/mem.h"
#include <string.h>

struct eval_batches {
    struct eval_batches_cfg cfg;
    uint32_t *positions;
    int list;               /* in the cache */
    int leaves, first, end; /* this rank's leaves */
    int resolution;         /* of the walk the prefetch is filled for */
};

static uint32_t leaf_start(const struct eval_batches *batches, int leaf)
{
    uint64_t start = (uint64_t)leaf * (uint64_t)batches->cfg.loader.max_batch;
    return start < batches->cfg.count ? (uint32_t)start : batches->cfg.count;
}

enum err eval_batches_create(const struct eval_batches_cfg *cfg, struct eval_batches **result)
{
    int most = cfg->loader.max_batch;
    if (cfg->count == 0)
        return err_set(ERR_DATA, "there are no images to measure on");
    struct eval_batches *batches = mem_alloc(sizeof *batches);
    *batches = (struct eval_batches){.cfg = *cfg, .list = batch_cache_list(cfg->cache)};
    batches->leaves = (int)((cfg->count + (uint32_t)most - 1) / (uint32_t)most);
    batches->first = comm_first(batches->leaves, cfg->comm->size, cfg->comm->rank);
    batches->end = comm_first(batches->leaves, cfg->comm->size, cfg->comm->rank + 1);
    batches->positions = mem_array(cfg->count, sizeof *batches->positions);
    for (uint32_t i = 0; i < cfg->count; i++)
        batches->positions[i] = cfg->positions ? cfg->positions[i] : i;
    *result = batches;
    return ERR_OK;
}

void eval_batches_destroy(struct eval_batches **pointer)
{
    struct eval_batches *batches = *pointer;
    if (!batches)
        return;
    mem_free(batches->positions);
    mem_free(batches);
    *pointer = NULL;
}

int eval_batches_leaves(const struct eval_batches *batches)
{
    return batches->leaves;
}

static void fill(void *own, uint64_t leaf, struct batch_request *request)
{
    const struct eval_batches *batches = own;
    uint32_t start = leaf_start(batches, (int)leaf);
    request->epoch = batches->cfg.epoch;
    request->resolution = batches->resolution;
    request->N = (int)(leaf_start(batches, (int)leaf + 1) - start);
    memcpy(request->positions, batches->positions + start,
           (size_t)request->N * sizeof *request->positions);
}

/* From leaf `first` on. */
static enum err open_prefetch(struct eval_batches *batches, int first, void *images,
                              struct prefetch **prefetch)
{
    struct prefetch_cfg cfg = {.device = batches->cfg.device,
                               .loader = batches->cfg.loader,
                               .first = (uint64_t)first,
                               .end = (uint64_t)batches->end,
                               .ahead = EVAL_BATCHES_AHEAD,
                               .work = batches->cfg.work,
                               .images = images,
                               .own = batches,
                               .fill = fill};
    cfg.loader.max_resolution = batches->resolution;
    return prefetch_create(&cfg, prefetch);
}

struct visitor {
    enum err (*visit)(void *own, const struct prefetched *prefetched);
    void *own;
};

static enum err visit_one(const struct eval_batches *batches, const struct prefetched *prefetched,
                          const struct visitor *visitor)
{
    enum err err = visitor->visit(visitor->own, prefetched);
    if (batches->cfg.is_alive)
        batches->cfg.is_alive(batches->cfg.own);
    return err;
}

static enum err visit_kept(const struct eval_batches *batches, const struct album *album,
                           const struct visitor *visitor)
{
    enum err err = ERR_OK;
    int count = album_count(album);
    for (int i = 0; i < count; i++) {
        struct prefetched prefetched;
        batch_cache_show(batches->cfg.cache, album, i, &prefetched);
        TRY(visit_one(batches, &prefetched, visitor));
    }
out:
    return err;
}

static enum err visit_loaded(const struct eval_batches *batches, struct prefetch *prefetch,
                             struct album *album, const struct visitor *visitor)
{
    enum err err = ERR_OK;
    bool is_kept = true;
    for (int leaf = batches->first + album_count(album); leaf < batches->end; leaf++) {
        struct prefetched prefetched;
        TRY(prefetch_take(prefetch, &prefetched));
        if (is_kept)
            err = batch_cache_keep(batches->cfg.cache, album, &prefetched, &is_kept);
        if (err == ERR_OK)
            err = visit_one(batches, &prefetched, visitor);
        prefetch_release(prefetch, &prefetched);
        TRY(err);
    }
out:
    return err;
}

/* The loader's threads work on what is not kept while what is kept is computed. */
enum err eval_batches_walk(struct eval_batches *batches, int resolution,
                           enum err (*visit)(void *, const struct prefetched *), void *own)
{
    enum err err = ERR_OK;
    const struct visitor visitor = {visit, own};
    struct album_key key = {.list = batches->list,
                            .resolution = resolution,
                            .batches = batches->end - batches->first,
                            .max_batch = batches->cfg.loader.max_batch};
    struct prefetch *prefetch = NULL;
    void *images = NULL;
    if (key.batches == 0)
        return ERR_OK;
    struct album *album = batch_cache_album(batches->cfg.cache, &key);
    batches->resolution = resolution;
    TRY(batch_cache_images(batches->cfg.cache, key.max_batch, resolution, &images));
    if (album_count(album) < key.batches)
        TRY(open_prefetch(batches, batches->first + album_count(album), images, &prefetch));
    TRY(visit_kept(batches, album, &visitor));
    TRY(visit_loaded(batches, prefetch, album, &visitor));
out:
    prefetch_destroy(&prefetch);
    return err;
}
