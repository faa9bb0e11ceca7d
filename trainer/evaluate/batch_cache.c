#include "trainer/evaluate/batch_cache.h"
#include "base/mem.h"
#include "kernels/memory.h"
#include <string.h>

struct page {          /* one kept batch */
    struct batch host; /* labels and records owned, nothing pinned; labels_at and pixels_at: where
                          they lie in `memory` */
    void *memory;      /* device: a map and labels, or crops, labels and pixels */
    size_t size_bytes; /* of it */
    bool is_map;
};

struct album {
    struct album *next; /* walked before this one */
    struct album_key key;
    bool as_maps;       /* what is kept from now on */
    struct page *pages; /* (key.batches) */
    int count;          /* kept */
    size_t kept_bytes;
};

struct batch_cache {
    struct batch_cache_cfg cfg;
    int lists;
    struct album *albums; /* the one walked last in front */
    size_t kept_bytes;    /* of all */
    void *images;         /* device map */
    size_t images_bytes;
};

struct batch_cache *batch_cache_create(const struct batch_cache_cfg *cfg)
{
    struct batch_cache *cache = mem_alloc(sizeof *cache);
    *cache = (struct batch_cache){.cfg = *cfg};
    return cache;
}

static void drop_last(struct batch_cache *cache, struct album *album)
{
    struct page *page = &album->pages[--album->count];
    album->kept_bytes -= page->size_bytes;
    cache->kept_bytes -= page->size_bytes;
    memory_free(cache->cfg.device, page->memory);
    mem_free(page->host.labels);
    mem_free(page->host.records);
}

void batch_cache_destroy(struct batch_cache **pointer)
{
    struct batch_cache *cache = *pointer;
    if (!cache)
        return;
    for (struct album *next, *album = cache->albums; album; album = next) {
        next = album->next;
        while (album->count > 0)
            drop_last(cache, album);
        mem_free(album->pages);
        mem_free(album);
    }
    memory_free(cache->cfg.device, cache->images);
    mem_free(cache);
    *pointer = NULL;
}

size_t batch_cache_bytes(const struct batch_cache *cache)
{
    return cache->kept_bytes;
}

int batch_cache_list(struct batch_cache *cache)
{
    return cache->lists++;
}

static size_t map_bytes(const struct batch_cache *cache, int N, int R)
{
    size_t channels = (size_t)dataset_info(cache->cfg.dataset)->channels;
    return (size_t)N * (size_t)R * (size_t)R * channels * cache->cfg.device->map_bytes;
}

/* Of a batch that is kept as a map: where its labels lie behind it, and what both take. */
static size_t map_page_labels(const struct batch_cache *cache, int N, int R)
{
    return (map_bytes(cache, N, R) + 63) / 64 * 64;
}

static size_t map_page_bytes(const struct batch_cache *cache, int N, int R)
{
    return map_page_labels(cache, N, R) + (size_t)N * sizeof(int32_t);
}

enum err batch_cache_images(struct batch_cache *cache, int N, int R, void **images)
{
    enum err err = ERR_OK;
    size_t size_bytes = map_bytes(cache, N, R);
    if (size_bytes > cache->images_bytes) {
        memory_free(cache->cfg.device, cache->images);
        cache->images = NULL;
        cache->images_bytes = 0;
        TRY(memory_array(cache->cfg.device, size_bytes, 1, &cache->images));
        cache->images_bytes = size_bytes;
    }
    *images = cache->images;
out:
    return err;
}

static struct album *make_album(const struct album_key *key)
{
    struct album *album = mem_alloc(sizeof *album);
    *album = (struct album){.key = *key};
    album->pages = mem_array((size_t)key->batches, sizeof *album->pages);
    return album;
}

static bool has_key(const struct album *album, const struct album_key *key)
{
    return album->key.list == key->list && album->key.resolution == key->resolution;
}

struct album *batch_cache_album(struct batch_cache *cache, const struct album_key *key)
{
    struct album **link = &cache->albums;
    while (*link && !has_key(*link, key))
        link = &(*link)->next;
    struct album *album = *link ? *link : make_album(key);
    if (*link)
        *link = album->next;
    album->next = cache->albums;
    cache->albums = album;
    size_t others = cache->kept_bytes - album->kept_bytes,
           maps = (size_t)key->batches * map_page_bytes(cache, key->max_batch, key->resolution);
    album->as_maps = others + maps <= cache->cfg.budget_bytes;
    return album;
}

