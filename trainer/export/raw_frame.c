#include "trainer/export/raw_frame.h"
#include "base/mem.h"
#include "trainer/data/demosaic.h"
#include <string.h>

enum { SENSOR_STEP = 4, SENSOR_LARGEST = 1023 }; /* of an 8-bit value; of 10 bits */

size_t raw_frame_bytes(int H, int W)
{
    return 2 * (size_t)H * (size_t)W;
}

/* Of a mosaic: 0 red, 1 green, 2 blue. */
static int colour_at(int y, int x)
{
    return (y & 1) + (x & 1);
}

void raw_frame_write(const struct image *image, uint8_t *bytes)
{
    for (int y = 0; y < image->H; y++)
        for (int x = 0; x < image->W; x++) {
            const uint8_t *pixel = image->pixels + (y * image->W + x) * image->C;
            int value = SENSOR_STEP * pixel[image->C == 3 ? colour_at(y, x) : 0];
            *bytes++ = (uint8_t)(value & 0xff);
            *bytes++ = (uint8_t)(value >> 8);
        }
}

static enum err read_words(const uint8_t *bytes, size_t count, uint8_t *values)
{
    for (size_t i = 0; i < count; i++) {
        int word = bytes[2 * i] | bytes[2 * i + 1] << 8;
        if (word > SENSOR_LARGEST)
            return err_set(ERR_DATA, "word %zu of a raw frame is %d, more than 10 bits", i, word);
        values[i] = (uint8_t)(word / SENSOR_STEP);
    }
    return ERR_OK;
}

enum err raw_frame_read(const uint8_t *bytes, size_t size_bytes, struct image *image)
{
    enum err err = ERR_OK;
    uint8_t *values = NULL;
    if (image->H < 2 || image->W < 2 || size_bytes != raw_frame_bytes(image->H, image->W))
        TRY(err_set(ERR_DATA, "a raw frame of %zu bytes is none of %d x %d words", size_bytes,
                    image->H, image->W));
    size_t count = size_bytes / 2;
    values = mem_array(count, 1);
    TRY(read_words(bytes, count, values));
    image_reserve(image, count * (size_t)image->C);
    if (image->C == 3)
        demosaic_u8(values, image->H, image->W, BAYER_RG, image->pixels);
    else
        memcpy(image->pixels, values, count);
out:
    mem_free(values);
    return err;
}
