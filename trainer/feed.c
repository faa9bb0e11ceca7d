#include "trainer/feed.h"
#include "base/mem.h"
#include "trainer/memory.h"

struct feed {
    struct feed_cfg cfg;
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

enum err feed_create(const struct feed_cfg *cfg, struct feed **result)
{
    enum err err = ERR_OK;
    if (cfg->ahead < 1 || cfg->ahead > FEED_AHEAD)
        BUG("a feed %d batches ahead, 1 to %d can be", cfg->ahead, FEED_AHEAD);
    struct feed *feed = mem_alloc(sizeof *feed);
    *feed = (struct feed){.cfg = *cfg, .asked = cfg->first, .taken = cfg->first};
    feed->request.positions =
        mem_array((size_t)cfg->loader.max_batch, sizeof *feed->request.positions);
    TRY(memory_array(cfg->device, most_pixels(&cfg->loader), sizeof(float),
                     (void **)&feed->images));
    TRY(memory_array(cfg->device, (size_t)cfg->loader.max_batch, sizeof(int32_t),
                     (void **)&feed->labels));
    TRY(loader_create(&cfg->loader, &feed->loader));
    *result = feed;
    feed = NULL;
out:
    feed_destroy(&feed);
    return err;
}

void feed_destroy(struct feed **pointer)
{
    struct feed *feed = *pointer;
    if (!feed)
        return;
    loader_destroy(&feed->loader);
    memory_free(feed->cfg.device, feed->images);
    memory_free(feed->cfg.device, feed->labels);
    mem_free(feed->request.positions);
    mem_free(feed);
    *pointer = NULL;
}

static enum err ask_ahead(struct feed *feed)
{
    enum err err = ERR_OK;
    while (feed->asked < feed->cfg.end && feed->asked < feed->taken + (uint64_t)feed->cfg.ahead) {
        feed->cfg.fill(feed->cfg.own, feed->asked, &feed->request);
        TRY(loader_ask(feed->loader, &feed->request));
        feed->asked++;
    }
out:
    return err;
}

enum err feed_take(struct feed *feed, struct fed *fed)
{
    enum err err = ERR_OK;
    if (feed->taken >= feed->cfg.end)
        BUG("batch %llu taken of a feed that ends at %llu", (unsigned long long)feed->taken,
            (unsigned long long)feed->cfg.end);
    TRY(ask_ahead(feed));
    TRY(loader_take(feed->loader, &fed->host));
    feed->taken++;
    struct device *device = feed->cfg.device;
    size_t N = (size_t)fed->host.N, R = (size_t)fed->host.resolution;
    device->ops->upload(device, feed->images, fed->host.images,
                        N * R * R * (size_t)fed->host.C * sizeof(float));
    device->ops->upload(device, feed->labels, fed->host.labels, N * sizeof(int32_t));
    fed->images = feed->images;
    fed->labels = feed->labels;
    TRY(ask_ahead(feed)); /* the threads work on while this batch is computed */
out:
    return err;
}

void feed_release(struct feed *feed, struct fed *fed)
{
    loader_release(feed->loader, &fed->host);
}
