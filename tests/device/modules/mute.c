/* A shared object that is no module: it has no glowworm_device_module(). */
#include "kernels/device_module.h"

DEVICE_MODULE_EXPORT int mute(void);

int mute(void)
{
    return 0;
}
