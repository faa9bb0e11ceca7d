/* Events: marks in streams that the host or other streams wait for. */
#include "tests/support/cuda/queue.h"
#include <stdlib.h>

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
    event_forget(event);
    streams_unlock();
    return streams_lost();
}

static void queue_event(enum job_kind kind, struct CUevent_st *event, struct CUstream_st *stream)
{
    struct job *job = job_make(kind, 0);
    job->event = event;
    job->mark = event->recorded;
    queue_add(stream, job);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    streams_lock();
    queue_check(stream);
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
    queue_check(stream);
    queue_event(JOB_WAIT, event, stream);
    streams_unlock();
    return streams_lost();
}

static struct CUstream_st *stream_of(const struct CUevent_st *event)
{
    for (struct CUstream_st *next = queue_streams; next; next = next->next)
        for (const struct job *job = next->first; job; job = job->next)
            if (job->kind == JOB_RECORD && job->event == event && job->mark == event->recorded)
                return next;
    return NULL;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    streams_lock();
    queue_read_order();
    bool is_done = event->passed == event->recorded;
    if (!is_done)
        queue_run_one(stream_of(event));
    streams_unlock();
    return is_done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    streams_lock();
    queue_read_order();
    while (event->passed != event->recorded)
        queue_run_or_wait(stream_of(event));
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
