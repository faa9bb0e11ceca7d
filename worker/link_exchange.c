/* The trainer's side of the exchange: leaves wishes and records under the link's lock, takes what
 * has come. */
#include "worker/link_exchange.h"
#include "base/log.h"
#include "base/mem.h"
#include "worker/link_internal.h"
#include <stdint.h>
#include <string.h>

#define NEXT_MS 20

static void free_scores(struct exchange_score *scores, int count)
{
    for (int i = 0; i < count; i++)
        mem_free((void *)(uintptr_t)scores[i].subnet);
    mem_free(scores);
}

static void forget_wishes(struct link_measuring *measuring)
{
    for (int i = 0; i < measuring->wish_count; i++) {
        mem_free((void *)(uintptr_t)measuring->wishes[i].score.subnet);
        text_fini(&measuring->wishes[i].record);
    }
    mem_free(measuring->wishes);
    measuring->wishes = NULL;
    measuring->wish_count = 0;
}

void link_forget_share(struct link_measuring *measuring)
{
    free_scores(measuring->shared, measuring->shared_count);
    measuring->shared = NULL;
    measuring->shared_count = 0;
    measuring->has_share = false;
}

void link_begin_measuring(struct link_measuring *measuring)
{
    forget_wishes(measuring);
    link_forget_share(measuring);
    measuring->share = 0;
    measuring->is_ready = false;
}

void link_end_measuring(struct link_measuring *measuring)
{
    link_begin_measuring(measuring);
    for (int i = 0; i < measuring->kept_count; i++)
        mem_free(measuring->kept[i].bytes);
    mem_free(measuring->kept);
    *measuring = (struct link_measuring){0};
}

static void want(struct exchange *exchange, enum exchange_aim aim,
                 const struct exchange_score *scores, int count)
{
    struct link *link = exchange->own;
    struct link_measuring *measuring = &link->measuring;
    pthread_mutex_lock(&link->lock);
    forget_wishes(measuring);
    measuring->aim = aim;
    measuring->asked_s = 0;
    measuring->wishes = mem_array((size_t)count + 1, sizeof *measuring->wishes);
    measuring->wish_count = count;
    for (int i = 0; i < count; i++) {
        measuring->wishes[i].score = scores[i];
        measuring->wishes[i].score.subnet = mem_string(scores[i].subnet);
    }
    pthread_mutex_unlock(&link->lock);
    link_wake(link);
}

/* One that has come is not dropped, however often a gang says that it is ready. */
static void be_ready(struct exchange *exchange)
{
    struct link *link = exchange->own;
    struct link_measuring *measuring = &link->measuring;
    pthread_mutex_lock(&link->lock);
    if (!measuring->is_ready && !measuring->has_share) {
        link_forget_share(measuring);
        measuring->is_ready = true;
        measuring->ready_s = 0;
    }
    pthread_mutex_unlock(&link->lock);
    link_wake(link);
}

/* Under the lock. */
static bool take_known(struct link_measuring *measuring, struct exchange_event *event)
{
    for (int i = 0; i < measuring->wish_count; i++) {
        struct link_wish *wish = &measuring->wishes[i];
        if (wish->state != WISH_KNOWN)
            continue;
        wish->state = WISH_TOLD;
        *event = (struct exchange_event){.kind = EXCHANGE_RECORD,
                                         .record = {.key = wish->score.key,
                                                    .detail = wish->score.detail,
                                                    .bytes = wish->record.bytes,
                                                    .size_bytes = wish->record.size}};
        return true;
    }
    return false;
}

/* Under the lock. */
static bool take_share(struct link_measuring *measuring, struct exchange_event *event)
{
    if (!measuring->has_share || measuring->kept_count >= LINK_MANY_KEPT)
        return false;
    measuring->has_share = false;
    *event = (struct exchange_event){
        .kind = EXCHANGE_SHARE, .scores = measuring->shared, .count = measuring->shared_count};
    return true;
}

static enum err next(struct exchange *exchange, struct exchange_event *event)
{
    struct link *link = exchange->own;
    struct link_measuring *measuring = &link->measuring;
    pthread_mutex_lock(&link->lock);
    bool is_there = take_known(measuring, event) || take_share(measuring, event);
    if (!is_there) {
        link_wait(link, NEXT_MS);
        is_there = take_known(measuring, event) || take_share(measuring, event);
    }
    pthread_mutex_unlock(&link->lock);
    return is_there ? ERR_OK : ERR_AGAIN;
}

/* Under the lock: nobody hears of a record any more. */
static bool is_over(const struct link *link)
{
    return link_is_void(link, link->taken.lease_epoch) || atomic_load(&link->is_lost);
}

/* Under the lock. */
static struct link_kept *add_kept(struct link_measuring *measuring)
{
    size_t item = sizeof *measuring->kept, old = (size_t)measuring->kept_room;
    if (measuring->kept_count == measuring->kept_room) {
        measuring->kept_room = measuring->kept_room ? 2 * measuring->kept_room : 16;
        measuring->kept =
            mem_grow(measuring->kept, old * item, (size_t)measuring->kept_room * item);
    }
    return &measuring->kept[measuring->kept_count++];
}

/* Under the lock. */
static bool may_keep(const struct link *link, const struct exchange_record *record)
{
    if (record->size_bytes > EXCHANGE_MAX_RECORD_BYTES) {
        log_warn("a score of %zu bytes is too large to be kept", record->size_bytes);
        return false;
    }
    return !is_over(link) && link->measuring.kept_count < LINK_MAX_KEPT;
}

static void keep(struct exchange *exchange, const struct exchange_record *record)
{
    struct link *link = exchange->own;
    pthread_mutex_lock(&link->lock);
    if (may_keep(link, record)) {
        struct link_kept *kept = add_kept(&link->measuring);
        *kept = (struct link_kept){.key = record->key,
                                   .detail = record->detail,
                                   .bytes = mem_alloc(record->size_bytes + 1),
                                   .size_bytes = record->size_bytes,
                                   .lease_epoch = link->taken.lease_epoch};
        memcpy(kept->bytes, record->bytes, record->size_bytes);
        memcpy(kept->stage, link->taken.stage, sizeof kept->stage);
    }
    pthread_mutex_unlock(&link->lock);
    link_wake(link);
}

void link_finish_measuring(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    while (link->measuring.kept_count > 0 && !is_over(link))
        link_wait(link, 100);
    pthread_mutex_unlock(&link->lock);
}

struct exchange link_exchange(struct link *link)
{
    return (struct exchange){
        .own = link, .want = want, .ready = be_ready, .next = next, .keep = keep};
}
