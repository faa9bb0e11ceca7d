/* Threads and a ring of batches. A request takes a batch of the pool and goes to the end of the
 * queue; threads claim runs of images of the oldest request that has unclaimed ones; the consumer
 * takes the oldest when all its images are done. Where an image is computed leaves no trace in it:
 * every draw is a function of (seed, epoch, record), every thread has its own scratch memory, and a
 * crop says where its pixels ended up. */
#include "trainer/data/loader.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/data/render.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define RUN        8 /* images claimed at once: one transaction of the store */
#define ERROR_ROOM 512
#define NO_IMAGE   INT32_MAX

struct job { /* a request and its batch; memory is allocated at its first use and kept */
    uint64_t epoch;
    int N, resolution;
    char *pinned; /* crops (max_batch), labels (max_batch), pixels */
    struct event *uploaded;
    atomic_size_t pixel_bytes; /* taken so far */
    uint32_t *records;
    int claimed, done; /* images, under lock */
    enum err err;      /* of the failed image with the lowest index, under lock */
    int failed_image;
    char text[ERROR_ROOM];
    bool is_held; /* by the consumer */
};

struct loader {
    struct loader_cfg cfg;
    struct augment_cfg augment;
    int C;
    size_t labels_at, pixels_at; /* in a batch's pinned memory */
    size_t crop_room;            /* bytes of an image's pixels at most */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    bool is_stopping;
    struct job jobs[LOADER_BATCHES];
    struct job *free[LOADER_BATCHES]; /* a stack: few batches are touched when few are asked */
    int free_count;
    struct job *queue[LOADER_QUEUE]; /* asked and not taken, oldest first */
    int queue_count;
    struct worker *workers; /* (threads), all their memory taken before the first starts */
    int started;
};

struct worker {
    struct loader *loader;
    struct renderer renderer;
    pthread_t thread;
};

struct run { /* what a thread computes next */
    struct loader *loader;
    struct renderer *renderer;
    struct job *job;
    int first, count; /* images of the batch */
    int done;         /* of them; after an error the failed one is first + done */
};

static struct image_crop *crops_of(const struct job *job)
{
    return (struct image_crop *)job->pinned;
}

static int32_t *labels_of(const struct loader *loader, const struct job *job)
{
    return (int32_t *)(job->pinned + loader->labels_at);
}

static enum err fill_image(uint32_t index, const struct record *record, void *own)
{
    struct run *run = own;
    const struct loader *loader = run->loader;
    const struct loader_cfg *cfg = &loader->cfg;
    struct job *job = run->job;
    int i = run->first + (int)index, R = job->resolution;
    struct transform transform = cfg->augment
                                     ? augment_draw(cfg->augment, cfg->seed, job->epoch,
                                                    job->records[i], record->H, record->W)
                                     : augment_evaluate(cfg->geometry, record->H, record->W);
    struct image_crop crop;
    enum err err = render_crop(run->renderer, record, &transform, R, &crop);
    if (err != ERR_OK)
        return err;
    size_t bytes = (size_t)crop.H * (size_t)crop.W * (size_t)loader->C;
    if (bytes > loader->crop_room)
        BUG("%zu bytes of a picture in a room of %zu", bytes, loader->crop_room);
    crop.first = atomic_fetch_add(&job->pixel_bytes, bytes);
    render_pixels(run->renderer, &crop, (uint8_t *)job->pinned + loader->pixels_at + crop.first);
    crops_of(job)[i] = crop;
    labels_of(loader, job)[i] = record->label;
    run->done++;
    return ERR_OK;
}

static bool claim(struct loader *loader, struct run *run)
{
    for (int i = 0; i < loader->queue_count; i++) {
        struct job *job = loader->queue[i];
        if (job->claimed == job->N)
            continue;
        run->job = job;
        run->first = job->claimed;
        run->done = 0;
        run->count = job->N - job->claimed < RUN ? job->N - job->claimed : RUN;
        job->claimed += run->count;
        return true;
    }
    return false;
}

