/* CUDA's words for kernels, as the emulated GPU has them; the calls are in cuda_runtime_api.h. */
#ifndef TESTS_SUPPORT_CUDA_RUNTIME_H
#define TESTS_SUPPORT_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#ifdef __cplusplus
#include "gpu_emulator.h"
#endif

#endif
