/* Streams, and what is queued on them. */
#include "tests/support/cuda/queue.h"
#include <stdlib.h>

static bool is_in_limits(const struct gpu_kernel *kernel)
{
    dim3 g = kernel->grid, b = kernel->block;
    return g.x >= 1 && g.y >= 1 && g.z >= 1 && g.x <= 0x7fffffff && g.y <= 65535 && g.z <= 65535 &&
           b.x >= 1 && b.y >= 1 && b.z >= 1 && b.z <= 64 && b.x <= MOST_THREADS &&
           b.y <= MOST_THREADS && b.x * b.y * b.z <= MOST_THREADS &&
           kernel->shared_bytes <= runtime_shared_bytes();
}

cudaError_t gpu_queue_kernel(const struct gpu_kernel *kernel, const void *argument,
                             size_t argument_bytes, cudaStream_t stream)
{
    if (!is_in_limits(kernel))
        return cudaErrorInvalidConfiguration;
    if (argument_bytes > 4096)
        return cudaErrorInvalidValue;
    streams_lock();
    queue_check(stream);
    struct job *job = job_make(JOB_KERNEL, argument_bytes);
    job->kernel = *kernel;
    if (kernel->most_shared_bytes > runtime_shared_bytes())
        job->kernel.most_shared_bytes = runtime_shared_bytes();
    memcpy(job->argument, argument, argument_bytes);
    queue_add(stream, job);
    streams_unlock();
    return streams_lost();
}

cudaError_t streams_queue_call(cudaStream_t stream, bool (*is_over)(void *own), void *own)
{
    streams_lock();
    queue_check(stream);
    struct job *job = job_make(JOB_CALL, 0);
    job->is_over = is_over;
    job->own = own;
    queue_add(stream, job);
    streams_unlock();
    return streams_lost();
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    struct CUstream_st *made = static_cast<struct CUstream_st *>(calloc(1, sizeof *made));
    if (!made)
        return cudaErrorMemoryAllocation;
    made->last = &made->first;
    made->is_blocking = !(flags & cudaStreamNonBlocking);
    streams_lock();
    struct CUstream_st **end = &queue_streams;
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
    queue_check(stream);
    queue_run(stream);
    struct CUstream_st **at = &queue_streams;
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
    queue_check(stream);
    if (stream)
        queue_run(stream);
    else
        queue_run_blocking();
    streams_unlock();
    return streams_lost();
}

/* Somebody who asks again and again gets there: each time one job runs. */
cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    streams_lock();
    queue_check(stream);
    queue_read_order();
    bool is_done = !stream || !stream->first;
    if (!is_done)
        queue_run_one(stream);
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
