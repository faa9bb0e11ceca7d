/* What image_forward (kernels/device.h) does to one image, on host memory: the CPU device's
 * arithmetic, and that of the host's own callers, who have a picture and no device. Pure; any
 * thread may call. */
#ifndef KERNELS_IMAGE_H
#define KERNELS_IMAGE_H

#include "kernels/device.h"

/* Bytes that image_make() works in, for pixels of up to `width` across. */
size_t image_scratch_bytes(int width, int R, int C);

/* out (R,R,C): the crop of `pixels` (H,W,C), crop->first not looked at. scale and shift (C), NULL:
 * values of 0..255 stay as they are. */
void image_make(const struct image_crop *crop, const uint8_t *pixels, int R, int C,
                const float *scale, const float *shift, void *scratch, float *out);

#endif
