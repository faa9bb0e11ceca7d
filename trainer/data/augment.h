/* What happens to an image on its way into a batch, as plain numbers: the draws of the training
 * transform and the evaluation transform. Both look at the same frame of the picture, that of the
 * campaign's geometry. Pure; any thread may call.
 *
 * Training follows the reference's transform (OFA reference code, data providers): random resized
 * crop, flip, colour jitter. Every draw is rng(seed, stream, epoch, record, draw). */
#ifndef TRAINER_DATA_AUGMENT_H
#define TRAINER_DATA_AUGMENT_H

#include "trainer/data/resample.h"
#include "trainer/spec/geometry.h"
#include <stdbool.h>
#include <stdint.h>

struct augment_cfg { /* OFA's: random resized crop 0.08..1, ratio 3/4..4/3, flip 0.5, brightness
                        32/255, saturation 0.5 */
    enum geometry geometry;
    double crop_min; /* least area of a random resized crop; 1: no crop (the whole frame) */
    bool has_flip;
    bool has_colour; /* brightness and saturation jitter in random order */
    double brightness, saturation;
};

struct transform {
    struct area area; /* of the stored image, becomes R x R: whole pixels, and nothing outside it is
                         looked at; parts of it may lie beside the image (GEOMETRY_PAD) */
    bool is_mirrored;
    bool has_colour;
    bool saturation_first;
    float brightness, saturation; /* factors; 1: unchanged */
};

/* Draws for one image of H x W in one epoch. */
struct transform augment_draw(const struct augment_cfg *cfg, uint64_t seed, uint64_t epoch,
                              uint32_t record, int H, int W);

/* The evaluation transform: the whole frame. */
struct transform augment_evaluate(enum geometry geometry, int H, int W);

/* What bounds the ratio of an area's sides, whole pixels aside, whatever a picture's shape: 1 where
 * it is a square; 0: nothing does. cfg NULL: in evaluation. */
double augment_ratio(enum geometry geometry, const struct augment_cfg *cfg);

#endif
