#include "kernels/cuda/host.h"

enum err cuda_take(struct cuda *cuda, size_t size_bytes, void **memory)
{
    size_t free_bytes = 0, total_bytes = 0;
    cudaError_t error = cudaMalloc(memory, size_bytes ? size_bytes : 1);
    if (error != cudaErrorMemoryAllocation)
        return cuda_error(error, "cudaMalloc");
    (void)cudaGetLastError();
    if (cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess)
        (void)cudaGetLastError();
    return err_set(ERR_MEMORY,
                   "no memory for a block of %zu bytes: of the %zu bytes of GPU %d %zu are free; "
                   "a smaller micro-batch needs less, or another process holds the rest",
                   size_bytes, total_bytes, cuda->ordinal, free_bytes);
}

enum err cuda_alloc(struct device *device, size_t size_bytes, void **memory)
{
    enum err err = ERR_OK;
    struct cuda *cuda = cuda_of(device);
    void *block = NULL;
    TRY(cuda_left(cuda));
    TRY(cuda_take(cuda, size_bytes, &block));
    TRY(CUDA(cudaMemsetAsync(block, 0, size_bytes, cuda->stream)));
    *memory = block;
    block = NULL;
out:
    if (block)
        (void)cudaFree(block);
    return err;
}

/* cudaFree() waits by itself on most systems; here it is a promise. */
void cuda_free(struct device *device, void *memory)
{
    struct cuda *cuda = cuda_of(device);
    if (!memory)
        return;
    cuda_note(cuda, "free", cudaStreamSynchronize(cuda->stream));
    cuda_note(cuda, "free", cudaFree(memory));
}

enum err cuda_pin(struct device *device, size_t size_bytes, void **host)
{
    struct cuda *cuda = cuda_of(device);
    enum err left = cuda_left(cuda);
    if (left != ERR_OK)
        return left;
    cudaError_t error = cudaHostAlloc(host, size_bytes ? size_bytes : 1, cudaHostAllocDefault);
    if (error != cudaErrorMemoryAllocation)
        return cuda_error(error, "cudaHostAlloc");
    (void)cudaGetLastError();
    return err_set(ERR_MEMORY, "no pinned host memory for %zu bytes", size_bytes);
}

void cuda_unpin(struct device *device, void *host)
{
    struct cuda *cuda = cuda_of(device);
    if (host)
        cuda_note(cuda, "unpin", cudaFreeHost(host));
}

static void fill(struct device *device, size_t size_bytes, void *memory, int byte)
{
    struct cuda *cuda = cuda_of(device);
    if (cuda->err == ERR_OK && size_bytes > 0)
        cuda_note(cuda, "fill", cudaMemsetAsync(memory, byte, size_bytes, cuda->stream));
}

void cuda_zero(struct device *device, size_t size_bytes, void *memory)
{
    fill(device, size_bytes, memory, 0);
}

void cuda_fill_nan(struct device *device, size_t size_bytes, void *memory)
{
    fill(device, size_bytes, memory, 0xff);
}

void cuda_copy(struct device *device, size_t size_bytes, const void *from, void *to)
{
    struct cuda *cuda = cuda_of(device);
    if (cuda->err == ERR_OK && size_bytes > 0)
        cuda_note(cuda, "copy",
                  cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyDeviceToDevice, cuda->stream));
}

/* The old block goes when the other is there: what fails changes nothing. */
static enum err resize_scratch(struct cuda *cuda, size_t size_bytes)
{
    enum err err = ERR_OK;
    void *other = NULL;
    TRY(cuda_drain(cuda));
    TRY(cuda_take(cuda, size_bytes, &other));
    TRY(CUDA(cudaFree(cuda->scratch)));
    cuda->scratch = other;
    cuda->scratch_bytes = size_bytes;
out:
    return err;
}

enum err cuda_prepare(struct device *device, const struct workload *workload)
{
    enum err err = ERR_OK;
    struct cuda *cuda = cuda_of(device);
    TRY(cuda_drain(cuda));
    size_t needed = cuda_most_needed(workload, cuda->precision);
    if (needed > cuda->scratch_bytes)
        TRY(resize_scratch(cuda, needed));
    cuda->is_prepared = true;
out:
    return err;
}

static void leave_too_little(struct cuda *cuda, const struct work *work, size_t size_bytes)
{
    char shape[160];
    work_describe(work, shape, sizeof shape);
    cuda_leave(cuda, ERR_FAILED,
               "%s: it needs %zu bytes of scratch, the device was prepared for %zu; report it",
               shape, size_bytes, cuda->scratch_bytes);
}

static bool has_scratch(struct cuda *cuda, const struct work *work, size_t size_bytes)
{
    if (cuda->is_prepared && size_bytes > cuda->scratch_bytes)
        leave_too_little(cuda, work, size_bytes);
    else if (!cuda->is_prepared && size_bytes > 0 && size_bytes != cuda->scratch_bytes) {
        enum err err = resize_scratch(cuda, size_bytes);
        if (err != ERR_OK)
            cuda_leave(cuda, err, "%s", err_text());
    }
    return cuda->err == ERR_OK;
}

/* On a device that nobody prepared an operation has as much as it asked for and not a byte more, so
 * that tools that look at memory see who goes beyond. */
void *cuda_scratch(struct cuda *cuda, const struct work *work, size_t size_bytes)
{
    struct device_traffic *traffic = &cuda->face.traffic;
    if (cuda->err != ERR_OK || !has_scratch(cuda, work, size_bytes))
        return NULL;
    if (traffic->working_peak_bytes < size_bytes)
        traffic->working_peak_bytes = size_bytes;
    return cuda->scratch;
}
