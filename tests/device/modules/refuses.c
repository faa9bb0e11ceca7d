/* A module without its hardware. */
#include "kernels/device_module.h"

static enum err refuse(const struct device_cfg *cfg, struct device **device)
{
    (void)device;
    return err_set(ERR_UNAVAILABLE, "no board for %d threads; plug one in", cfg->threads);
}

const struct device_module *glowworm_device_module(void)
{
    static const struct device_module module = {
        .abi = DEVICE_ABI, .name = "refuses", .open = refuse};
    return &module;
}
