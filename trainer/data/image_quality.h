/* What can be measured of a picture without knowing what is on it, and which pictures look alike.
 * Pure; any thread may call. */
#ifndef TRAINER_DATA_IMAGE_QUALITY_H
#define TRAINER_DATA_IMAGE_QUALITY_H

#include "trainer/data/image.h"
#include <stdbool.h>

struct image_quality { /* of the luma (image_luma()), 0..255 */
    double sharpness;  /* variance of the Laplacian (4 neighbours); 0 with a side below 3 */
    double deviation;  /* of all pixels */
    double white;      /* share of pixels of 250 and more */
    uint64_t hash;     /* difference hash: 8 rows of 9 cells, is a cell darker than the next? */
};
struct image_quality image_quality_of(const struct image *image);

#define ALIKE_BITS 3 /* of 64 at most in which the hashes of pictures that look alike differ */

/* Groups of pictures that look alike, each like some other of its group: group[i] is the first one
 * of picture i's, i itself where nothing looks like it. Those that are `left_out` are like none. */
void alike_groups(const uint64_t *hashes, const bool *left_out, uint32_t count, uint32_t *group);

#endif
