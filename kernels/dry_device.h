/* A device for dry runs: it computes nothing and notes the shape of every operation that it is
 * asked for. Whoever runs a pass on it knows what the pass will call, without a second walk over
 * the layers. Its memory is no memory: addresses that nobody may look behind; of its arguments it
 * reads shapes alone. It has what a pass calls, and no more: nothing to wait for, no images to
 * make. */
#ifndef KERNELS_DRY_DEVICE_H
#define KERNELS_DRY_DEVICE_H

#include "kernels/workload.h"

/* `device` adds to `workload`, which is borrowed. There is nothing to close. */
void dry_device_init(struct device *device, size_t map_bytes, struct workload *workload);

#endif
