/* A picture as the camera's sensor would have seen it, for its image injection, and what the camera
 * makes of it before its network. Words of 16 bits, little-endian, row by row, each a sensor value
 * of 10 bits: an 8-bit value times 4. A grey picture is itself; of a colour picture each word holds
 * one colour of a Bayer mosaic, RGGB: red at even rows and columns, blue at odd ones, else green.
 *
 * Back: values are divided by 4, and a mosaic is made colour by trainer/data/demosaic.h. What the
 * camera really does there is not documented. Pure. */
#ifndef TRAINER_EXPORT_RAW_FRAME_H
#define TRAINER_EXPORT_RAW_FRAME_H

#include "base/err.h"
#include "trainer/data/image.h"

/* Of a picture of so many pixels, grey or in colour. */
size_t raw_frame_bytes(int H, int W);
/* image (H,W,C) of 8 bits, C 1 or 3 (red, green, blue), at least 2 x 2; bytes: raw_frame_bytes().
 */
void raw_frame_write(const struct image *image, uint8_t *bytes);
/* The other way round: image->H, W and C say what is wanted; its pixels grow as needed. ERR_DATA:
 * the frame is not of that size, or holds more than 10 bits. */
MUST_CHECK enum err raw_frame_read(const uint8_t *bytes, size_t size_bytes, struct image *image);

#endif
