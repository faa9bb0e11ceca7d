/* A ring of slots: image i goes through slot i % slots. Threads claim images in order, the consumer
 * takes them in order, so a slot is free again when image i is `slots` behind the claims. */
#include "trainer/data/import_pool.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define SLOTS_PER_THREAD 16

struct slot {
    struct prepared prepared;
    bool is_done; /* under lock */
};

struct import_pool {
    struct import_pool_cfg cfg;
    uint32_t count;
    pthread_mutex_t lock;
    pthread_cond_t claimable, done;
    uint32_t claimed, consumed; /* images, under lock */
    bool is_stopping;
    struct slot *slots;
    uint32_t slot_count;
    pthread_t *threads;
    int started;
};

static void read_image(struct import_pool *pool, uint32_t index, struct prepared *prepared)
{
    enum image_fault fault = IMAGE_FAULT_NONE;
    const struct import_plan *plan = &pool->cfg.plan;
    struct image_limits limits = {
        .pixels = plan->max_pixels, .side = plan->side, .samples = plan->samples};
    static const enum skip_kind kinds[] = {[IMAGE_FAULT_UNREADABLE] = SKIP_UNREADABLE,
                                           [IMAGE_FAULT_EMPTY] = SKIP_EMPTY,
                                           [IMAGE_FAULT_OVERSIZED] = SKIP_OVERSIZED,
                                           [IMAGE_FAULT_WRONG_TYPE] = SKIP_WRONG_TYPE};
    prepared->is_skipped = prepared->needs_colour = prepared->needs_jpeg = false;
    prepared->err = source_read(pool->cfg.source, index, &limits, &prepared->image, &fault);
    prepared->is_skipped = prepared->err == ERR_OK && fault != IMAGE_FAULT_NONE;
    if (prepared->is_skipped)
        prepared->kind = kinds[fault];
    if (prepared->err != ERR_OK || prepared->is_skipped)
        snprintf(prepared->reason, sizeof prepared->reason, "%s", err_text());
}

/* Claims the next image under the lock; false: none is left. A stream is read right there. */
static bool claim(struct import_pool *pool, uint32_t *index)
{
    bool has_claimed = false;
    pthread_mutex_lock(&pool->lock);
    while (!pool->is_stopping && pool->claimed < pool->count &&
           pool->claimed - pool->consumed >= pool->slot_count)
        pthread_cond_wait(&pool->claimable, &pool->lock);
    if (!pool->is_stopping && pool->claimed < pool->count) {
        has_claimed = true;
        *index = pool->claimed++;
        if (source_is_stream(pool->cfg.source))
            read_image(pool, *index, &pool->slots[*index % pool->slot_count].prepared);
    }
    pthread_mutex_unlock(&pool->lock);
    return has_claimed;
}

static void *work(void *own)
{
    struct import_pool *pool = own;
    struct jpeg_encoder *encoder = jpeg_encoder_create();
    uint32_t index;
    while (claim(pool, &index)) {
        struct slot *slot = &pool->slots[index % pool->slot_count];
        if (!source_is_stream(pool->cfg.source))
            read_image(pool, index, &slot->prepared);
        if (slot->prepared.err == ERR_OK && !slot->prepared.is_skipped)
            prepare(&pool->cfg.plan, pool->cfg.widens, pool->cfg.source, index, encoder,
                    &slot->prepared);
        pthread_mutex_lock(&pool->lock);
        slot->is_done = true;
        pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->lock);
    }
    jpeg_encoder_destroy(&encoder);
    image_file_end_thread();
    return NULL;
}

enum err import_pool_create(const struct import_pool_cfg *cfg, struct import_pool **pool)
{
    struct import_pool *made = mem_alloc(sizeof *made);
    pthread_condattr_t monotonic;
    made->cfg = *cfg;
    made->count = cfg->source->train_count + cfg->source->test_count;
    made->slot_count = (uint32_t)cfg->threads * SLOTS_PER_THREAD;
    made->slots = mem_array(made->slot_count, sizeof *made->slots);
    made->threads = mem_array((size_t)cfg->threads, sizeof *made->threads);
    pthread_mutex_init(&made->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&made->claimable, NULL);
    pthread_cond_init(&made->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    while (made->started < cfg->threads &&
           pthread_create(&made->threads[made->started], NULL, work, made) == 0)
        made->started++;
    if (made->started == 0) {
        import_pool_destroy(&made);
        return err_set(ERR_MEMORY, "no thread can be started");
    }
    *pool = made;
    return ERR_OK;
}

void import_pool_destroy(struct import_pool **pool)
{
    struct import_pool *closed = *pool;
    if (!closed)
        return;
    pthread_mutex_lock(&closed->lock);
    closed->is_stopping = true;
    pthread_cond_broadcast(&closed->claimable);
    pthread_mutex_unlock(&closed->lock);
    for (int i = 0; i < closed->started; i++)
        pthread_join(closed->threads[i], NULL);
    for (uint32_t i = 0; i < closed->slot_count; i++)
        prepared_fini(&closed->slots[i].prepared);
    pthread_cond_destroy(&closed->done);
    pthread_cond_destroy(&closed->claimable);
    pthread_mutex_destroy(&closed->lock);
    mem_free(closed->threads);
    mem_free(closed->slots);
    mem_free(closed);
    *pool = NULL;
}

struct prepared *import_pool_next(struct import_pool *pool, int wait_ms)
{
    struct slot *slot = &pool->slots[pool->consumed % pool->slot_count];
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_nsec += (long)wait_ms * 1000000;
    deadline.tv_sec += deadline.tv_nsec / 1000000000;
    deadline.tv_nsec %= 1000000000;
    int status = 0;
    pthread_mutex_lock(&pool->lock);
    while (!slot->is_done && status == 0)
        status = pthread_cond_timedwait(&pool->done, &pool->lock, &deadline);
    bool is_done = slot->is_done;
    pthread_mutex_unlock(&pool->lock);
    return is_done ? &slot->prepared : NULL;
}

void import_pool_release(struct import_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->slots[pool->consumed % pool->slot_count].is_done = false;
    pool->consumed++;
    pthread_cond_signal(&pool->claimable);
    pthread_mutex_unlock(&pool->lock);
}