/* Which image an error names must not depend on the threads: the first of the batch. */
static void note_error(struct run *run, enum err err)
{
    int image = run->first + run->done;
    if (image >= run->job->failed_image)
        return;
    run->job->failed_image = image;
    run->job->err = err;
    snprintf(run->job->text, sizeof run->job->text, "%s", err_text());
}

/* The device may still be reading what this memory held before. */
static enum err fill(struct run *run)
{
    enum err err = ERR_OK;
    const struct loader_cfg *cfg = &run->loader->cfg;
    TRY(cfg->device->ops->event_wait(cfg->device, run->job->uploaded));
    TRY(dataset_visit(cfg->dataset, run->job->records + run->first, (uint32_t)run->count,
                      fill_image, run));
out:
    return err;
}

static void *work(void *own)
{
    struct worker *worker = own;
    struct loader *loader = worker->loader;
    struct run run = {.loader = loader, .renderer = &worker->renderer};
    pthread_mutex_lock(&loader->lock);
    while (!loader->is_stopping) {
        if (!claim(loader, &run)) {
            pthread_cond_wait(&loader->work, &loader->lock);
            continue;
        }
        pthread_mutex_unlock(&loader->lock);
        enum err err = fill(&run);
        pthread_mutex_lock(&loader->lock);
        if (err != ERR_OK)
            note_error(&run, err);
        run.job->done += run.count;
        if (run.job->done == run.job->N)
            pthread_cond_signal(&loader->done);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

static enum err check_cfg(const struct loader_cfg *cfg)
{
    const struct dataset_info *info = dataset_info(cfg->dataset);
    if (cfg->threads < 1 || cfg->max_batch < 1 || cfg->max_resolution < 1)
        return err_set(ERR_CONFIG,
                       "a loader of %d threads, batches of %d and %d pixels: all must be above 0",
                       cfg->threads, cfg->max_batch, cfg->max_resolution);
    const struct augment_cfg *augment = cfg->augment;
    if (augment && !(augment->crop_min > 0.0 && augment->crop_min <= 1.0 &&
                     augment->brightness >= 0.0 && augment->saturation >= 0.0))
        return err_set(ERR_CONFIG,
                       "augmentation: crop %g must be above 0 and at most 1, brightness %g and "
                       "saturation %g not below 0",
                       augment->crop_min, augment->brightness, augment->saturation);
    for (uint32_t i = 0; i < cfg->count; i++)
        if (cfg->records[i] >= info->train_count + info->test_count)
            return err_set(ERR_CONFIG, "record %u of the dataset %s, which has %u", cfg->records[i],
                           dataset_path(cfg->dataset), info->train_count + info->test_count);
    return ERR_OK;
}

static size_t aligned(size_t size_bytes)
{
    return (size_bytes + 63) / 64 * 64;
}

/* Where things lie in a batch's memory: one piece, so that one upload brings it. */
static void lay_out(struct loader *loader)
{
    const struct dataset_info *info = dataset_info(loader->cfg.dataset);
    const struct augment_cfg *augment = loader->cfg.augment;
    size_t N = (size_t)loader->cfg.max_batch;
    enum geometry geometry = augment ? augment->geometry : loader->cfg.geometry;
    loader->C = info->channels;
    loader->labels_at = aligned(N * sizeof(struct image_crop));
    loader->pixels_at = loader->labels_at + aligned(N * sizeof(int32_t));
    loader->crop_room = resample_room(info->max_height, info->max_width, info->channels,
                                      loader->cfg.max_resolution, augment_ratio(geometry, augment));
}

size_t loader_batch_bytes(const struct loader *loader)
{
    return loader->pixels_at + (size_t)loader->cfg.max_batch * loader->crop_room;
}

static void start_workers(struct loader *loader)
{
    int threads = loader->cfg.threads;
    loader->workers = mem_array((size_t)threads, sizeof *loader->workers);
    for (int i = 0; i < threads; i++) {
        loader->workers[i].loader = loader;
        renderer_init(&loader->workers[i].renderer, dataset_info(loader->cfg.dataset));
    }
    while (loader->started < threads &&
           pthread_create(&loader->workers[loader->started].thread, NULL, work,
                          &loader->workers[loader->started]) == 0)
        loader->started++;
}

enum err loader_create(const struct loader_cfg *cfg, struct loader **loader)
{
    enum err err = check_cfg(cfg);
    if (err != ERR_OK)
        return err;
    struct loader *made = mem_alloc(sizeof *made);
    made->cfg = *cfg;
    if (cfg->augment) { /* the caller's may go away */
        made->augment = *cfg->augment;
        made->cfg.augment = &made->augment;
    }
    lay_out(made);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->work, NULL);
    pthread_cond_init(&made->done, NULL);
    for (int i = LOADER_BATCHES; i-- > 0;)
        made->free[made->free_count++] = &made->jobs[i];
    start_workers(made);
    if (made->started == 0) {
        loader_destroy(&made);
        return err_set(ERR_MEMORY, "no loader thread can be started");
    }
    *loader = made;
    return ERR_OK;
}

static void release_job(struct device *device, struct job *job)
{
    if (job->uploaded && device->ops->event_wait(device, job->uploaded) != ERR_OK)
        log_debug("a batch goes while the device is lost: %s", err_text());
    if (job->uploaded)
        device->ops->event_destroy(device, job->uploaded);
    if (job->pinned)
        device->ops->unpin(device, job->pinned);
    mem_free(job->records);
}

void loader_destroy(struct loader **loader)
{
    struct loader *closed = *loader;
    if (!closed)
        return;
    pthread_mutex_lock(&closed->lock);
    closed->is_stopping = true;
    pthread_cond_broadcast(&closed->work);
    pthread_mutex_unlock(&closed->lock);
    for (int i = 0; i < closed->started; i++)
        pthread_join(closed->workers[i].thread, NULL);
    for (int i = 0; i < closed->cfg.threads; i++)
        renderer_fini(&closed->workers[i].renderer);
    for (int i = 0; i < LOADER_BATCHES; i++)
        release_job(closed->cfg.device, &closed->jobs[i]);
    pthread_cond_destroy(&closed->done);
    pthread_cond_destroy(&closed->work);
    pthread_mutex_destroy(&closed->lock);
    mem_free(closed->workers);
    mem_free(closed);
    *loader = NULL;
}

/* Batches have the room of the biggest one, so that no later request allocates. */
static enum err prepare_job(const struct loader *loader, struct job *job)
{
    enum err err = ERR_OK;
    struct device *device = loader->cfg.device;
    if (!job->records)
        job->records = mem_array((size_t)loader->cfg.max_batch, sizeof *job->records);
    if (!job->uploaded)
        TRY(device->ops->event_create(device, &job->uploaded));
    if (!job->pinned)
        TRY(device->ops->pin(device, loader_batch_bytes(loader), (void **)&job->pinned));
out:
    return err;
}

static enum err check_request(const struct loader *loader, const struct batch_request *request)
{
    if (request->N < 0 || request->N > loader->cfg.max_batch || request->resolution < 1 ||
        request->resolution > loader->cfg.max_resolution)
        return err_set(ERR_CONFIG, "%d images of %d pixels were asked from a loader of %d of %d",
                       request->N, request->resolution, loader->cfg.max_batch,
                       loader->cfg.max_resolution);
    for (int i = 0; i < request->N; i++)
        if (request->positions[i] >= loader->cfg.count)
            return err_set(ERR_CONFIG, "position %u of a split of %u images", request->positions[i],
                           loader->cfg.count);
    if (loader->queue_count == LOADER_QUEUE)
        return err_set(ERR_AGAIN, "%d requests are queued: take a batch first", LOADER_QUEUE);
    if (loader->free_count == 0)
        return err_set(ERR_AGAIN, "%d batches are taken and not released", LOADER_BATCHES);
    return ERR_OK;
}

enum err loader_ask(struct loader *loader, const struct batch_request *request)
{
    enum err err = ERR_OK;
    TRY(check_request(loader, request));
    struct job *job = loader->free[loader->free_count - 1];
    TRY(prepare_job(loader, job));
    loader->free_count--;
    job->epoch = request->epoch;
    job->resolution = request->resolution;
    job->N = request->N;
    job->claimed = job->done = 0;
    atomic_store(&job->pixel_bytes, 0);
    job->err = ERR_OK;
    job->failed_image = NO_IMAGE;
    for (int i = 0; i < request->N; i++)
        job->records[i] = loader->cfg.records[request->positions[i]];
    pthread_mutex_lock(&loader->lock);
    loader->queue[loader->queue_count++] = job;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
out:
    return err;
}

enum err loader_take(struct loader *loader, struct batch *batch)
{
    if (loader->queue_count == 0)
        BUG("a batch is taken that was not asked for");
    pthread_mutex_lock(&loader->lock);
    struct job *job = loader->queue[0];
    while (job->done < job->N)
        pthread_cond_wait(&loader->done, &loader->lock);
    loader->queue_count--;
    memmove(loader->queue, loader->queue + 1,
            (size_t)loader->queue_count * sizeof loader->queue[0]);
    pthread_mutex_unlock(&loader->lock);
    if (job->err != ERR_OK) {
        loader->free[loader->free_count++] = job;
        return err_set(job->err, "%s", job->text);
    }
    job->is_held = true;
    *batch = (struct batch){.N = job->N,
                            .resolution = job->resolution,
                            .C = loader->C,
                            .pinned = job->pinned,
                            .size_bytes = loader->pixels_at + atomic_load(&job->pixel_bytes),
                            .labels_at = loader->labels_at,
                            .pixels_at = loader->pixels_at,
                            .labels = labels_of(loader, job),
                            .records = job->records,
                            .uploaded = job->uploaded};
    return ERR_OK;
}

bool loader_is_ready(struct loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    const struct job *job = loader->queue_count > 0 ? loader->queue[0] : NULL;
    bool is_ready = job && job->done == job->N && job->err == ERR_OK;
    pthread_mutex_unlock(&loader->lock);
    return is_ready;
}

void loader_release(struct loader *loader, struct batch *batch)
{
    for (int i = 0; i < LOADER_BATCHES && batch->pinned; i++) {
        struct job *job = &loader->jobs[i];
        if (job->pinned != batch->pinned)
            continue;
        if (!job->is_held)
            BUG("a batch is released twice");
        job->is_held = false;
        loader->free[loader->free_count++] = job;
    }
    memset(batch, 0, sizeof *batch);
}

struct image_batch loader_image_batch(const struct dataset_info *info, const struct batch *batch,
                                      const void *uploaded)
{
    struct image_batch made = {.N = batch->N,
                               .R = batch->resolution,
                               .C = batch->C,
                               .pixels = (const uint8_t *)uploaded + batch->pixels_at,
                               .crops = uploaded};
    for (int c = 0; c < batch->C; c++) {
        made.scale[c] = (float)(1.0 / info->deviation[c]);
        made.shift[c] = (float)(-info->mean[c] / info->deviation[c]);
    }
    return made;
}

const int32_t *loader_labels(const struct batch *batch, const void *uploaded)
{
    return (const int32_t *)((const char *)uploaded + batch->labels_at);
}

void loader_shuffle(uint64_t seed, uint64_t epoch, uint32_t count, uint32_t *order)
{
    rng_permute(seed, RNG_SHUFFLE, epoch, count, order);
}
