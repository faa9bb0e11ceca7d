/* What can be measured of a picture without knowing what is on it, and which pictures look alike.
 * Pure; any thread may call. */
#ifndef TRAINER_DATA_IMAGE_QUALITY_H
#define TRAINER_DATA_IMAGE_QUALITY_H

#include "trainer/data/image.h"
#include <stdbool.h>

#define LOOK_CELLS 16 /* of a side */

/* How a picture looks from afar, whatever its light and size. */
struct image_look {
    uint64_t across, down; /* difference hashes: is a cell darker than the next, of 8 x 8 */
    int8_t cells[LOOK_CELLS * LOOK_CELLS]; /* means of cells, in 32nds of their deviation */
};

struct image_quality { /* of the luma (image_luma()), 0..255 */
    double sharpness;  /* variance of the Laplacian (4 neighbours); 0 with a side below 3 */
    double deviation;  /* of all pixels */
    double white;      /* share of pixels of 250 and more */
    struct image_look look;
};
void image_quality_of(const struct image *image, struct image_quality *quality);

/* Two look alike where each hash differs in so many of its 64 bits at most, and the cells correlate
 * so well. */
#define ALIKE_BITS        3
#define ALIKE_CORRELATION 0.99
bool image_looks_alike(const struct image_look *one, const struct image_look *other);

/* Groups of pictures that look alike, each like some other of its group: group[i] is the first one
 * of picture i's, i itself where nothing looks like it. Those that are `left_out` are like none. */
void alike_groups(const struct image_look *looks, const bool *left_out, uint32_t count,
                  uint32_t *group);

#endif
