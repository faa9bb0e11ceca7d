/* Orders wait until somebody waits for them, or until there are MOST of them: the device's own
 * thread runs what is wanted by then, while the host goes on. */
#include "base/mem.h"
#include "tests/support/late_device/late.h"
#include <string.h>

enum { MOST = 2048 };

struct piece { /* its bytes follow, 64 bytes further */
    struct piece *next;
};
enum { PIECE_HEAD = 64 };

static void destroy(struct order *order)
{
    for (struct piece *next, *piece = order->pieces; piece; piece = next) {
        next = piece->next;
        mem_free(piece);
    }
    mem_free(order);
}

/* The next order that is wanted; NULL: stop. Waits with the lock held. */
static struct order *take(struct late *late)
{
    while (late->finished == late->wanted && !late->is_stopping)
        pthread_cond_wait(&late->wanted_more, &late->lock);
    if (late->finished == late->wanted)
        return NULL;
    struct order *order = late->first;
    late->first = order->next;
    if (!late->first)
        late->last = &late->first;
    return order;
}

static void finish(struct late *late, const struct order *order)
{
    if (order->uses)
        (*order->uses)--;
    if (order->gone)
        late_memory_drop(late->memory, order->gone);
    late->face.traffic = late->cpu->traffic;
    late->finished++;
    pthread_cond_broadcast(&late->finished_more);
}

static void *run_orders(void *argument)
{
    struct late *late = argument;
    pthread_mutex_lock(&late->lock);
    for (struct order *order; (order = take(late));) {
        pthread_mutex_unlock(&late->lock);
        if (order->run)
            order->run(late->cpu, order->arguments);
        pthread_mutex_lock(&late->lock);
        finish(late, order);
        destroy(order);
    }
    pthread_mutex_unlock(&late->lock);
    return NULL;
}

enum err late_queue_create(struct late *late)
{
    late->last = &late->first;
    pthread_mutex_init(&late->lock, NULL);
    pthread_cond_init(&late->wanted_more, NULL);
    pthread_cond_init(&late->finished_more, NULL);
    int failed = pthread_create(&late->thread, NULL, run_orders, late);
    return failed ? err_set(ERR_UNAVAILABLE, "no thread for the late device: %s", strerror(failed))
                  : ERR_OK;
}

void late_queue_destroy(struct late *late)
{
    late_run_until(late, late_queued(late));
    pthread_mutex_lock(&late->lock);
    late->is_stopping = true;
    pthread_cond_signal(&late->wanted_more);
    pthread_mutex_unlock(&late->lock);
    pthread_join(late->thread, NULL);
    pthread_cond_destroy(&late->finished_more);
    pthread_cond_destroy(&late->wanted_more);
    pthread_mutex_destroy(&late->lock);
}

struct order *late_begin(struct device *device, const char *operation,
                         void (*run)(struct device *cpu, const void *arguments))
{
    struct order *order = mem_alloc(sizeof *order);
    *order = (struct order){.late = device->own, .operation = operation, .run = run};
    return order;
}

void *late_keep(struct order *order, const void *bytes, size_t size_bytes)
{
    struct piece *piece = mem_alloc(PIECE_HEAD + size_bytes);
    char *kept = (char *)piece + PIECE_HEAD;
    piece->next = order->pieces;
    order->pieces = piece;
    if (size_bytes > 0)
        memcpy(kept, bytes, size_bytes);
    return kept;
}

static void want(struct late *late, uint64_t mark)
{
    if (late->wanted < mark)
        late->wanted = mark;
    pthread_cond_signal(&late->wanted_more);
}

void late_end(struct order *order, const void *arguments, size_t size_bytes)
{
    struct late *late = order->late;
    order->arguments = late_keep(order, arguments, size_bytes);
    pthread_mutex_lock(&late->lock);
    *late->last = order;
    late->last = &order->next;
    late->queued++;
    if (late->queued - late->wanted > MOST)
        want(late, late->queued - MOST / 2);
    pthread_mutex_unlock(&late->lock);
}

uint64_t late_queued(struct late *late)
{
    pthread_mutex_lock(&late->lock);
    uint64_t queued = late->queued;
    pthread_mutex_unlock(&late->lock);
    return queued;
}

void late_run_until(struct late *late, uint64_t mark)
{
    pthread_mutex_lock(&late->lock);
    want(late, mark);
    while (late->finished < mark)
        pthread_cond_wait(&late->finished_more, &late->lock);
    pthread_mutex_unlock(&late->lock);
}
