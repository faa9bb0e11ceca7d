/* One record into what a device makes an image of: decoded as far as needed, cut, averaged down,
 * and the numbers of the rest. A renderer is scratch memory of one thread; the result does not
 * depend on it. */
#ifndef TRAINER_DATA_RENDER_H
#define TRAINER_DATA_RENDER_H

#include "trainer/data/augment.h"
#include "trainer/data/jpeg.h"
#include "trainer/data/record.h"

struct renderer {
    struct resampler resampler;
    struct jpeg_decoder *decoder;
    struct pixels pixels; /* of the picture in hand, and what of it becomes the square of R */
    struct area area;
    int R;
};

/* All its memory is taken here: for any record of the dataset. */
void renderer_init(struct renderer *renderer, const struct dataset_info *info);
void renderer_fini(struct renderer *renderer);

/* Takes the picture in hand; borrows the record until render_pixels(). *crop: everything but where
 * its pixels lie (first). ERR_DATA: the JPEG data are damaged. */
MUST_CHECK enum err render_crop(struct renderer *renderer, const struct record *record,
                                const struct transform *transform, int R, struct image_crop *crop);
/* The crop's pixels, (H,W,C), to `to`. */
void render_pixels(struct renderer *renderer, const struct image_crop *crop, uint8_t *to);

#endif
