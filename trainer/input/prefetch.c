#include "trainer/input/prefetch.h"
#include "base/mem.h"
#include "kernels/memory.h"

struct prefetch {
    struct prefetch_cfg cfg;
    struct loader *loader;
    uint64_t asked, taken;
    struct batch_request request; /* the memory of its positions is reused */
    void *uploaded;               /* device: a batch as the loader has it */
    struct batch next;            /* that lies there already */
    bool has_next;
    void *images, *own_images; /* device: its map. own_images NULL: the caller's is used */
};

static size_t most_pixels(const struct loader_cfg *cfg)
{
    size_t R = (size_t)cfg->max_resolution;
    return (size_t)cfg->max_batch * R * R * (size_t)dataset_info(cfg->dataset)->channels;
}

static enum err ask_ahead(struct prefetch *prefetch)
{
    enum err err = ERR_OK;
    while (prefetch->asked < prefetch->cfg.end &&
           prefetch->asked < prefetch->taken + (uint64_t)prefetch->cfg.ahead) {
        prefetch->cfg.fill(prefetch->cfg.own, prefetch->asked, &prefetch->request);
        TRY(loader_ask(prefetch->loader, &prefetch->request));
        prefetch->asked++;
    }
out:
    return err;
}

enum err prefetch_create(const struct prefetch_cfg *cfg, struct prefetch **result)
{
    enum err err = ERR_OK;
    if (cfg->ahead < 1 || cfg->ahead > PREFETCH_AHEAD)
        BUG("a prefetch %d batches ahead, 1 to %d can be", cfg->ahead, PREFETCH_AHEAD);
    struct prefetch *prefetch = mem_alloc(sizeof *prefetch);
    *prefetch = (struct prefetch){.cfg = *cfg, .asked = cfg->first, .taken = cfg->first};
    prefetch->cfg.loader.device = cfg->device;
    prefetch->request.positions =
        mem_array((size_t)cfg->loader.max_batch, sizeof *prefetch->request.positions);
    TRY(loader_create(&prefetch->cfg.loader, &prefetch->loader));
    TRY(memory_array(cfg->device, loader_batch_bytes(prefetch->loader), 1, &prefetch->uploaded));
    if (!cfg->images)
        TRY(memory_array(cfg->device, most_pixels(&cfg->loader), cfg->device->map_bytes,
                         &prefetch->own_images));
    prefetch->images = cfg->images ? cfg->images : prefetch->own_images;
    TRY(ask_ahead(prefetch));
    *result = prefetch;
    prefetch = NULL;
out:
    prefetch_destroy(&prefetch);
    return err;
}

void prefetch_destroy(struct prefetch **pointer)
{
    struct prefetch *prefetch = *pointer;
    if (!prefetch)
        return;
    loader_destroy(&prefetch->loader);
    memory_free(prefetch->cfg.device, prefetch->own_images);
    memory_free(prefetch->cfg.device, prefetch->uploaded);
    mem_free(prefetch->request.positions);
    mem_free(prefetch);
    *pointer = NULL;
}

/* Queued and not waited for: the event says when the loader may write there again. */
static void upload(struct prefetch *prefetch, const struct batch *host)
{
    struct device *device = prefetch->cfg.device;
    device->ops->upload_async(device, prefetch->uploaded, host->pinned, host->size_bytes);
    device->ops->event_record(device, host->uploaded);
}

static void make_images(struct prefetch *prefetch, struct prefetched *prefetched)
{
    struct device *device = prefetch->cfg.device;
    const struct batch *host = &prefetched->host;
    const struct dataset_info *info = dataset_info(prefetch->cfg.loader.dataset);
    struct image_batch batch = loader_image_batch(info, host, prefetch->uploaded);
    device->ops->image_forward(device, &batch, prefetch->images);
    prefetched->images = prefetch->images;
    prefetched->labels = loader_labels(host, prefetch->uploaded);
    prefetched->uploaded = prefetch->uploaded;
}

/* What the loader's threads read may lie on a disk that does not answer now. */
static enum err take_loaded(struct prefetch *prefetch, struct batch *batch)
{
    struct rank_work *work = prefetch->cfg.work;
    if (work)
        atomic_store(&work->is_waiting, true);
    enum err err = loader_take(prefetch->loader, batch);
    if (work)
        atomic_store(&work->is_waiting, false);
    return err;
}

enum err prefetch_take(struct prefetch *prefetch, struct prefetched *prefetched)
{
    enum err err = ERR_OK;
    if (prefetch->taken >= prefetch->cfg.end)
        BUG("batch %llu taken of a prefetch that ends at %llu", (unsigned long long)prefetch->taken,
            (unsigned long long)prefetch->cfg.end);
    TRY(ask_ahead(prefetch));
    if (prefetch->has_next) {
        prefetched->host = prefetch->next;
        prefetch->has_next = false;
    } else {
        TRY(take_loaded(prefetch, &prefetched->host));
        upload(prefetch, &prefetched->host);
    }
    prefetch->taken++;
    make_images(prefetch, prefetched);
    TRY(ask_ahead(prefetch)); /* the threads work on while this batch is computed */
out:
    return err;
}

void prefetch_release(struct prefetch *prefetch, struct prefetched *prefetched)
{
    loader_release(prefetch->loader, &prefetched->host);
}

void prefetch_ahead(struct prefetch *prefetch)
{
    if (prefetch->has_next || !loader_is_ready(prefetch->loader))
        return;
    if (loader_take(prefetch->loader, &prefetch->next) != ERR_OK)
        BUG("a batch that is ready: %s", err_text());
    prefetch->has_next = true;
    upload(prefetch, &prefetch->next);
}
