/* A bundle: the folder that goes to a camera. The network in every format its converter takes,
 * labels, the camera's settings, hold-out images with the outputs they must give, and a list of it
 * all with hashes. Written aside (<folder>.compiling) and renamed: there is a whole bundle or none,
 * and the old one stays until the new one takes its place (base/folder.h). The ONNX file is read
 * back and held to the supernet's own outputs; the other formats come from the same folded network.
 */
#ifndef TRAINER_EXPORT_BUNDLE_H
#define TRAINER_EXPORT_BUNDLE_H

#include "trainer/export/bundle_cfg.h"
#include "trainer/export/fold.h"

#define BUNDLE_TOLERANCE 1e-4 /* of the largest logit */

extern const char *const bundle_expected_names[BUNDLE_EXPECTED]; /* "fp32", "fp16/fp32" */

/* image (R,R,C) of 8 bits, RGB, as the network sees it: (pixel - mean) / deviation per channel;
 * with is_bgr the channels in that order. */
void bundle_normalise(const struct dataset_info *dataset, const struct image *image, bool is_bgr,
                      float *values);

/* Any image as the network takes it: grey or colour made to fit, evaluation transform, 8 bits. `to`
 * grows as needed. */
void bundle_fit_image(const struct image *from, int side, int channels, enum geometry geometry,
                      struct image *to);

/* How a network is folded for a device: see there. */
struct fold_cfg bundle_fold(const struct camera_device *device, const struct space *space);

/* A format that cannot hold this network is left out and its reason listed in bundle.json. A bundle
 * in cfg->folder is replaced, and what came into it later kept (bundle_keep.h); ERR_CONFIG, and
 * nothing touched, when something else is there. ERR_FAILED when what was written answers
 * differently from the supernet; ERR_AGAIN: another runner has taken the run over; ERR_IO,
 * ERR_FULL. */
MUST_CHECK enum err bundle_write(const struct bundle_cfg *cfg);

#endif
