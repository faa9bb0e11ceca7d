/* Threads and a ring of batches. A request takes a batch of the pool and goes to the end of the
 * queue; threads claim runs of images of the oldest request that has unclaimed ones; the consumer
 * takes the oldest when all its images are done. Where an image is computed leaves no trace in it:
 * every draw is a function of (seed, epoch, record), every thread has its own scratch memory. */
#include "trainer/data/loader.h"
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/data/render.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN        8 /* images claimed at once: one transaction of the store */
#define ERROR_ROOM 512
#define NO_IMAGE   INT32_MAX

struct job { /* a request and its batch; memory is allocated at its first use and kept */
    uint64_t epoch;
    int N, resolution;
    float *images;
    int32_t *labels;
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
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    bool is_stopping;
    struct job jobs[LOADER_BATCHES];
    struct job *free[LOADER_BATCHES]; /* a stack: few batches are touched when few are asked */
    int free_count;
    struct job *queue[LOADER_QUEUE]; /* asked and not taken, oldest first */
    int queue_count;
    pthread_t *threads;
    int started;
};

struct run { /* what a thread computes next */
    struct loader *loader;
    struct renderer *renderer;
    struct job *job;
    int first, count; /* images of the batch */
    int done;         /* of them; after an error the failed one is first + done */
};

static enum err fill_image(uint32_t index, const struct record *record, void *own)
{
    struct run *run = own;
    const struct loader_cfg *cfg = &run->loader->cfg;
    struct job *job = run->job;
    int i = run->first + (int)index, R = job->resolution;
    struct transform transform = cfg->augment ? augment_draw(cfg->augment, cfg->seed, job->epoch,
                                                             job->records[i], record->H, record->W)
                                              : augment_evaluate(record->H, record->W, R);
    size_t image_floats = (size_t)R * (size_t)R * (size_t)run->loader->C;
    job->labels[i] = record->label;
    enum err err =
        render(run->renderer, record, &transform, R, job->images + (size_t)i * image_floats);
    run->done += err == ERR_OK;
    return err;
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

static void *work(void *own)
{
    struct loader *loader = own;
    struct renderer renderer;
    struct run run = {.loader = loader, .renderer = &renderer};
    renderer_init(&renderer, dataset_info(loader->cfg.dataset), loader->cfg.max_resolution);
    pthread_mutex_lock(&loader->lock);
    while (!loader->is_stopping) {
        if (!claim(loader, &run)) {
            pthread_cond_wait(&loader->work, &loader->lock);
            continue;
        }
        pthread_mutex_unlock(&loader->lock);
        enum err err = dataset_visit(loader->cfg.dataset, run.job->records + run.first,
                                     (uint32_t)run.count, fill_image, &run);
        pthread_mutex_lock(&loader->lock);
        if (err != ERR_OK)
            note_error(&run, err);
        run.job->done += run.count;
        if (run.job->done == run.job->N)
            pthread_cond_signal(&loader->done);
    }
    pthread_mutex_unlock(&loader->lock);
    renderer_fini(&renderer);
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

enum err loader_create(const struct loader_cfg *cfg, struct loader **loader)
{
    enum err err = check_cfg(cfg);
    if (err != ERR_OK)
        return err;
    struct loader *made = mem_alloc(sizeof *made);
    made->cfg = *cfg;
    made->C = dataset_info(cfg->dataset)->channels;
    if (cfg->augment) { /* the caller's may go away */
        made->augment = *cfg->augment;
        made->cfg.augment = &made->augment;
    }
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->work, NULL);
    pthread_cond_init(&made->done, NULL);
    for (int i = LOADER_BATCHES; i-- > 0;)
        made->free[made->free_count++] = &made->jobs[i];
    made->threads = mem_array((size_t)cfg->threads, sizeof *made->threads);
    while (made->started < cfg->threads &&
           pthread_create(&made->threads[made->started], NULL, work, made) == 0)
        made->started++;
    if (made->started == 0) {
        loader_destroy(&made);
        return err_set(ERR_MEMORY, "no loader thread can be started");
    }
    *loader = made;
    return ERR_OK;
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
        pthread_join(closed->threads[i], NULL);
    for (int i = 0; i < LOADER_BATCHES; i++) {
        free(closed->jobs[i].images);
        mem_free(closed->jobs[i].labels);
        mem_free(closed->jobs[i].records);
    }
    pthread_cond_destroy(&closed->done);
    pthread_cond_destroy(&closed->work);
    pthread_mutex_destroy(&closed->lock);
    mem_free(closed->threads);
    mem_free(closed);
    *loader = NULL;
}

/* Batches have the room of the biggest one, so that no later request allocates. */
static enum err prepare_job(const struct loader *loader, struct job *job)
{
    if (job->images)
        return ERR_OK;
    size_t N = (size_t)loader->cfg.max_batch, R = (size_t)loader->cfg.max_resolution;
    size_t bytes = N * R * R * (size_t)loader->C * sizeof(float);
    job->images = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!job->images)
        return err_set(ERR_MEMORY, "no memory for a batch of %zu MiB", bytes >> 20);
    job->labels = mem_array(N, sizeof *job->labels);
    job->records = mem_array(N, sizeof *job->records);
    return ERR_OK;
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
                            .images = job->images,
                            .labels = job->labels,
                            .records = job->records};
    return ERR_OK;
}

void loader_release(struct loader *loader, struct batch *batch)
{
    for (int i = 0; i < LOADER_BATCHES && batch->images; i++) {
        struct job *job = &loader->jobs[i];
        if (job->images != batch->images)
            continue;
        if (!job->is_held)
            BUG("a batch is released twice");
        job->is_held = false;
        loader->free[loader->free_count++] = job;
    }
    memset(batch, 0, sizeof *batch);
}

void loader_shuffle(uint64_t seed, uint64_t epoch, uint32_t count, uint32_t *order)
{
    rng_permute(seed, RNG_SHUFFLE, epoch, count, order);
}