int album_count(const struct album *album)
{
    return album->count;
}

static size_t resolution_bytes(const struct batch_cache *cache, int resolution)
{
    size_t bytes = 0;
    for (const struct album *album = cache->albums; album; album = album->next)
        bytes += album->key.resolution == resolution ? album->kept_bytes : 0;
    return bytes;
}

/* Of another resolution, walked longest ago, with something in it; there is one. */
static struct album *find_oldest(const struct batch_cache *cache, int resolution)
{
    struct album *oldest = NULL;
    for (struct album *album = cache->albums; album; album = album->next)
        oldest = album->key.resolution != resolution && album->count > 0 ? album : oldest;
    return oldest;
}

static bool make_room(struct batch_cache *cache, int resolution, size_t size_bytes)
{
    if (resolution_bytes(cache, resolution) + size_bytes > cache->cfg.budget_bytes)
        return false;
    while (cache->kept_bytes + size_bytes > cache->cfg.budget_bytes)
        drop_last(cache, find_oldest(cache, resolution));
    return true;
}

/* A crop of a large picture may take more than its map. */
static struct page page_of(const struct batch_cache *cache, const struct album *album,
                           const struct batch *batch)
{
    struct page page = {.host = {.N = batch->N,
                                 .resolution = batch->resolution,
                                 .C = batch->C,
                                 .labels_at = batch->labels_at,
                                 .pixels_at = batch->pixels_at},
                        .size_bytes = batch->size_bytes};
    size_t bytes = map_page_bytes(cache, batch->N, batch->resolution);
    page.is_map = album->as_maps || bytes <= batch->size_bytes;
    if (page.is_map) {
        page.size_bytes = bytes;
        page.host.labels_at = map_page_labels(cache, batch->N, batch->resolution);
    }
    return page;
}

static void *copy(const void *from, size_t count, size_t item_bytes)
{
    return memcpy(mem_array(count, item_bytes), from, count * item_bytes);
}

static void fill_page(const struct batch_cache *cache, const struct prefetched *prefetched,
                      struct page *page)
{
    const struct batch *host = &prefetched->host;
    struct device *device = cache->cfg.device;
    size_t N = (size_t)host->N;
    page->host.labels = copy(host->labels, N, sizeof *host->labels);
    page->host.records = copy(host->records, N, sizeof *host->records);
    if (!page->is_map) {
        device->ops->copy(device, page->size_bytes, prefetched->uploaded, page->memory);
        return;
    }
    device->ops->copy(device, map_bytes(cache, host->N, host->resolution), prefetched->images,
                      page->memory);
    device->ops->copy(device, N * sizeof *prefetched->labels, prefetched->labels,
                      (char *)page->memory + page->host.labels_at);
}

enum err batch_cache_keep(struct batch_cache *cache, struct album *album,
                          const struct prefetched *prefetched, bool *is_kept)
{
    enum err err = ERR_OK;
    struct device *device = cache->cfg.device;
    struct page page = page_of(cache, album, &prefetched->host);
    bool has_room = make_room(cache, album->key.resolution, page.size_bytes);
    if (has_room) {
        TRY(memory_array(device, page.size_bytes, 1, &page.memory));
        fill_page(cache, prefetched, &page);
        album->pages[album->count++] = page;
        album->kept_bytes += page.size_bytes;
        cache->kept_bytes += page.size_bytes;
    }
    *is_kept = has_room;
out:
    return err;
}

void batch_cache_show(struct batch_cache *cache, const struct album *album, int index,
                      struct prefetched *prefetched)
{
    struct device *device = cache->cfg.device;
    const struct page *page = &album->pages[index];
    *prefetched = (struct prefetched){.images = page->memory,
                                      .labels = loader_labels(&page->host, page->memory),
                                      .host = page->host};
    if (page->is_map)
        return;
    const struct dataset_info *info = dataset_info(cache->cfg.dataset);
    struct image_batch batch = loader_image_batch(info, &page->host, page->memory);
    device->ops->image_forward(device, &batch, cache->images);
    prefetched->images = cache->images;
    prefetched->uploaded = page->memory;
}
