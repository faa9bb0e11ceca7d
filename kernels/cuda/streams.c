/* Copies to the host, and waiting. */
#include "base/mem.h"
#include "kernels/cuda/host.h"

struct event {
    cudaEvent_t passed;
};

enum err cuda_drain(struct cuda *cuda)
{
    cuda_note(cuda, "an operation", cudaStreamSynchronize(cuda->stream));
    return cuda_left(cuda);
}

void cuda_download_async(struct device *device, void *host, const void *from, size_t size_bytes)
{
    struct cuda *cuda = cuda_of(device);
    if (cuda->err != ERR_OK || size_bytes == 0)
        return;
    cuda_note(cuda, "download",
              cudaMemcpyAsync(host, from, size_bytes, cudaMemcpyDeviceToHost, cuda->stream));
    cuda_uploads_follow_download(cuda);
}

enum err cuda_download(struct device *device, void *host, const void *from, size_t size_bytes)
{
    enum err err = ERR_OK;
    struct cuda *cuda = cuda_of(device);
    TRY(cuda_drain(cuda));
    if (size_bytes > 0)
        cuda_note(cuda, "download", cudaMemcpy(host, from, size_bytes, cudaMemcpyDeviceToHost));
    TRY(cuda_left(cuda));
out:
    return err;
}

enum err cuda_sync(struct device *device)
{
    return cuda_drain(cuda_of(device));
}

enum err cuda_event_create(struct device *device, struct event **out)
{
    enum err err = ERR_OK;
    struct cuda *cuda = cuda_of(device);
    struct event *event = mem_alloc(sizeof *event);
    TRY(cuda_left(cuda));
    /* Who waits sleeps: a loader's threads do for most of a step, beside others that work. */
    TRY(CUDA(
        cudaEventCreateWithFlags(&event->passed, cudaEventDisableTiming | cudaEventBlockingSync)));
    *out = event;
    event = NULL;
out:
    mem_free(event);
    return err;
}

void cuda_event_destroy(struct device *device, struct event *event)
{
    struct cuda *cuda = cuda_of(device);
    if (!event)
        return;
    cuda_note(cuda, "event_destroy", cudaEventDestroy(event->passed));
    mem_free(event);
}

void cuda_event_record(struct device *device, struct event *event)
{
    struct cuda *cuda = cuda_of(device);
    if (cuda->err == ERR_OK)
        cuda_note(cuda, "event_record", cudaEventRecord(event->passed, cuda->stream));
}

/* Any thread: what is left is the calling thread's to write, so a failed wait is told, not noted;
 * whoever calls next finds the card lost as well. */
enum err cuda_event_wait(struct device *device, struct event *event)
{
    enum err err = ERR_OK;
    struct cuda *cuda = cuda_of(device);
    TRY(cuda_peek(cuda));
    TRY(CUDA(cudaEventSynchronize(event->passed)));
    TRY(cuda_peek(cuda));
out:
    return err;
}
