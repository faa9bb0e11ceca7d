/* The host's half of making a square out of a picture: the pixels that an area needs, cut out and
 * box averaged by a power of two where it shrinks by 2 or more. What is left, R to 2R pixels on the
 * shorter side, a device makes the square of (image_forward, kernels/device.h). Nothing outside the
 * given view is looked at, nothing but the box averages is rounded. A resampler is scratch memory
 * of one thread. */
#ifndef TRAINER_DATA_RESAMPLE_H
#define TRAINER_DATA_RESAMPLE_H

#include "kernels/device.h"

struct pixels {          /* borrowed u8 pixels, a window of a bigger image perhaps */
    const uint8_t *data; /* (H,W,C), rows row_bytes apart */
    size_t row_bytes;
    int H, W, C;
};

struct area { /* in pixels of the source, from its upper left corner; may cut pixels */
    double y, x, height, width;
};

/* By how much (1, 2, 4 or 8) the area can be averaged down and still give R x R by interpolation
 * without enlarging. */
int resample_shrink(const struct area *area, int R);

/* Where the pixels lie, averaged down by resample_shrink(), that R x R of the area are interpolated
 * from: H, W, top, left, y, x, step_y and step_x of the crop. */
void resample_place(const struct pixels *source, const struct area *area, int R,
                    struct image_crop *crop);

/* The most bytes that a crop takes when pictures are up to H x W x C: `ratio` bounds that of an
 * area's sides, 0: the whole picture may be asked for, whatever its shape. */
size_t resample_room(int H, int W, int C, int R, double ratio);

struct resampler {
    uint32_t *sums; /* of the columns of a row of boxes */
    int width;      /* elements of the widest row there is room for */
};

void resampler_init(struct resampler *resampler, int W, int C);
void resampler_fini(struct resampler *resampler);
/* Those pixels: crop->H x crop->W x C to `to`. */
void resample(struct resampler *resampler, const struct pixels *source, const struct area *area,
              int R, const struct image_crop *crop, uint8_t *to);

#endif
