/* What this machine has for the device: `survey` of its module (kernels/device_module.h). */
#ifndef KERNELS_CUDA_SURVEY_H
#define KERNELS_CUDA_SURVEY_H

#include "kernels/device_module.h"

void cuda_survey(device_found_fn *found, void *own);

#endif
