#include "trainer/gallery.h"
#include "base/mem.h"
#include "trainer/memory.h"
#include <string.h>

#define MAX_ALBUMS 32
#define AHEAD      2 /* leaves prepared while one is computed: calibration's are large */

struct page { /* one kept batch: images in device memory only, labels and records in the host's too
               */
    struct fed fed;
    float *images;
    int32_t *labels;
};

struct album { /* all batches of this rank at one resolution */
    int resolution;
    struct page *pages; /* (end - first) */
};

struct gallery {
    struct gallery_cfg cfg;
    uint32_t *positions;
    int leaves, first, end; /* this rank's leaves */
    int resolution;         /* of the walk the feed is filled for */
    struct album albums[MAX_ALBUMS];
    int album_count;
    size_t kept_bytes;
};

static uint32_t leaf_start(const struct gallery *gallery, int leaf)
{
    uint64_t start = (uint64_t)leaf * (uint64_t)gallery->cfg.loader.max_batch;
    return start < gallery->cfg.count ? (uint32_t)start : gallery->cfg.count;
}

enum err gallery_create(const struct gallery_cfg *cfg, struct gallery **result)
{
    int most = cfg->loader.max_batch;
    if (cfg->count == 0)
        return err_set(ERR_DATA, "there are no images to measure on");
    struct gallery *gallery = mem_alloc(sizeof *gallery);
    *gallery = (struct gallery){.cfg = *cfg};
    gallery->leaves = (int)((cfg->count + (uint32_t)most - 1) / (uint32_t)most);
    gallery->first = comm_first(gallery->leaves, cfg->comm->size, cfg->comm->rank);
    gallery->end = comm_first(gallery->leaves, cfg->comm->size, cfg->comm->rank + 1);
    gallery->positions = mem_array(cfg->count, sizeof *gallery->positions);
    for (uint32_t i = 0; i < cfg->count; i++)
        gallery->positions[i] = cfg->positions ? cfg->positions[i] : i;
    *result = gallery;
    return ERR_OK;
}

static size_t album_bytes(const struct gallery *gallery, int resolution)
{
    size_t R = (size_t)resolution, leaves = (size_t)(gallery->end - gallery->first);
    size_t channels = (size_t)dataset_info(gallery->cfg.loader.dataset)->channels;
    return leaves * (size_t)gallery->cfg.loader.max_batch * R * R * channels * sizeof(float);
}

static void destroy_album(struct gallery *gallery, struct album *album)
{
    for (int i = 0; i < gallery->end - gallery->first && album->pages; i++) {
        struct page *page = &album->pages[i];
        memory_free(gallery->cfg.device, page->images);
        memory_free(gallery->cfg.device, page->labels);
        mem_free(page->fed.host.labels);
        mem_free(page->fed.host.records);
    }
    mem_free(album->pages);
}

void gallery_destroy(struct gallery **pointer)
{
    struct gallery *gallery = *pointer;
    if (!gallery)
        return;
    for (int i = 0; i < gallery->album_count; i++)
        destroy_album(gallery, &gallery->albums[i]);
    mem_free(gallery->positions);
    mem_free(gallery);
    *pointer = NULL;
}

int gallery_leaves(const struct gallery *gallery)
{
    return gallery->leaves;
}

static void fill(void *own, uint64_t leaf, struct batch_request *request)
{
    const struct gallery *gallery = own;
    uint32_t start = leaf_start(gallery, (int)leaf);
    request->epoch = gallery->cfg.epoch;
    request->resolution = gallery->resolution;
    request->N = (int)(leaf_start(gallery, (int)leaf + 1) - start);
    memcpy(request->positions, gallery->positions + start,
           (size_t)request->N * sizeof *request->positions);
}

static void *copy(const void *from, size_t size_bytes)
{
    return memcpy(mem_alloc(size_bytes > 0 ? size_bytes : 1), from, size_bytes);
}

static size_t image_bytes(const struct batch *batch)
{
    size_t R = (size_t)batch->resolution;
    return (size_t)batch->N * R * R * (size_t)batch->C * sizeof(float);
}

