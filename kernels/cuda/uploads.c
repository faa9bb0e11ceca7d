/* The host's bytes are read at once, into pinned memory, and go to the card in their turn: an
 * upload waits for no operation. Of two halves one is filled while the other's copies run. */
#include "base/mem.h"
#include "kernels/cuda/host.h"
#include <string.h>

enum { HALF_BYTES = 1 << 20 };

struct cuda_uploads {
    char *halves[2];       /* pinned, HALF_BYTES each */
    cudaEvent_t passed[2]; /* behind the copies of each half */
    int half;              /* that is filled now */
    size_t used_bytes;     /* of it */
};

enum err cuda_uploads_create(struct cuda_uploads **result)
{
    enum err err = ERR_OK;
    struct cuda_uploads *uploads = mem_alloc(sizeof *uploads);
    for (int i = 0; i < 2; i++) {
        TRY(CUDA(cudaHostAlloc((void **)&uploads->halves[i], HALF_BYTES, cudaHostAllocDefault)));
        TRY(CUDA(cudaEventCreateWithFlags(&uploads->passed[i], cudaEventDisableTiming)));
    }
    *result = uploads;
    uploads = NULL;
out:
    cuda_uploads_destroy(&uploads);
    return err;
}

void cuda_uploads_destroy(struct cuda_uploads **pointer)
{
    struct cuda_uploads *uploads = *pointer;
    for (int i = 0; uploads && i < 2; i++) {
        (void)cudaFreeHost(uploads->halves[i]);
        if (uploads->passed[i])
            (void)cudaEventDestroy(uploads->passed[i]);
    }
    mem_free(uploads);
    *pointer = NULL;
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
        cuda_upload_async(device, (char *)to + done, pinned, count);
        uploads->used_bytes += count;
        done += count;
    }
}
