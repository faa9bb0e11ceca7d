/* Streams are queues. Nothing in them runs until the host waits for something, or until a queue is
 * long; what else may run then is the order's to say (emulator.h). */
#include "tests/support/cuda/internal.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { LONG_QUEUE = 4096 };

enum job_kind { JOB_KERNEL, JOB_COPY, JOB_SET, JOB_RECORD, JOB_WAIT, JOB_CALL };

struct job {
    struct job *next;
    enum job_kind kind;
    struct gpu_kernel kernel;
    void *to;
    const void *from;
    size_t size_bytes;
    enum cudaMemcpyKind direction;
    int byte;
    struct CUevent_st *event;
    uint64_t mark;              /* the record of the event that is meant */
    void *argument;             /* of a kernel, behind it */
    bool (*is_over)(void *own); /* of a call */
    void *own;
};

struct CUevent_st {
    uint64_t recorded, passed; /* counts of records queued, and run */
    int jobs;                  /* that name it */
    bool is_destroyed;
};

struct CUstream_st {
    struct CUstream_st *next;
    struct job *first, **last;
    size_t length;
    bool is_blocking; /* the default stream waits for it */
};

static struct {
    pthread_mutex_t lock;
    struct CUstream_st *streams; /* in the order of their creation */
    struct CUstream_st none;     /* the default stream */
    struct order order;
    bool is_lost; /* the card */
} queues = {
    PTHREAD_MUTEX_INITIALIZER, NULL, {NULL, NULL, NULL, 0, true}, {ORDER_FORWARD, 1}, false};

void streams_lock(void)
{
    pthread_mutex_lock(&queues.lock);
}

void streams_unlock(void)
{
    pthread_mutex_unlock(&queues.lock);
}

/* ---- */

/* Of a call it is asked until it says yes, and then never again. */
static bool may_run(struct job *job)
{
    if (job->kind == JOB_CALL && job->is_over &&
        (streams_lost() != cudaSuccess || job->is_over(job->own)))
        job->is_over = NULL;
    return job->kind == JOB_CALL ? !job->is_over
                                 : job->kind != JOB_WAIT || job->event->passed >= job->mark;
}

static void forget_event(struct CUevent_st *event)
{
    if (event->is_destroyed && event->jobs == 0)
        free(event);
}

