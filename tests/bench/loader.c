/* How fast batches come: loader DATASET RESOLUTION THREADS [train|eval|colour]. The one consumer
 * has the CPU device make the images, with as many threads, and releases them. Prints images/s,
 * median of five runs of at least 0.4 s each. */
#include "trainer/data/loader.h"
#include "base/clock.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS        5
#define BATCH         32
#define AHEAD         4
#define ROUND_SECONDS 0.4

static int compare(const void *left, const void *right)
{
    double l = *(const double *)left, r = *(const double *)right;
    return l < r ? -1 : l > r;
}

struct feed { /* what is asked next */
    struct loader *loader;
    struct device *device;
    const struct dataset_info *info;
    float *images;
    uint32_t *order, count, next;
    uint64_t epoch;
    int resolution;
};

static enum err ask(struct feed *feed)
{
    if (feed->next + BATCH > feed->count) {
        feed->next = 0;
        loader_shuffle(1, ++feed->epoch, feed->count, feed->order);
    }
    struct batch_request request = {.epoch = feed->epoch,
                                    .resolution = feed->resolution,
                                    .N = BATCH,
                                    .positions = feed->order + feed->next};
    feed->next += BATCH;
    return loader_ask(feed->loader, &request);
}

static enum err measure(struct feed *feed, double *rate)
{
    enum err err = ERR_OK;
    double start = clock_seconds(), seconds = 0.0;
    uint64_t images = 0;
    while (seconds < ROUND_SECONDS) {
        struct batch batch;
        TRY(loader_take(feed->loader, &batch));
        struct image_batch made = loader_image_batch(feed->info, &batch, batch.pinned);
        feed->device->ops->image_forward(feed->device, &made, feed->images);
        loader_release(feed->loader, &batch);
        TRY(ask(feed));
        images += BATCH;
        seconds = clock_seconds() - start;
    }
    *rate = (double)images / seconds;
out:
    return err;
}

static enum err run(const struct loader_cfg *cfg, const char *mode)
{
    enum err err = ERR_OK;
    double rates[ROUNDS];
    int R = cfg->max_resolution, C = dataset_info(cfg->dataset)->channels;
    struct feed feed = {.device = cfg->device,
                        .info = dataset_info(cfg->dataset),
                        .count = cfg->count,
                        .next = cfg->count,
                        .resolution = R};
    feed.images = mem_array((size_t)(BATCH * R * R), (size_t)C * sizeof *feed.images);
    feed.order = mem_array(cfg->count, sizeof *feed.order);
    TRY(loader_create(cfg, &feed.loader));
    for (int i = 0; i < AHEAD; i++)
        TRY(ask(&feed));
    for (int i = 0; i < ROUNDS; i++)
        TRY(measure(&feed, &rates[i]));
    qsort(rates, ROUNDS, sizeof *rates, compare);
    printf("%s, %d px, %d threads: %.0f images/s, %.0f a thread\n", mode, cfg->max_resolution,
           cfg->threads, rates[ROUNDS / 2], rates[ROUNDS / 2] / cfg->threads);
out:
    loader_destroy(&feed.loader);
    mem_free(feed.order);
    mem_free(feed.images);
    return err;
}

int main(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct dataset *dataset = NULL;
    struct device *device = NULL;
    uint32_t *records = NULL, count = 0;
    const char *mode = argc > 4 ? argv[4] : "train";
    struct augment_cfg augment = {.crop_min = 0.08,
                                  .has_flip = true,
                                  .has_colour = strcmp(mode, "colour") == 0,
                                  .brightness = 32.0 / 255.0,
                                  .saturation = 0.5};
    if (argc < 4) {
        fprintf(stderr, "usage: loader DATASET RESOLUTION THREADS [train|eval|colour]\n");
        return 2;
    }
    int threads = (int)strtol(argv[3], NULL, 10);
    TRY(device_open(&(struct device_cfg){.name = "cpu", .threads = threads}, &device));
    TRY(dataset_open(argv[1], &dataset));
    TRY(dataset_split(dataset, SPLIT_TRAIN, 0, &records, &count));
    struct loader_cfg cfg = {.device = device,
                             .dataset = dataset,
                             .records = records,
                             .count = count,
                             .seed = 1,
                             .augment = strcmp(mode, "eval") == 0 ? NULL : &augment,
                             .threads = threads,
                             .max_batch = BATCH,
                             .max_resolution = (int)strtol(argv[2], NULL, 10)};
    TRY(count < BATCH ? err_set(ERR_CONFIG, "at least %d images are needed", BATCH) : ERR_OK);
    TRY(run(&cfg, mode));
out:
    mem_free(records);
    dataset_close(&dataset);
    device_close(&device);
    if (err != ERR_OK)
        fprintf(stderr, "loader: %s\n", err_text());
    return err_exit_code(err);
}
