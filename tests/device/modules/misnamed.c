/* A module under the name of another. */
#include "kernels/device_module.h"

static enum err misnamed_open(const struct device_cfg *cfg, struct device **device)
{
    (void)device;
    BUG("the module of another device was asked for \"%s\"", cfg->name);
}

const struct device_module *glowworm_device_module(void)
{
    static const struct device_module module = {
        .abi = DEVICE_ABI, .name = "someone", .open = misnamed_open};
    return &module;
}