static void run_copy(const struct job *job)
{
    bool to_device =
        job->direction == cudaMemcpyHostToDevice || job->direction == cudaMemcpyDeviceToDevice;
    bool from_device =
        job->direction == cudaMemcpyDeviceToHost || job->direction == cudaMemcpyDeviceToDevice;
    void *to =
        to_device ? memory_reach("a copy to device memory", job->to, job->size_bytes) : job->to;
    const void *from = from_device
                           ? memory_reach("a copy from device memory", job->from, job->size_bytes)
                           : job->from;
    memmove(to, from, job->size_bytes);
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

static void run_job(struct job *job)
{
    if (!is_there(job) && job->kind != JOB_RECORD)
        ; /* it never comes to pass */
    else if (job->kind == JOB_KERNEL)
        block_run_grid(&job->kernel, job->argument);
    else if (job->kind == JOB_COPY)
        run_copy(job);
    else if (job->kind == JOB_SET)
        memset(memory_reach("cudaMemset", job->to, job->size_bytes), job->byte, job->size_bytes);
    else if (job->kind == JOB_RECORD)
        job->event->passed = job->mark;
    if (job->event) {
        job->event->jobs--;
        forget_event(job->event);
    }
}

static void run_first(struct CUstream_st *stream)
{
    struct job *job = stream->first;
    stream->first = job->next;
    if (!stream->first)
        stream->last = &stream->first;
    stream->length--;
    run_job(job);
    free(job);
}

/* ---- which stream goes on */

enum { MOST_CHOICES = 256 };

static int runnable(struct CUstream_st **list)
{
    int count = 0;
    for (struct CUstream_st *next = queues.streams; next && count < MOST_CHOICES; next = next->next)
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
        struct CUstream_st *next = queues.streams;
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
    for (const struct CUstream_st *next = queues.streams; next; next = next->next)
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

static void read_order(void)
{
    struct order order = order_read();
    if (order.kind != queues.order.kind)
        queues.order = order;
}

/* False: nothing could run. */
static bool run_one(struct CUstream_st *wanted)
{
    struct CUstream_st *chosen = choose(wanted);
    if (chosen)
        run_first(chosen);
    return chosen != NULL;
}

/* As run_one(); where all wait for calls, others may come in meanwhile. */
static void run_or_wait(struct CUstream_st *wanted)
{
    const struct timespec moment = {0, 20000};
    if (run_one(wanted))
        return;
    streams_unlock();
    nanosleep(&moment, NULL);
    streams_lock();
}

static void run_stream(struct CUstream_st *stream)
{
    read_order();
    while (stream->first)
        run_or_wait(stream);
}

void streams_drain(void)
{
    read_order();
    for (struct CUstream_st *next = queues.streams; next; next = next->next)
        while (next->first)
            run_or_wait(next);
}

/* In front of work on the default stream. */
static void drain_blocking(void)
{
    read_order();
    for (struct CUstream_st *next = queues.streams; next; next = next->next)
        while (next->is_blocking && next->first)
            run_or_wait(next);
}

/* ---- queueing */

static struct job *job_make(enum job_kind kind, size_t argument_bytes)
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

static void queue(struct CUstream_st *stream, struct job *job)
{
    if (job->event)
        job->event->jobs++;
    if (!stream) {
        drain_blocking();
        if (!may_run(job))
            emulator_refuse("the default stream waits for an event that will not come");
        run_job(job);
        free(job);
        return;
    }
    *stream->last = job;
    stream->last = &job->next;
    if (++stream->length >= LONG_QUEUE)
        run_stream(stream);
}

static cudaError_t check_stream(const struct CUstream_st *stream)
{
    const struct CUstream_st *next = queues.streams;
    while (next && next != stream)
        next = next->next;
    if (stream && !next)
        emulator_refuse("%p is no stream, or no more", (const void *)stream);
    return cudaSuccess;
}

static bool is_in_limits(const struct gpu_kernel *kernel)
{
    dim3 g = kernel->grid, b = kernel->block;
    return g.x >= 1 && g.y >= 1 && g.z >= 1 && g.x <= 0x7fffffff && g.y <= 65535 && g.z <= 65535 &&
           b.x >= 1 && b.y >= 1 && b.z >= 1 && b.z <= 64 && b.x <= MOST_THREADS &&
           b.y <= MOST_THREADS && b.x * b.y * b.z <= MOST_THREADS &&
           kernel->shared_bytes <= MOST_SHARED_BYTES;
}

cudaError_t gpu_queue_kernel(const struct gpu_kernel *kernel, const void *argument,
                             size_t argument_bytes, cudaStream_t stream)
{
    if (!is_in_limits(kernel))
        return cudaErrorInvalidConfiguration;
    if (argument_bytes > 4096)
        return cudaErrorInvalidValue;
    streams_lock();
    check_stream(stream);
    struct job *job = job_make(JOB_KERNEL, argument_bytes);
    job->kernel = *kernel;
    memcpy(job->argument, argument, argument_bytes);
    queue(stream, job);
    streams_unlock();
    return streams_lost();
}

cudaError_t streams_queue_call(cudaStream_t stream, bool (*is_over)(void *own), void *own)
{
    streams_lock();
    check_stream(stream);
    struct job *job = job_make(JOB_CALL, 0);
    job->is_over = is_over;
    job->own = own;
    queue(stream, job);
    streams_unlock();
    return streams_lost();
}

static enum cudaMemcpyKind direction_of(const void *to, const void *from)
{
    if (memory_is_device(to))
        return memory_is_device(from) ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice;
    return memory_is_device(from) ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost;
}

static cudaError_t make_copy(void *to, const void *from, size_t size_bytes,
                             enum cudaMemcpyKind kind, struct job **job)
{
    enum cudaMemcpyKind is = direction_of(to, from);
    if (kind != cudaMemcpyDefault && kind != is)
        return cudaErrorInvalidValue;
    if (is == cudaMemcpyHostToDevice || is == cudaMemcpyDeviceToDevice)
        memory_reach("a copy to device memory", to, size_bytes);
    if (is == cudaMemcpyDeviceToHost || is == cudaMemcpyDeviceToDevice)
        memory_reach("a copy from device memory", from, size_bytes);
    *job = job_make(JOB_COPY, 0);
    (*job)->to = to;
    (*job)->from = from;
    (*job)->size_bytes = size_bytes;
    (*job)->direction = is;
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size_bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    struct job *job = NULL;
    if (size_bytes == 0)
        return cudaSuccess;
    streams_lock();
    check_stream(stream);
    cudaError_t error = make_copy(to, from, size_bytes, kind, &job);
    if (error == cudaSuccess) {
        const void *host = job->direction == cudaMemcpyDeviceToHost ? to : from;
        if (job->direction != cudaMemcpyDeviceToDevice && !memory_is_pinned(host, size_bytes))
            emulator_refuse("an asynchronous copy of %zu bytes, not all of them in pinned memory",
                            size_bytes);
        if (job->direction == cudaMemcpyDeviceToHost)
            memset(to, 0xff, size_bytes);
        queue(stream, job);
    }
    streams_unlock();
    return error == cudaSuccess ? streams_lost() : error;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t size_bytes, enum cudaMemcpyKind kind)
{
    struct job *job = NULL;
    if (size_bytes == 0)
        return cudaSuccess;
    streams_lock();
    cudaError_t error = make_copy(to, from, size_bytes, kind, &job);
    if (error == cudaSuccess)
        queue(NULL, job);
    streams_unlock();
    return error == cudaSuccess ? streams_lost() : error;
}

cudaError_t cudaMemsetAsync(void *memory, int byte, size_t size_bytes, cudaStream_t stream)
{
    if (size_bytes == 0)
        return cudaSuccess;
    streams_lock();
    check_stream(stream);
    memory_reach("cudaMemset", memory, size_bytes);
    struct job *job = job_make(JOB_SET, 0);
    job->to = memory;
    job->byte = byte;
    job->size_bytes = size_bytes;
    queue(stream, job);
    streams_unlock();
    return streams_lost();
}

cudaError_t cudaMemset(void *memory, int byte, size_t size_bytes)
{
    return cudaMemsetAsync(memory, byte, size_bytes, NULL);
}

/* ---- streams */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    struct CUstream_st *made = static_cast<struct CUstream_st *>(calloc(1, sizeof *made));
    if (!made)
        return cudaErrorMemoryAllocation;
    made->last = &made->first;
    made->is_blocking = !(flags & cudaStreamNonBlocking);
    streams_lock();
    struct CUstream_st **end = &queues.streams;
    while (*end)
        end = &(*end)->next;
    *end = made;
    streams_unlock();
    *stream = made;
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority)
{
    (void)priority;
    return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    streams_lock();
    check_stream(stream);
    run_stream(stream);
    struct CUstream_st **at = &queues.streams;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    free(stream);
    streams_unlock();
    return streams_lost();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    streams_lock();
    check_stream(stream);
    if (stream)
        run_stream(stream);
    else
        drain_blocking();
    streams_unlock();
    return streams_lost();
}

/* Somebody who asks again and again gets there: each time one job runs. */
cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    streams_lock();
    check_stream(stream);
    read_order();
    bool is_done = !stream || !stream->first;
    if (!is_done)
        run_one(stream);
    streams_unlock();
    return is_done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize(void)
{
    streams_lock();
    streams_drain();
    streams_unlock();
    return streams_lost();
}

/* ---- events */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    (void)flags;
    *event = static_cast<struct CUevent_st *>(calloc(1, sizeof **event));
    return *event ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    if (!event)
        return cudaErrorInvalidResourceHandle;
    streams_lock();
    event->is_destroyed = true;
    forget_event(event);
    streams_unlock();
    return streams_lost();
}

