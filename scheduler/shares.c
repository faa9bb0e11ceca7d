/* A task is in one bucket by its key, and in one queue of its stage: those that wait, or those that
 * are held. */
#include "scheduler/shares.h"
#include "base/mem.h"
#include "trainer/spec/campaign.h"
#include <string.h>

#define BUCKETS 4096

struct task {
    struct hash key;
    char *subnet;
    int stage, split, detail;
    uint64_t lease, share;       /* lease 0: it waits */
    struct task *before, *after; /* in its queue */
    struct task *next;           /* in its bucket */
};

struct queue {
    struct task *first, *last;
    int count;
};

struct shares {
    struct task *buckets[BUCKETS];
    struct queue waiting[PLAN_MAX_STAGES], held[PLAN_MAX_STAGES];
};

struct shares *shares_create(void)
{
    return mem_alloc(sizeof(struct shares));
}

void shares_destroy(struct shares **shares)
{
    if (!*shares)
        return;
    for (int stage = 0; stage < PLAN_MAX_STAGES; stage++)
        shares_drop(*shares, stage);
    mem_free(*shares);
    *shares = NULL;
}

static struct task **find_bucket(const struct shares *shares, const struct hash *key)
{
    unsigned number;
    memcpy(&number, key->bytes, sizeof number); /* a hash is as good as random */
    return (struct task **)&shares->buckets[number % BUCKETS];
}

static struct task *find(const struct shares *shares, int stage, const struct hash *key)
{
    for (struct task *task = *find_bucket(shares, key); task; task = task->next)
        if (task->stage == stage && hash_equal(&task->key, key))
            return task;
    return NULL;
}

/* ---- queues */

static struct queue *queue_of(struct shares *shares, const struct task *task)
{
    return task->lease ? &shares->held[task->stage] : &shares->waiting[task->stage];
}

/* In front of `after`; NULL: at the end. */
static void insert(struct queue *queue, struct task *task, struct task *after)
{
    task->after = after;
    task->before = after ? after->before : queue->last;
    *(task->before ? &task->before->after : &queue->first) = task;
    *(after ? &after->before : &queue->last) = task;
    queue->count++;
}

static void take_out(struct queue *queue, struct task *task)
{
    *(task->before ? &task->before->after : &queue->first) = task->after;
    *(task->after ? &task->after->before : &queue->last) = task->before;
    queue->count--;
}

static void hold(struct shares *shares, struct task *task, uint64_t lease, uint64_t share)
{
    take_out(queue_of(shares, task), task);
    task->lease = lease;
    task->share = share;
    insert(queue_of(shares, task), task, NULL);
}

static void let_wait(struct shares *shares, struct task *task)
{
    take_out(queue_of(shares, task), task);
    task->lease = task->share = 0;
    insert(queue_of(shares, task), task, queue_of(shares, task)->first);
}

static void forget(struct shares *shares, struct task *task)
{
    struct task **link = find_bucket(shares, &task->key);
    while (*link != task)
        link = &(*link)->next;
    *link = task->next;
    take_out(queue_of(shares, task), task);
    mem_free(task->subnet);
    mem_free(task);
}

/* ---- what stages ask for */

void shares_want(struct shares *shares, int stage, const struct score *score)
{
    struct task *task = find(shares, stage, &score->key);
    if (task) {
        task->detail = score->detail > task->detail ? score->detail : task->detail;
        return;
    }
    struct task **bucket = find_bucket(shares, &score->key);
    task = mem_alloc(sizeof *task);
    *task = (struct task){.key = score->key,
                          .subnet = mem_string(score->subnet),
                          .stage = stage,
                          .split = score->split,
                          .detail = score->detail,
                          .next = *bucket};
    *bucket = task;
    insert(&shares->waiting[stage], task, NULL);
}

bool shares_wants(const struct shares *shares, int stage, const struct hash *key, int detail)
{
    const struct task *task = find(shares, stage, key);
    return task && task->detail >= detail;
}

int shares_waiting(const struct shares *shares, int stage)
{
    return shares->waiting[stage].count;
}

/* ---- who measures it */

static struct score score_of(const struct task *task)
{
    return (struct score){
        .key = task->key, .subnet = task->subnet, .split = task->split, .detail = task->detail};
}

int shares_deal(struct shares *shares, int stage, uint64_t lease, uint64_t share, int room,
                struct score *dealt)
{
    int count = 0;
    for (struct task *task; count < room && (task = shares->waiting[stage].first);) {
        hold(shares, task, lease, share);
        dealt[count++] = score_of(task);
    }
    return count;
}

int shares_of(const struct shares *shares, int stage, uint64_t lease, uint64_t share, int room,
              struct score *left)
{
    int count = 0;
    for (const struct task *task = shares->held[stage].first; task && count < room;
         task = task->after)
        if (task->lease == lease && task->share == share)
            left[count++] = score_of(task);
    return count;
}

void shares_known(struct shares *shares, const struct hash *key, int detail,
                  void (*told)(void *own, int stage), void *own)
{
    for (struct task *task = *find_bucket(shares, key), *next; task; task = next) {
        next = task->next;
        if (!hash_equal(&task->key, key))
            continue;
        int stage = task->stage;
        if (task->detail > detail) {
            let_wait(shares, task);
            continue;
        }
        forget(shares, task);
        told(own, stage);
    }
}

/* From the end, so that they wait in the order in which they were dealt. */
void shares_lose(struct shares *shares, uint64_t lease)
{
    for (int stage = 0; stage < PLAN_MAX_STAGES; stage++)
        for (struct task *task = shares->held[stage].last, *before; task; task = before) {
            before = task->before;
            if (task->lease == lease)
                let_wait(shares, task);
        }
}

void shares_drop(struct shares *shares, int stage)
{
    while (shares->waiting[stage].first)
        forget(shares, shares->waiting[stage].first);
    while (shares->held[stage].first)
        forget(shares, shares->held[stage].first);
}
