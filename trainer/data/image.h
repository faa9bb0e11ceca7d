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
};

#endif
