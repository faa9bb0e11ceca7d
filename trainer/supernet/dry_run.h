/* What passes of a supernet call on a device, before there are any: a pass is run on a device that
 * notes shapes and computes nothing (kernels/dry_device.h), so that there is no second walk over
 * the layers to keep in step. For a device's `prepare`. Pure: allocates no tensor, opens no device.
 */
#ifndef TRAINER_SUPERNET_DRY_RUN_H
#define TRAINER_SUPERNET_DRY_RUN_H

#include "kernels/workload.h"
#include "trainer/supernet/supernet.h"

/* Adds what one forward of N images calls, and with PASS_TRAIN the dropout and the backward behind
 * it. subnet->resolution is set. net may be described only. ERR_CONFIG: not a sub-network of the
 * space. */
MUST_CHECK enum err dry_run_subnet(const struct supernet *net, const struct subnet *subnet, int N,
                                   enum pass_mode mode, struct workload *workload);
/* The same for every sub-network at every resolution of the space: a layer's shape depends on its
 * own block's choices and on the resolution alone, so that the uniform ones at full depth have them
 * all. */
void dry_run_space(const struct supernet *net, int N, enum pass_mode mode,
                   struct workload *workload);

#endif