static enum err keep(struct gallery *gallery, const struct fed *fed, struct page *page)
{
    enum err err = ERR_OK;
    struct device *device = gallery->cfg.device;
    size_t N = (size_t)fed->host.N;
    page->fed.host = fed->host;
    page->fed.host.images = NULL;
    page->fed.host.labels = copy(fed->host.labels, N * sizeof(int32_t));
    page->fed.host.records = copy(fed->host.records, N * sizeof(uint32_t));
    TRY(memory_array(device, image_bytes(&fed->host), 1, (void **)&page->images));
    TRY(memory_array(device, N, sizeof(int32_t), (void **)&page->labels));
    device->ops->copy(device, image_bytes(&fed->host), fed->images, page->images);
    device->ops->copy(device, N * sizeof(int32_t), fed->labels, page->labels);
    page->fed.images = page->images;
    page->fed.labels = page->labels;
out:
    return err;
}

/* Room for one more album, or NULL: then the batches are made again on the next walk. */
static struct album *begin_album(struct gallery *gallery, int resolution)
{
    size_t leaves = (size_t)(gallery->end - gallery->first);
    size_t bytes = album_bytes(gallery, resolution);
    if (gallery->album_count == MAX_ALBUMS || gallery->kept_bytes + bytes > gallery->cfg.keep_bytes)
        return NULL;
    gallery->kept_bytes += bytes;
    struct album *album = &gallery->albums[gallery->album_count++];
    *album = (struct album){.resolution = resolution};
    album->pages = mem_array(leaves > 0 ? leaves : 1, sizeof *album->pages);
    return album;
}

static enum err visit_one(const struct gallery *gallery, const struct fed *fed,
                          enum err (*visit)(void *, const struct fed *), void *own)
{
    enum err err = visit(own, fed);
    if (gallery->cfg.is_alive)
        gallery->cfg.is_alive(gallery->cfg.own);
    return err;
}

static enum err load_and_visit(struct gallery *gallery, int resolution,
                               enum err (*visit)(void *, const struct fed *), void *own)
{
    enum err err = ERR_OK;
    struct feed *feed = NULL;
    struct album *album = begin_album(gallery, resolution);
    gallery->resolution = resolution;
    struct feed_cfg cfg = {.device = gallery->cfg.device,
                           .loader = gallery->cfg.loader,
                           .first = (uint64_t)gallery->first,
                           .end = (uint64_t)gallery->end,
                           .ahead = AHEAD,
                           .own = gallery,
                           .fill = fill};
    cfg.loader.max_resolution = resolution;
    TRY(feed_create(&cfg, &feed));
    for (int leaf = gallery->first; leaf < gallery->end; leaf++) {
        struct fed fed;
        TRY(feed_take(feed, &fed));
        if (album)
            err = keep(gallery, &fed, &album->pages[leaf - gallery->first]);
        if (err == ERR_OK)
            err = visit_one(gallery, &fed, visit, own);
        feed_release(feed, &fed);
        TRY(err);
    }
out:
    feed_destroy(&feed);
    if (err != ERR_OK && album) { /* an album with holes must not be found again */
        destroy_album(gallery, album);
        gallery->album_count--;
        gallery->kept_bytes -= album_bytes(gallery, resolution);
    }
    return err;
}

enum err gallery_walk(struct gallery *gallery, int resolution,
                      enum err (*visit)(void *, const struct fed *), void *own)
{
    enum err err = ERR_OK;
    for (int i = 0; i < gallery->album_count; i++) {
        if (gallery->albums[i].resolution != resolution)
            continue;
        for (int leaf = 0; leaf < gallery->end - gallery->first; leaf++)
            TRY(visit_one(gallery, &gallery->albums[i].pages[leaf].fed, visit, own));
        goto out;
    }
    if (gallery->first < gallery->end)
        TRY(load_and_visit(gallery, resolution, visit, own));
out:
    return err;
}
