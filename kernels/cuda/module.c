#include "kernels/cuda/host.h"

const struct device_module *glowworm_device_module(void)
{
    static const struct device_module module = {
        .abi = DEVICE_ABI, .name = CUDA_DEVICE_NAME, .open = cuda_open};
    return &module;
}
