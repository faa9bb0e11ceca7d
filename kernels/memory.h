/* Device memory as the trainer uses it: arrays, and maps made of floats of the host. The thread
 * that calls the device. */
#ifndef KERNELS_MEMORY_H
#define KERNELS_MEMORY_H

#include "kernels/device.h"

/* `count` zeroed items of `item_bytes`, returns owned (memory_free). ERR_MEMORY. */
MUST_CHECK enum err memory_array(struct device *device, size_t count, size_t item_bytes,
                                 void **memory);
/* `count` floats of the host as a map, returns owned (memory_free). ERR_MEMORY. */
MUST_CHECK enum err memory_map(struct device *device, const float *host, size_t count, void **map);
void memory_free(struct device *device, void *memory); /* accepts NULL */

#endif
