#include "kernels/cuda/host.h"
#include "kernels/cuda/nccl_comm.h"
#include "kernels/cuda/survey.h"

const struct device_module *glowworm_device_module(void)
{
    static const struct device_module module = {.abi = DEVICE_ABI,
                                                .name = CUDA_DEVICE_NAME,
                                                .open = cuda_open,
                                                .open_comm = cuda_open_comm,
                                                .survey = cuda_survey,
                                                .scratch_bytes = cuda_scratch_bytes,
                                                .cards = cuda_cards};
    return &module;
}
