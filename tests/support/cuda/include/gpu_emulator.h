/* What kernels are written in (kernels/cuda/gpu.cuh, ptx.cuh and CUDA's own words) for the GPU that
 * the host emulates: tests/support/cuda/emulator.h says how it does. Nothing here is for the host's
 * side of a program; see cuda_runtime_api.h. */
#ifndef TESTS_SUPPORT_CUDA_GPU_EMULATOR_H
#define TESTS_SUPPORT_CUDA_GPU_EMULATOR_H

#include "cuda_runtime_api.h"
#include "gpu_emulator/collectives.h"
#include "gpu_emulator/numbers.h"
#include "gpu_emulator/shared.h"
#include "gpu_emulator/thread.h"

#include "gpu_emulator/global.h"
#include "gpu_emulator/launch.h"
#include "gpu_emulator/ptx.h"

#endif
