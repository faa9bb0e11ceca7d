/* Device memory as the trainer uses it: arrays of floats, and whether host and device are the same
 * memory (then nothing is copied). The thread that calls the device. */
#ifndef TRAINER_MEMORY_H
#define TRAINER_MEMORY_H

#include "kernels/device.h"

/* Host pointers are device pointers. */
bool memory_is_shared(const struct device *device);

/* `count` zeroed items of `item_bytes`, returns owned (memory_free). ERR_MEMORY. */
MUST_CHECK enum err memory_array(struct device *device, size_t count, size_t item_bytes,
                                 void **memory);
void memory_free(struct device *device, void *memory); /* accepts NULL */

#endif
