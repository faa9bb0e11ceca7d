#include "trainer/input/prefetch.h"
#include "base/mem.h"
#include "kernels/memory.h"

struct prefetch {
    struct prefetch_cfg cfg;
    struct loader *loader;
    uint64_t asked, taken;
    struct batch_request request; /* the memory of its positions is reused */
    float *images;                /* device */
    int32_t *labels;
};

static size_t most_pixels(const struct loader_cfg *cfg)
{
    size_t R = (size_t)cfg->max_resolution;
    return (size_t)cfg->max_batch * R * R * (size_t)dataset_info(cfg->dataset)->channels;
}

enum err prefetch_create(const struct prefetch_cfg *cfg, struct prefetch **result)
{
    enum err err = ERR_OK;
    if (cfg->ahead < 1 || cfg->ahead > PREFETCH_AHEAD)
        BUG("a feed %d batches ahead, 1 to %d can be", cfg->ahead, PREFETCH_AHEAD);
    struct prefetch *prefetch = mem_alloc(sizeof *prefetch);
    *prefetch = (struct prefetch){.cfg = *cfg, .asked = cfg->first, .taken = cfg->first};
    prefetch->request.positions =
        mem_array((size_t)cfg->loader.max_batch, sizeof *prefetch->request.positions);
    TRY(memory_array(cfg->device, most_pixels(&cfg->loader), sizeof(float),
                     (void **)&prefetch->images));
    TRY(memory_array(cfg->device, (size_t)cfg->loader.max_batch, sizeof(int32_t),
                     (void **)&prefetch->labels));
    TRY(loader_create(&cfg->loader, &prefetch->loader));
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
    memory_free(prefetch->cfg.device, prefetch->images);
    memory_free(prefetch->cfg.device, prefetch->labels);
    mem_free(prefetch->request.positions);
    mem_free(prefetch);
    *pointer = NULL;
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

enum err prefetch_take(struct prefetch *prefetch, struct prefetched *prefetched)
{
    enum err err = ERR_OK;
    if (prefetch->taken >= prefetch->cfg.end)
        BUG("batch %llu taken of a feed that ends at %llu", (unsigned long long)prefetch->taken,
            (unsigned long long)prefetch->cfg.end);
    TRY(ask_ahead(prefetch));
    TRY(loader_take(prefetch->loader, &prefetched->host));
    prefetch->taken++;
    struct device *device = prefetch->cfg.device;
    size_t N = (size_t)prefetched->host.N, R = (size_t)prefetched->host.resolution;
    device->ops->upload(device, prefetch->images, prefetched->host.images,
                        N * R * R * (size_t)prefetched->host.C * sizeof(float));
    device->ops->upload(device, prefetch->labels, prefetched->host.labels, N * sizeof(int32_t));
    prefetched->images = prefetch->images;
    prefetched->labels = prefetch->labels;
    TRY(ask_ahead(prefetch)); /* the threads work on while this batch is computed */
out:
    return err;
}

void prefetch_release(struct prefetch *prefetch, struct prefetched *prefetched)
{
    loader_release(prefetch->loader, &prefetched->host);
}
