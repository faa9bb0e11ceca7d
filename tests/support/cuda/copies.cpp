/* Copies between the host and device memory, and bytes set there. */
#include "tests/support/cuda/queue.h"

void copy_run(const struct job *job)
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

void copy_set(const struct job *job)
{
    memset(memory_reach("cudaMemset", job->to, job->size_bytes), job->byte, job->size_bytes);
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
    queue_check(stream);
    cudaError_t error = make_copy(to, from, size_bytes, kind, &job);
    if (error == cudaSuccess) {
        const void *host = job->direction == cudaMemcpyDeviceToHost ? to : from;
        if (job->direction != cudaMemcpyDeviceToDevice && !memory_is_pinned(host, size_bytes))
            emulator_refuse("an asynchronous copy of %zu bytes, not all of them in pinned memory",
                            size_bytes);
        if (job->direction == cudaMemcpyDeviceToHost)
            memset(to, 0xff, size_bytes);
        queue_add(stream, job);
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
        queue_add(NULL, job);
    streams_unlock();
    return error == cudaSuccess ? streams_lost() : error;
}

cudaError_t cudaMemsetAsync(void *memory, int byte, size_t size_bytes, cudaStream_t stream)
{
    if (size_bytes == 0)
        return cudaSuccess;
    streams_lock();
    queue_check(stream);
    memory_reach("cudaMemset", memory, size_bytes);
    struct job *job = job_make(JOB_SET, 0);
    job->to = memory;
    job->byte = byte;
    job->size_bytes = size_bytes;
    queue_add(stream, job);
    streams_unlock();
    return streams_lost();
}

cudaError_t cudaMemset(void *memory, int byte, size_t size_bytes)
{
    return cudaMemsetAsync(memory, byte, size_bytes, NULL);
}
