/* `glowworm check` at work, in order: the files, the images, the formats, the arithmetics, the
 * verdict. One thread calls; several run the images. */
#ifndef CLUSTER_CHECK_CHECK_RUN_H
#define CLUSTER_CHECK_CHECK_RUN_H

#include "cluster/check/check.h"

/* The first half: the bundle read, its files and their hashes, the networks, the device, the
 * images; nothing is run yet. Errors and fini as below. */
MUST_CHECK enum err bundle_check_open(const struct bundle_check_cfg *cfg,
                                      struct bundle_check *check);
/* All of it. ERR_DATA, ERR_NOT_FOUND: a file of the bundle, named, that is not as it was
 * compiled. A bundle that is sound and does not pass is no error: see failures. The caller calls
 * bundle_check_fini() whatever happens. */
MUST_CHECK enum err bundle_check_run(const struct bundle_check_cfg *cfg,
                                     struct bundle_check *check);

#endif
