/* PNG from pixels in memory, for pages and camera bundles. Any thread may call, after
 * image_file_start(). */
#ifndef TRAINER_DATA_IMAGE_PNG_H
#define TRAINER_DATA_IMAGE_PNG_H

#include "base/err.h"
#include "trainer/data/image.h"
#include <stddef.h>

/* *png: returns owned (mem_free). ERR_FAILED when libvips refuses. */
MUST_CHECK enum err image_png(const struct image *image, uint8_t **png, size_t *size_bytes);

#endif
