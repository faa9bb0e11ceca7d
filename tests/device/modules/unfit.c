/* A module that needs what nobody has: a library that is not installed, or a program that offers
 * less. */
#include "kernels/device_module.h"

enum err nobody_has_this(const struct device_cfg *cfg, struct device **device);

const struct device_module *glowworm_device_module(void)
{
    static const struct device_module module = {
        .abi = DEVICE_ABI, .name = "unfit", .open = nobody_has_this};
    return &module;
}
