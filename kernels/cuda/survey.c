/* What "glowworm doctor" says of this machine's GPUs and of NCCL. */
#include "kernels/cuda/survey.h"
#include "kernels/cuda/host.h"
#include "kernels/cuda/nccl_gang.h"
#include "kernels/cuda/nccl_library.h"
#include <stdio.h>

static void say_driver(device_found_fn *found, void *own)
{
    char text[128];
    int version = 0;
    if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0)
        return;
    snprintf(text, sizeof text, "the driver has CUDA %d.%d, this module was built with %d.%d",
             version / 1000, version % 1000 / 10, CUDART_VERSION / 1000,
             CUDART_VERSION % 1000 / 10);
    found(own, false, text);
}

static void say_card(int ordinal, device_found_fn *found, void *own)
{
    struct cudaDeviceProp card;
    char bus[32] = "", text[400];
    if (cudaGetDeviceProperties(&card, ordinal) != cudaSuccess ||
        cudaDeviceGetPCIBusId(bus, sizeof bus, ordinal) != cudaSuccess)
        return;
    snprintf(text, sizeof text, "GPU %d: %s, sm_%d%d, %.1f GB, at %s", ordinal, card.name,
             card.major, card.minor, (double)card.totalGlobalMem / 1e9, bus);
    found(own, false, text);
}

static void say_nccl(device_found_fn *found, void *own)
{
    struct nccl_library nccl;
    char version[32], text[64 + 400];
    bool is_there = nccl_library_load(&nccl) == ERR_OK;
    if (is_there) {
        nccl_version_text(nccl.version, version, sizeof version);
        snprintf(text, sizeof text, "NCCL %s", version);
    } else {
        snprintf(text, sizeof text, "ranks would exchange through the host, not by NCCL: %s",
                 err_text());
    }
    found(own, !is_there, text);
}

void cuda_survey(device_found_fn *found, void *own)
{
    int count = 0;
    say_driver(found, own);
    if (cudaGetDeviceCount(&count) != cudaSuccess)
        count = 0; /* cuda_open() says why */
    (void)cudaGetLastError();
    for (int ordinal = 0; ordinal < count; ordinal++)
        say_card(ordinal, found, own);
    say_nccl(found, own);
}
