/* Colour from a Bayer mosaic, where every pixel has seen one of red, green and blue: what it has
 * not seen is the mean of its nearest neighbours that have (bilinear interpolation). Pure; any
 * thread may call.
 *
 * A neighbour beyond the border is the one mirrored at the border's pixel (-1 is 1, H is H - 2), so
 * that colours stay on their sites. Where a side is one pixel long there is none, and the pixel of
 * the same row or column stands in for it. */
#ifndef TRAINER_DATA_DEMOSAIC_H
#define TRAINER_DATA_DEMOSAIC_H

#include <stdbool.h>
#include <stdint.h>

enum bayer { /* the colours of the first row's first two pixels, as PixelFormat names have them */
             BAYER_NONE,
             BAYER_RG,
             BAYER_GR,
             BAYER_GB,
             BAYER_BG
};
const char *bayer_name(enum bayer bayer); /* "RG"; "none" */
/* False: it is no name of a mosaic; *bayer is as it was. */
bool bayer_named(const char *name, enum bayer *bayer);

/* mosaic (H,W), rgb (H,W,3); H and W at least 1, not BAYER_NONE. A mean of two or four is rounded
 * to the nearest, halves up; samples that are all the same come out as they are. */
void demosaic_u8(const uint8_t *mosaic, int H, int W, enum bayer bayer, uint8_t *rgb);
void demosaic_u16(const uint16_t *mosaic, int H, int W, enum bayer bayer, uint16_t *rgb);

#endif
