/* From a run's final weights to a camera bundle: calibrates a sub-network, folds it, writes and
 * checks the bundle. Needs no gang. */
#ifndef TRAINER_COMPILE_H
#define TRAINER_COMPILE_H

#include "trainer/workbench.h"

#define COMPILE_SAMPLES 32 /* hold-out images with expected outputs in a bundle */
/* Of the bench, whatever the campaign trains in: a bundle's numbers are fp32. */
#define COMPILE_PRECISION "fp32"

struct compile_request { /* borrowed */
    const char *name;    /* the bundle's */
    const char *folder;  /* where it is made */
    const struct camera_device *device;
    const struct subnet *subnet;
    double budget_ms; /* of an inference, for who measures it; 0: none */
};

/* What training ended with is loaded into bench->net. ERR_CONFIG when the sub-network was never
 * trained or the device cannot run it; ERR_NOT_FOUND when training is not done. */
MUST_CHECK enum err compile_subnet(struct workbench *bench, const struct compile_request *request);

#endif