static void queue_event(enum job_kind kind, struct CUevent_st *event, struct CUstream_st *stream)
{
    struct job *job = job_make(kind, 0);
    job->event = event;
    job->mark = event->recorded;
    queue(stream, job);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    streams_lock();
    check_stream(stream);
    event->recorded++;
    queue_event(JOB_RECORD, event, stream);
    streams_unlock();
    return streams_lost();
}

/* Of an event that was never recorded nobody waits. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    streams_lock();
    check_stream(stream);
    queue_event(JOB_WAIT, event, stream);
    streams_unlock();
    return streams_lost();
}

static struct CUstream_st *stream_of(const struct CUevent_st *event)
{
    for (struct CUstream_st *next = queues.streams; next; next = next->next)
        for (const struct job *job = next->first; job; job = job->next)
            if (job->kind == JOB_RECORD && job->event == event && job->mark == event->recorded)
                return next;
    return NULL;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    streams_lock();
    read_order();
    bool is_done = event->passed == event->recorded;
    if (!is_done)
        run_one(stream_of(event));
    streams_unlock();
    return is_done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    streams_lock();
    read_order();
    while (event->passed != event->recorded)
        run_or_wait(stream_of(event));
    streams_unlock();
    return streams_lost();
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to)
{
    if (from->passed != from->recorded || to->passed != to->recorded)
        return cudaErrorNotReady;
    *milliseconds = 0.001f; /* nobody should measure here */
    return cudaSuccess;
}
