/* What happens to an image on its way into a batch, as plain numbers: the draws of the training
 * transform and the geometry of the evaluation transform. Pure; any thread may call.
 *
 * Training follows the reference's transform (OFA reference code, data providers): random resized
 * crop, flip, colour jitter. Every draw is rng(seed, stream, epoch, record, draw). */
#ifndef TRAINER_DATA_AUGMENT_H
#define TRAINER_DATA_AUGMENT_H

#include "trainer/data/resample.h"
#include <stdbool.h>
#include <stdint.h>

struct augment_cfg { /* OFA's: random resized crop 0.08..1, ratio 3/4..4/3, flip 0.5, brightness
                        32/255, saturation 0.5 */
    double crop_min; /* least area of a random resized crop; 1: no crop (resized whole) */
    bool has_flip;
    bool has_colour; /* brightness and saturation jitter in random order */
    double brightness, saturation;
};

struct transform {
    struct area area; /* of the stored image, becomes R x R */
    bool is_crop;     /* the area is whole pixels and nothing outside it is looked at */
    bool is_mirrored;
    bool has_colour;
    bool saturation_first;
    float brightness, saturation; /* factors; 1: unchanged */
};

#define AUGMENT_RATIO (4.0 / 3.0) /* of a random crop's sides, whole pixels aside */

/* Draws for one image of H x W in one epoch. */
struct transform augment_draw(const struct augment_cfg *cfg, uint64_t seed, uint64_t epoch,
                              uint32_t record, int H, int W);

/* The evaluation transform: short side to ceil(R / 0.875), centre R x R; an image no bigger than R
 * is resized whole. */
struct transform augment_evaluate(int H, int W, int R);

#endif
