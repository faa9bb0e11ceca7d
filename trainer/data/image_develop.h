/* What one file's samples go through to be a picture as it is stored: a mosaic becomes colour,
 * words become bytes, the picture is turned upright, made grey or RGB, and shrunk. Between
 * image_file.c and libvips; any thread may call, one thread an image. */
#ifndef TRAINER_DATA_IMAGE_DEVELOP_H
#define TRAINER_DATA_IMAGE_DEVELOP_H

#include "trainer/data/image.h"
#include "trainer/data/sample_format.h"
#include <vips/vips.h>

/* An image of samples in memory, (H,W,C), C 1 or 3, u8 or u16 (wide). Takes the samples (mem_free);
 * returns owned. */
VipsImage *image_of_samples(void *samples, int H, int W, int C, bool is_wide);

/* The next step of a pipeline: *image is taken and replaced by what was made of it in *next, if
 * `status`, libvips', says it was. */
bool image_step(VipsImage **image, int status, VipsImage **next);

bool image_is_mosaic(const VipsImage *image, enum bayer bayer);

struct develop_cfg {
    enum bayer bayer; /* of an image of one channel; BAYER_NONE: it is none */
    int bits;         /* of a word: so many low ones count */
    int side;         /* short side; 0: as it is */
    bool is_unsaid;   /* nobody said how many bits of a word count: image->word_bits */
};
/* All the steps, in the order above; *opened is replaced as they go. False: the pixels are damaged.
 */
bool image_develop(VipsImage **opened, const struct develop_cfg *cfg, struct image *image);

/* The last two: short side to `side` where it is longer, the other keeps the ratio, to the nearest
 * pixel; the pixels, of 8 bits, copied out. False as above. */
bool image_shrink_to(VipsImage **image, int side);
bool image_take_pixels(VipsImage *from, struct image *image);

#endif
