/* Exchanges between the GPUs of a gang by NCCL, in stream order (kernels/device_comm.h). What goes
 * over the links is shards and words; sums are made by operations, in trainer/gang's order, so that
 * bits are those of every other exchange. NCCL's own sums are not used: they depend on the number
 * of ranks. */
#ifndef KERNELS_CUDA_NCCL_COMM_H
#define KERNELS_CUDA_NCCL_COMM_H

#include "kernels/device_module.h"

/* open_comm of the device's module. *comm stays NULL, and rank 0 logs why, where ranks share a card
 * or a library is missing. */
MUST_CHECK enum err cuda_open_comm(struct device *device, const struct device_gang *gang,
                                   struct device_comm **comm);

#endif
