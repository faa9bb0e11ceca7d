/* The raw frames of a bundle: what the camera is to answer to each, as samples.json says, held
 * against what its files answer. The folder may be anybody's. */
#ifndef CLUSTER_CHECK_CHECK_FRAMES_H
#define CLUSTER_CHECK_CHECK_FRAMES_H

#include "cluster/check/check.h"

/* Fills frames and frame_difference, and adds a failure where they differ. A bundle without frames
 * is none the worse. ERR_DATA, ERR_NOT_FOUND: a frame or its row that is not sound, named. */
MUST_CHECK enum err check_frames(struct bundle_check *check);

#endif
