/* One record into one image of a batch: decoded as far as needed, cut and resized, coloured,
 * normalised. A renderer is scratch memory of one thread; the result does not depend on it. */
#ifndef TRAINER_DATA_RENDER_H
#define TRAINER_DATA_RENDER_H

#include "trainer/data/augment.h"
#include "trainer/data/jpeg.h"
#include "trainer/data/record.h"

struct renderer {
    struct resampler resampler;
    struct jpeg_decoder *decoder;
    float scale[3], shift[3]; /* normalised = value * scale + shift */
};

/* All its memory is taken here: for any record of the dataset and up to R x R. */
void renderer_init(struct renderer *renderer, const struct dataset_info *info, int R);
void renderer_fini(struct renderer *renderer);

/* out: (R,R,C). ERR_DATA: the JPEG data are damaged. */
MUST_CHECK enum err render(struct renderer *renderer, const struct record *record,
                           const struct transform *transform, int R, float *out);

#endif
