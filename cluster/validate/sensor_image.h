/* An image as the sensor would give it, for injection: words of 16 bits, little-endian, of which 10
 * are used; one a pixel, of a colour image a mosaic. Pure. */
#ifndef CLUSTER_VALIDATE_SENSOR_IMAGE_H
#define CLUSTER_VALIDATE_SENSOR_IMAGE_H

#include "base/err.h"
#include "trainer/data/image_file.h"
#include <stddef.h>
#include <stdint.h>

enum { SENSOR_IMAGE_WORD = 2 }; /* bytes a pixel */

size_t sensor_image_bytes(const struct image *image);
void sensor_image_write(const struct image *image, uint8_t *raw);
/* What the network sees of it, in place: of a colour image what is left behind mosaic and
 * demosaic. ERR_CONFIG: of a colour image, as long as that is not known. */
MUST_CHECK enum err sensor_image_seen(struct image *image);

#endif
