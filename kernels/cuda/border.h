/* The border's headers for both languages of this folder: what they declare is C. */
#ifndef KERNELS_CUDA_BORDER_H
#define KERNELS_CUDA_BORDER_H

#ifdef __cplusplus
extern "C" {
#endif

#include "kernels/device_module.h"
#include "kernels/workload.h"

#ifdef __cplusplus
}
#endif
#endif
