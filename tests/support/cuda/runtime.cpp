/* What the runtime says of cards and errors, and memory. The environment chooses which trouble
 * there is (emulator.h). */
#include "tests/support/cuda/internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { GPU_DRIVER = 13000 };

static int number_of(const char *variable, int otherwise)
{
    const char *text = getenv(variable);
    return text && *text ? (int)strtol(text, NULL, 10) : otherwise;
}

static thread_local struct {
    int ordinal;
    cudaError_t last;
} mine;

static cudaError_t leave(cudaError_t error)
{
    if (error != cudaSuccess)
        mine.last = error;
    return error;
}

/* Is there a card, and a driver for it? */
static cudaError_t check_driver(void)
{
    int version = number_of("GPU_EMULATOR_DRIVER", GPU_DRIVER);
    if (version < CUDART_VERSION)
        return cudaErrorInsufficientDriver;
    if (streams_lost() != cudaSuccess)
        return streams_lost();
    return number_of("GPU_EMULATOR_DEVICES", 1) > 0 ? cudaSuccess : cudaErrorNoDevice;
}

static cudaError_t check_ordinal(int ordinal)
{
    cudaError_t error = check_driver();
    if (error == cudaSuccess && (ordinal < 0 || ordinal >= number_of("GPU_EMULATOR_DEVICES", 1)))
        error = cudaErrorInvalidDevice;
    return error;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    cudaError_t error = check_driver();
    *count = error == cudaSuccess ? number_of("GPU_EMULATOR_DEVICES", 1) : 0;
    return leave(error);
}

static int capability_of_cards(void)
{
    return number_of("GPU_EMULATOR_CAPABILITY", 80);
}

/* CUDA C++ Programming Guide, "Technical Specifications per Compute Capability": of a block. */
static size_t shared_bytes_of(int capability)
{
    return capability == 80 || capability == 87   ? 163u << 10
           : capability >= 90 && capability < 120 ? 227u << 10
                                                  : 99u << 10;
}

size_t runtime_shared_bytes(void)
{
    const size_t of_card = shared_bytes_of(capability_of_cards()), most = MOST_SHARED_BYTES;
    return of_card < most ? of_card : most;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int ordinal)
{
    size_t free_bytes, total_bytes;
    cudaError_t error = check_ordinal(ordinal);
    if (error != cudaSuccess)
        return leave(error);
    int capability = capability_of_cards();
    streams_lock();
    memory_info(&free_bytes, &total_bytes);
    streams_unlock();
    memset(properties, 0, sizeof *properties);
    snprintf(properties->name, sizeof properties->name, "Emulated GPU");
    properties->totalGlobalMem = total_bytes;
    properties->sharedMemPerBlock = MOST_STATIC_BYTES;
    properties->sharedMemPerBlockOptin = shared_bytes_of(capability);
    properties->sharedMemPerMultiprocessor = properties->sharedMemPerBlockOptin + 1024;
    properties->regsPerBlock = 65536;
    properties->warpSize = LANES;
    properties->maxThreadsPerBlock = MOST_THREADS;
    properties->maxThreadsPerMultiProcessor = 2048;
    properties->major = capability / 10;
    properties->minor = capability % 10;
    properties->multiProcessorCount = number_of("GPU_EMULATOR_MULTIPROCESSORS", 108);
    properties->pciBusID = ordinal + 1;
    properties->l2CacheSize = 40 << 20;
    properties->memoryBusWidth = 5120;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int ordinal)
{
    struct cudaDeviceProp properties;
    cudaError_t error = cudaGetDeviceProperties(&properties, ordinal);
    if (error != cudaSuccess)
        return error;
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
        *value = properties.maxThreadsPerBlock;
        return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
        *value = properties.multiProcessorCount;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
        *value = properties.major;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = properties.minor;
        return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = (int)properties.sharedMemPerBlockOptin;
        return cudaSuccess;
    }
    return leave(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceGetPCIBusId(char *text, int size, int ordinal)
{
    cudaError_t error = check_ordinal(ordinal);
    if (error == cudaSuccess)
        snprintf(text, (size_t)size, "0000:%02x:00.0", (unsigned)ordinal + 1);
    return leave(error);
}

cudaError_t cudaSetDevice(int ordinal)
{
    cudaError_t error = check_ordinal(ordinal);
    if (error == cudaSuccess)
        mine.ordinal = ordinal;
    return leave(error);
}

cudaError_t cudaGetDevice(int *ordinal)
{
    *ordinal = mine.ordinal;
    return leave(check_driver());
}

cudaError_t cudaSetDeviceFlags(unsigned flags)
{
    (void)flags;
    return leave(check_driver());
}

cudaError_t cudaDeviceReset(void)
{
    cudaError_t error = cudaDeviceSynchronize();
    streams_found();
    return error;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = number_of("GPU_EMULATOR_DRIVER", GPU_DRIVER);
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

/* ---- */

static const struct {
    const char *name, *text;
    cudaError_t error;
} errors[] = {
#define GPU_ERROR(name, number, text) {#name, text, name},
    GPU_ERRORS(GPU_ERROR)
#undef GPU_ERROR
};

const char *cudaGetErrorName(cudaError_t error)
{
    for (const auto &row : errors)
        if (row.error == error)
            return row.name;
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    for (const auto &row : errors)
        if (row.error == error)
            return row.text;
    return "unrecognized error code";
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t last = mine.last;
    mine.last = cudaSuccess;
    return last;
}

cudaError_t cudaPeekAtLastError(void)
{
    return mine.last;
}

cudaError_t cudaFuncSetAttribute(const void *function, enum cudaFuncAttribute attribute, int value)
{
    (void)function, (void)attribute;
    return leave((size_t)value <= runtime_shared_bytes() ? cudaSuccess : cudaErrorInvalidValue);
}

/* ---- */

cudaError_t cudaMalloc(void **memory, size_t size_bytes)
{
    cudaError_t error = check_driver();
    if (error != cudaSuccess)
        return leave(error);
    *memory = NULL;
    if (size_bytes == 0)
        return cudaSuccess;
    streams_lock();
    bool is_there = memory_alloc(size_bytes, memory);
    streams_unlock();
    return leave(is_there ? cudaSuccess : cudaErrorMemoryAllocation);
}

/* Waits for the whole device, as CUDA's does. */
cudaError_t cudaFree(void *memory)
{
    if (!memory)
        return cudaSuccess;
    streams_lock();
    streams_drain();
    if (!memory_free(memory))
        emulator_refuse("cudaFree of %p, where no allocation begins", memory);
    streams_unlock();
    return streams_lost();
}

cudaError_t cudaMallocHost(void **host, size_t size_bytes)
{
    cudaError_t error = check_driver();
    if (error != cudaSuccess)
        return leave(error);
    streams_lock();
    bool is_there = memory_pin(size_bytes, host);
    streams_unlock();
    return leave(is_there ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaHostAlloc(void **host, size_t size_bytes, unsigned flags)
{
    (void)flags;
    return cudaMallocHost(host, size_bytes);
}

cudaError_t cudaFreeHost(void *host)
{
    if (!host)
        return cudaSuccess;
    streams_lock();
    streams_drain();
    if (!memory_unpin(host))
        emulator_refuse("cudaFreeHost of %p, where no pinned memory begins", host);
    streams_unlock();
    return streams_lost();
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    cudaError_t error = check_driver();
    if (error != cudaSuccess)
        return leave(error);
    streams_lock();
    memory_info(free_bytes, total_bytes);
    streams_unlock();
    return streams_lost();
}
