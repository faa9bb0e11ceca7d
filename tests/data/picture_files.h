/* Files of the formats that we read by ourselves and do not write, made byte by byte for a test. */
#ifndef TESTS_DATA_PICTURE_FILES_H
#define TESTS_DATA_PICTURE_FILES_H

#include "trainer/data/image.h"
#include <stddef.h>
#include <stdint.h>

/* All return owned bytes. P5 or P6; `greatest` above 255: words of value << shift. */
uint8_t *make_pnm(const struct image *image, int greatest, int shift, size_t *size_bytes);

enum rows { BOTTOM_UP, TOP_DOWN };
/* depth 8: image of one channel, which are indices of a grey palette that runs from white to black
 * (so pixels are 255 - index), 24 and 32: of three. */
uint8_t *make_bmp(const struct image *image, int depth, enum rows rows, size_t *size_bytes);

/* A TIFF whose pixels of 8 bits are indices of a palette: colour i is (i, 255 - i, i ^ 85). */
uint8_t *make_palette_tiff(const struct image *indices, size_t *size_bytes);

void put_little(uint8_t *at, uint32_t value, int bytes);

#endif
