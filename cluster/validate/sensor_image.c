#include "cluster/validate/sensor_image.h"

enum { SPARE_BITS = 2 }; /* 8 bits become 10 */

size_t sensor_image_bytes(const struct image *image)
{
    return (size_t)image->H * (size_t)image->W * SENSOR_IMAGE_WORD;
}

void sensor_image_write(const struct image *image, uint8_t *raw)
{
    size_t pixels = (size_t)image->H * (size_t)image->W;
    for (size_t i = 0; i < pixels; i++) {
        unsigned word = (unsigned)image->pixels[i] << SPARE_BITS;
        raw[2 * i] = (uint8_t)(word & 0xff);
        raw[2 * i + 1] = (uint8_t)(word >> 8);
    }
}

enum err sensor_image_seen(struct image *image)
{
    return image->C == 1 ? ERR_OK
                         : err_set(ERR_CONFIG, "networks of colour images cannot be validated: "
                                               "what a mosaic makes of their samples is not worked "
                                               "out");
}
