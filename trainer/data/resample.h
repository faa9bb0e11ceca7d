/* From 8-bit pixels to a square of floats: box averaging by a power of two where the source shrinks
 * by 2 or more, then bilinear interpolation between pixel centres. Nothing outside the given view
 * is looked at. The result is a function of the arguments alone: each output value is computed by
 * the same operations whatever the machine. A resampler is scratch memory of one thread. */
#ifndef TRAINER_DATA_RESAMPLE_H
#define TRAINER_DATA_RESAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pixels {          /* borrowed u8 pixels, a window of a bigger image perhaps */
    const uint8_t *data; /* (H,W,C), rows row_bytes apart */
    size_t row_bytes;
    int H, W, C;
};

struct area { /* in pixels of the source, from its upper left corner; may cut pixels */
    double y, x, height, width;
};

struct resampler {
    float *row;       /* one source row between two, and a pixel more */
    int *near;        /* (R) element of the left neighbour */
    float *weight;    /* (R) of the right neighbour */
    uint8_t *reduced; /* box averages */
    uint32_t *sums;
    int H, W, C, R; /* the most there is room for */
};

/* Memory for sources of up to H x W x C and results of up to R x R. */
void resampler_init(struct resampler *resampler, int H, int W, int C, int R);
void resampler_fini(struct resampler *resampler);

/* By how much (1, 2, 4 or 8) the area can be averaged down and still give R x R by interpolation
 * without enlarging. */
int resample_shrink(const struct area *area, int R);

/* The area of the source as R x R floats of 0..255, mirrored left to right when asked. out:
 * (R,R,C). */
enum resample_side { RESAMPLE_AS_IS, RESAMPLE_MIRRORED };
void resample(struct resampler *resampler, const struct pixels *source, const struct area *area,
              enum resample_side side, int R, float *out);

#endif
