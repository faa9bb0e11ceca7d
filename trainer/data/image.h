/* One image in memory, and the forms it is stored in. Plain data. */
#ifndef TRAINER_DATA_IMAGE_H
#define TRAINER_DATA_IMAGE_H

#include <stddef.h>
#include <stdint.h>

enum image_format { IMAGE_RAW, IMAGE_JPEG }; /* raw: u8 (H,W,C) */

struct image {
    int H, W, C;
    int32_t label;
    uint8_t *pixels; /* (H,W,C); owned by the caller's buffer below */
    size_t room;
    int word_bits; /* as read from a file of 16 bits of which nobody said how many count: those of
                    * its greatest value, at least 8; otherwise 0 */
};

/* Room for size_bytes in image->pixels; the old contents are lost. */
void image_reserve(struct image *image, size_t size_bytes);

/* Grey of a colour: the luma weights of BT.601. */
static inline uint8_t image_luma(const uint8_t *rgb)
{
    return (uint8_t)(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] + 0.5);
}

#endif
