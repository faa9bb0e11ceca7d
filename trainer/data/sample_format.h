/* What the files of a camera do not say of their samples: the one who imports them does. All zero:
 * nothing was said. Plain data. */
#ifndef TRAINER_DATA_SAMPLE_FORMAT_H
#define TRAINER_DATA_SAMPLE_FORMAT_H

#include "trainer/data/demosaic.h"

#define SAMPLE_BITS 16 /* of a word: what counts where nothing was said */

struct sample_format {
    int bits;                  /* 8..16: of a sample of 16 bits so many of the low ones count; 0 */
    enum bayer bayer;          /* pictures of one channel are such a mosaic */
    int raw_width, raw_height; /* files are pixels of this size without a header; 0 */
};

#endif
