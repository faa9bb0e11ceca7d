#include "tests/support/cuda/queue.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { LONG_QUEUE = 4096 };

struct CUstream_st *queue_streams;

static struct {
    pthread_mutex_t lock;
    struct order order;
    bool is_lost; /* the card */
} queues = {PTHREAD_MUTEX_INITIALIZER, {ORDER_FORWARD, 1}, false};

void streams_lock(void)
{
    pthread_mutex_lock(&queues.lock);
}

void streams_unlock(void)
{
    pthread_mutex_unlock(&queues.lock);
}

/* Of a call it is asked until it says yes, and then never again. */
static bool may_run(struct job *job)
{
    if (job->kind == JOB_CALL && job->is_over &&
        (streams_lost() != cudaSuccess || job->is_over(job->own)))
        job->is_over = NULL;
    return job->kind == JOB_CALL ? !job->is_over
                                 : job->kind != JOB_WAIT || job->event->passed >= job->mark;
}

void event_forget(struct CUevent_st *event)
{
    if (event->is_destroyed && event->jobs == 0)
        free(event);
}

cudaError_t streams_lost(void)
{
    return __atomic_load_n(&queues.is_lost, __ATOMIC_SEQ_CST) ? cudaErrorECCUncorrectable
                                                              : cudaSuccess;
}

void streams_found(void)
{
    __atomic_store_n(&queues.is_lost, false, __ATOMIC_SEQ_CST);
}

/* Whether the card is there for this job. */
static bool is_there(const struct job *job)
{
    const char *lost = getenv("GPU_EMULATOR_LOST");
    if (job->kind == JOB_KERNEL && lost && strcmp(job->kernel.name, lost) == 0)
        __atomic_store_n(&queues.is_lost, true, __ATOMIC_SEQ_CST);
    return streams_lost() == cudaSuccess;
}

void job_run(struct job *job)
{
    if (!is_there(job) && job->kind != JOB_RECORD)
        ; /* it never comes to pass */
    else if (job->kind == JOB_KERNEL)
        block_run_grid(&job->kernel, job->argument);
    else if (job->kind == JOB_COPY)
        copy_run(job);
    else if (job->kind == JOB_SET)
        copy_set(job);
    else if (job->kind == JOB_RECORD)
        job->event->passed = job->mark;
    if (job->event) {
        job->event->jobs--;
        event_forget(job->event);
    }
}

static void run_first(struct CUstream_st *stream)
{
    struct job *job = stream->first;
    stream->first = job->next;
    if (!stream->first)
        stream->last = &stream->first;
    stream->length--;
    job_run(job);
    free(job);
}

enum { MOST_CHOICES = 256 };

static int runnable(struct CUstream_st **list)
{
    int count = 0;
    for (struct CUstream_st *next = queue_streams; next && count < MOST_CHOICES; next = next->next)
        if (next->first && may_run(next->first))
            list[count++] = next;
    return count;
}

/* The stream itself, or whoever it waits for, first of all. */
static struct CUstream_st *needed(struct CUstream_st *stream)
{
    for (int hops = 0; stream && hops < MOST_CHOICES; hops++) {
        if (!stream->first || may_run(stream->first))
            return stream->first ? stream : NULL;
        const struct CUevent_st *event = stream->first->event;
        struct CUstream_st *next = queue_streams;
        for (; next; next = next->next) {
            const struct job *job = next->first;
            while (job && !(job->kind == JOB_RECORD && job->event == event))
                job = job->next;
            if (job)
                break;
        }
        stream = next;
    }
    return NULL;
}

static bool is_called(void)
{
    for (const struct CUstream_st *next = queue_streams; next; next = next->next)
        if (next->first && next->first->kind == JOB_CALL)
            return true;
    return false;
}

/* Forward: what is wanted, and nothing else. Reversed: everything else first. Shuffled: any. NULL:
 * all wait for calls. */
static struct CUstream_st *choose(struct CUstream_st *wanted)
{
    struct CUstream_st *list[MOST_CHOICES];
    int count = runnable(list);
    struct CUstream_st *next = needed(wanted);
    if (count == 0 && is_called())
        return NULL;
    if (count == 0)
        emulator_refuse("streams wait for events of each other: a deadlock");
    if (queues.order.kind == ORDER_SHUFFLED)
        return list[order_below(&queues.order, (uint32_t)count)];
    if (queues.order.kind == ORDER_FORWARD)
        return next ? next : list[0];
    for (int i = count - 1; i >= 0; i--)
        if (list[i] != next)
            return list[i];
    return next;
}

void queue_read_order(void)
{
    struct order order = order_read();
    if (order.kind != queues.order.kind)
        queues.order = order;
}

/* False: nothing could run. */
bool queue_run_one(struct CUstream_st *wanted)
{
    struct CUstream_st *chosen = choose(wanted);
    if (chosen)
        run_first(chosen);
    return chosen != NULL;
}

/* As queue_run_one(); where all wait for calls, others may come in meanwhile. */
void queue_run_or_wait(struct CUstream_st *wanted)
{
    const struct timespec moment = {0, 20000};
    if (queue_run_one(wanted))
        return;
    streams_unlock();
    nanosleep(&moment, NULL);
    streams_lock();
}

void queue_run(struct CUstream_st *stream)
{
    queue_read_order();
    while (stream->first)
        queue_run_or_wait(stream);
}

void streams_drain(void)
{
    queue_read_order();
    for (struct CUstream_st *next = queue_streams; next; next = next->next)
        while (next->first)
            queue_run_or_wait(next);
}

/* In front of work on the default stream. */
void queue_run_blocking(void)
{
    queue_read_order();
    for (struct CUstream_st *next = queue_streams; next; next = next->next)
        while (next->is_blocking && next->first)
            queue_run_or_wait(next);
}

struct job *job_make(enum job_kind kind, size_t argument_bytes)
{
    size_t head = (sizeof(struct job) + 15) / 16 * 16, tail = (argument_bytes + 15) / 16 * 16;
    struct job *job = static_cast<struct job *>(aligned_alloc(16, head + tail));
    if (!job)
        emulator_refuse("no memory for what was queued");
    memset((void *)job, 0, head);
    job->kind = kind;
    job->argument = reinterpret_cast<char *>(job) + head;
    return job;
}

void queue_add(struct CUstream_st *stream, struct job *job)
{
    if (job->event)
        job->event->jobs++;
    if (!stream) {
        queue_run_blocking();
        if (!may_run(job))
            emulator_refuse("the default stream waits for an event that will not come");
        job_run(job);
        free(job);
        return;
    }
    *stream->last = job;
    stream->last = &job->next;
    if (++stream->length >= LONG_QUEUE)
        queue_run(stream);
}

void queue_check(const struct CUstream_st *stream)
{
    const struct CUstream_st *next = queue_streams;
    while (next && next != stream)
        next = next->next;
    if (stream && !next)
        emulator_refuse("%p is no stream, or no more", (const void *)stream);
}
