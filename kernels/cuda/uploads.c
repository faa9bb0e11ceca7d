/* Copies to the card. upload(): the host's bytes are read at once, into pinned memory, and go to
 * the card in their turn, so that it waits for no operation; of two halves one is filled while the
 * other's copies run. upload_async(): what takes long crosses the bus while operations run that
 * were called before, into a block of the card that nobody else sees, and is copied from there in
 * its turn. */
#include "base/mem.h"
#include "kernels/cuda/host.h"
#include <string.h>

enum { HALF_BYTES = 1 << 20, LONG_BYTES = 1 << 20 };

struct cuda_uploads {
    char *halves[2];       /* pinned, HALF_BYTES each */
    cudaEvent_t passed[2]; /* behind the copies of each half */
    int half;              /* that is filled now */
    size_t used_bytes;     /* of it */
    void *landed;          /* device, (landed_bytes): of one upload_async() at a time */
    size_t landed_bytes;
    cudaEvent_t arrived, taken; /* all of it in `landed`; copied from there */
    cudaEvent_t downloaded;     /* the last download_async(), whose host memory may be next */
};

enum err cuda_uploads_create(struct cuda_uploads **result)
{
    enum err err = ERR_OK;
    struct cuda_uploads *uploads = mem_alloc(sizeof *uploads);
    for (int i = 0; i < 2; i++) {
        TRY(CUDA(cudaHostAlloc((void **)&uploads->halves[i], HALF_BYTES, cudaHostAllocDefault)));
        TRY(CUDA(cudaEventCreateWithFlags(&uploads->passed[i], cudaEventDisableTiming)));
    }
    TRY(CUDA(cudaEventCreateWithFlags(&uploads->arrived, cudaEventDisableTiming)));
    TRY(CUDA(cudaEventCreateWithFlags(&uploads->taken, cudaEventDisableTiming)));
    TRY(CUDA(cudaEventCreateWithFlags(&uploads->downloaded, cudaEventDisableTiming)));
    *result = uploads;
    uploads = NULL;
out:
    cuda_uploads_destroy(&uploads);
    return err;
}

static void destroy_event(cudaEvent_t event)
{
    if (event)
        (void)cudaEventDestroy(event);
}

void cuda_uploads_destroy(struct cuda_uploads **pointer)
{
    struct cuda_uploads *uploads = *pointer;
    if (!uploads)
        return;
    for (int i = 0; i < 2; i++) {
        (void)cudaFreeHost(uploads->halves[i]);
        destroy_event(uploads->passed[i]);
    }
    destroy_event(uploads->arrived);
    destroy_event(uploads->taken);
    destroy_event(uploads->downloaded);
    (void)cudaFree(uploads->landed);
    mem_free(uploads);
    *pointer = NULL;
}

static void copy_in_turn(struct cuda *cuda, void *to, const void *pinned, size_t size_bytes)
{
    cuda_note(cuda, "upload",
              cudaMemcpyAsync(to, pinned, size_bytes, cudaMemcpyHostToDevice, cuda->stream));
}

static void change_halves(struct cuda *cuda, struct cuda_uploads *uploads)
{
    cuda_note(cuda, "upload", cudaEventRecord(uploads->passed[uploads->half], cuda->stream));
    uploads->half = !uploads->half;
    uploads->used_bytes = 0;
    cuda_note(cuda, "upload", cudaEventSynchronize(uploads->passed[uploads->half]));
}

void cuda_upload(struct device *device, void *to, const void *host, size_t size_bytes)
{
    struct cuda *cuda = cuda_of(device);
    struct cuda_uploads *uploads = cuda->uploads;
    for (size_t done = 0; done < size_bytes && cuda->err == ERR_OK;) {
        if (uploads->used_bytes == HALF_BYTES)
            change_halves(cuda, uploads);
        size_t room = HALF_BYTES - uploads->used_bytes, left = size_bytes - done;
        size_t count = left < room ? left : room;
        char *pinned = uploads->halves[uploads->half] + uploads->used_bytes;
        memcpy(pinned, (const char *)host + done, count);
        copy_in_turn(cuda, (char *)to + done, pinned, count);
        uploads->used_bytes += count;
        done += count;
    }
}

/* false: there is no memory for it, and the copy has to wait for its turn. */
static bool can_land(struct cuda *cuda, size_t size_bytes)
{
    struct cuda_uploads *uploads = cuda->uploads;
    if (uploads->landed_bytes >= size_bytes)
        return true;
    cuda_note(cuda, "upload", cudaStreamSynchronize(cuda->stream));
    (void)cudaFree(uploads->landed);
    uploads->landed_bytes = 0;
    if (cudaMalloc(&uploads->landed, size_bytes) == cudaSuccess)
        uploads->landed_bytes = size_bytes;
    else
        uploads->landed = NULL;
    (void)cudaGetLastError();
    return uploads->landed_bytes > 0;
}

static cudaError_t copy_ahead(struct cuda *cuda, void *to, const void *pinned, size_t size_bytes)
{
    struct cuda_uploads *uploads = cuda->uploads;
    cudaStream_t copies = cuda->copies, stream = cuda->stream;
    cudaError_t error = cudaStreamWaitEvent(copies, uploads->taken, 0);
    if (error == cudaSuccess)
        error = cudaStreamWaitEvent(copies, uploads->downloaded, 0);
    if (error == cudaSuccess)
        error =
            cudaMemcpyAsync(uploads->landed, pinned, size_bytes, cudaMemcpyHostToDevice, copies);
    if (error == cudaSuccess)
        error = cudaEventRecord(uploads->arrived, copies);
    if (error == cudaSuccess)
        error = cudaStreamWaitEvent(stream, uploads->arrived, 0);
    if (error == cudaSuccess)
        error = cudaMemcpyAsync(to, uploads->landed, size_bytes, cudaMemcpyDeviceToDevice, stream);
    return error == cudaSuccess ? cudaEventRecord(uploads->taken, stream) : error;
}

void cuda_upload_async(struct device *device, void *to, const void *host, size_t size_bytes)
{
    struct cuda *cuda = cuda_of(device);
    if (cuda->err != ERR_OK || size_bytes == 0)
        return;
    if (size_bytes >= LONG_BYTES && can_land(cuda, size_bytes))
        cuda_note(cuda, "upload", copy_ahead(cuda, to, host, size_bytes));
    else
        copy_in_turn(cuda, to, host, size_bytes);
}

void cuda_uploads_follow_download(struct cuda *cuda)
{
    cuda_note(cuda, "download", cudaEventRecord(cuda->uploads->downloaded, cuda->stream));
}
