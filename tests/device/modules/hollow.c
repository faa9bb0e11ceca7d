/* A module that says it opened something. */
#include "kernels/device_module.h"

static enum err open_nothing(const struct device_cfg *cfg, struct device **device)
{
    (void)cfg;
    (void)device;
    return ERR_OK;
}

const struct device_module *glowworm_device_module(void)
{
    static const struct device_module module = {
        .abi = DEVICE_ABI, .name = "hollow", .open = open_nothing};
    return &module;
}
