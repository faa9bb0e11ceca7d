/* What a stage calls on its device: the passes of its sub-networks at every batch size that it
 * meets, and what stands around them. The plan counts scratch by it (trainer/footprint.h), the
 * workbench prepares the device with it. Pure. */
#ifndef TRAINER_STAGE_WORKLOAD_H
#define TRAINER_STAGE_WORKLOAD_H

#include "kernels/workload.h"
#include "trainer/spec/campaign.h"
#include "trainer/supernet/supernet.h"

struct stage_workload {         /* all borrowed */
    const struct supernet *net; /* may be described only */
    const struct campaign *campaign;
    const struct phase *phase;   /* a training stage's row; NULL: it calibrates and evaluates */
    const struct subnet *subnet; /* the only one, its resolution set; NULL: any of the space */
    uint32_t train_images, holdout_images, test_images;
    int image_side; /* the longest of a stored image, pixels */
};

/* Adds to the workload. ERR_CONFIG: subnet is not of the space. */
MUST_CHECK enum err stage_workload_add(const struct stage_workload *stage,
                                       struct workload *workload);

#endif
