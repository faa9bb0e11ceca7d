#include "trainer/evaluate/eval_batches.h"
#include "base/mem.h"
#include "kernels/memory.h"
#include <string.h>

#define MAX_ALBUMS 32

struct page { /* one kept batch: images in device memory only, labels and records in the host's too
               */
    struct prefetched prefetched;
    void *images;
    int32_t *labels;
};

struct album { /* all batches of this rank at one resolution */
    int resolution;
    struct page *pages; /* (end - first) */
};

struct eval_batches {
    struct eval_batches_cfg cfg;
    uint32_t *positions;
    int leaves, first, end; /* this rank's leaves */
    int resolution;         /* of the walk the prefetch is filled for */
    struct album albums[MAX_ALBUMS];
    int album_count;
    size_t kept_bytes;
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
    *batches = (struct eval_batches){.cfg = *cfg};
    batches->leaves = (int)((cfg->count + (uint32_t)most - 1) / (uint32_t)most);
    batches->first = comm_first(batches->leaves, cfg->comm->size, cfg->comm->rank);
    batches->end = comm_first(batches->leaves, cfg->comm->size, cfg->comm->rank + 1);
    batches->positions = mem_array(cfg->count, sizeof *batches->positions);
    for (uint32_t i = 0; i < cfg->count; i++)
        batches->positions[i] = cfg->positions ? cfg->positions[i] : i;
    *result = batches;
    return ERR_OK;
}

static size_t album_bytes(const struct eval_batches *batches, int resolution)
{
    size_t R = (size_t)resolution, leaves = (size_t)(batches->end - batches->first);
    size_t channels = (size_t)dataset_info(batches->cfg.loader.dataset)->channels;
    return leaves * (size_t)batches->cfg.loader.max_batch * R * R * channels *
           batches->cfg.device->map_bytes;
}

static void destroy_album(struct eval_batches *batches, struct album *album)
{
    for (int i = 0; i < batches->end - batches->first && album->pages; i++) {
        struct page *page = &album->pages[i];
        memory_free(batches->cfg.device, page->images);
        memory_free(batches->cfg.device, page->labels);
        mem_free(page->prefetched.host.labels);
        mem_free(page->prefetched.host.records);
    }
    mem_free(album->pages);
}

void eval_batches_destroy(struct eval_batches **pointer)
{
    struct eval_batches *batches = *pointer;
    if (!batches)
        return;
    for (int i = 0; i < batches->album_count; i++)
        destroy_album(batches, &batches->albums[i]);
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

static void *copy(const void *from, size_t size_bytes)
{
    return memcpy(mem_alloc(size_bytes > 0 ? size_bytes : 1), from, size_bytes);
}

/* The images as the device made them: measuring many sub-networks interpolates each once. */
static enum err keep(struct eval_batches *batches, const struct prefetched *prefetched,
                     struct page *page)
{
    enum err err = ERR_OK;
    struct device *device = batches->cfg.device;
    const struct batch *host = &prefetched->host;
    size_t N = (size_t)host->N, R = (size_t)host->resolution;
    size_t image_bytes = N * R * R * (size_t)host->C * device->map_bytes;
    page->prefetched.host =
        (struct batch){.N = host->N, .resolution = host->resolution, .C = host->C};
    page->prefetched.host.labels = copy(host->labels, N * sizeof(int32_t));
    page->prefetched.host.records = copy(host->records, N * sizeof(uint32_t));
    TRY(memory_array(device, image_bytes, 1, &page->images));
    TRY(memory_array(device, N, sizeof(int32_t), (void **)&page->labels));
    device->ops->copy(device, image_bytes, prefetched->images, page->images);
    device->ops->copy(device, N * sizeof(int32_t), prefetched->labels, page->labels);
    page->prefetched.images = page->images;
    page->prefetched.labels = page->labels;
out:
    return err;
}

/* Room for one more album, or NULL: then the batches are made again on the next walk. */
static struct album *begin_album(struct eval_batches *batches, int resolution)
{
    size_t leaves = (size_t)(batches->end - batches->first);
    size_t bytes = album_bytes(batches, resolution);
    if (batches->album_count == MAX_ALBUMS || batches->kept_bytes + bytes > batches->cfg.keep_bytes)
        return NULL;
    batches->kept_bytes += bytes;
    struct album *album = &batches->albums[batches->album_count++];
    *album = (struct album){.resolution = resolution};
    album->pages = mem_array(leaves > 0 ? leaves : 1, sizeof *album->pages);
    return album;
}

static enum err visit_one(const struct eval_batches *batches, const struct prefetched *prefetched,
                          enum err (*visit)(void *, const struct prefetched *), void *own)
{
    enum err err = visit(own, prefetched);
    if (batches->cfg.is_alive)
        batches->cfg.is_alive(batches->cfg.own);
    return err;
}

static enum err load_and_visit(struct eval_batches *batches, int resolution,
                               enum err (*visit)(void *, const struct prefetched *), void *own)
{
    enum err err = ERR_OK;
    struct prefetch *prefetch = NULL;
    struct album *album = begin_album(batches, resolution);
    batches->resolution = resolution;
    struct prefetch_cfg cfg = {.device = batches->cfg.device,
                               .loader = batches->cfg.loader,
                               .first = (uint64_t)batches->first,
                               .end = (uint64_t)batches->end,
                               .ahead = EVAL_BATCHES_AHEAD,
                               .own = batches,
                               .fill = fill};
    cfg.loader.max_resolution = resolution;
    TRY(prefetch_create(&cfg, &prefetch));
    for (int leaf = batches->first; leaf < batches->end; leaf++) {
        struct prefetched prefetched;
        TRY(prefetch_take(prefetch, &prefetched));
        if (album)
            err = keep(batches, &prefetched, &album->pages[leaf - batches->first]);
        if (err == ERR_OK)
            err = visit_one(batches, &prefetched, visit, own);
        prefetch_release(prefetch, &prefetched);
        TRY(err);
    }
out:
    prefetch_destroy(&prefetch);
    if (err != ERR_OK && album) { /* an album with holes must not be found again */
        destroy_album(batches, album);
        batches->album_count--;
        batches->kept_bytes -= album_bytes(batches, resolution);
    }
    return err;
}

enum err eval_batches_walk(struct eval_batches *batches, int resolution,
                           enum err (*visit)(void *, const struct prefetched *), void *own)
{
    enum err err = ERR_OK;
    for (int i = 0; i < batches->album_count; i++) {
        if (batches->albums[i].resolution != resolution)
            continue;
        for (int leaf = 0; leaf < batches->end - batches->first; leaf++)
            TRY(visit_one(batches, &batches->albums[i].pages[leaf].prefetched, visit, own));
        goto out;
    }
    if (batches->first < batches->end)
        TRY(load_and_visit(batches, resolution, visit, own));
out:
    return err;
}
