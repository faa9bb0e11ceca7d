/* JPEG records: writing them at import, and reading a part of one, scaled down by the DCT, in the
 * loader. The only includer of jpeglib.h. For records we wrote ourselves; the outside world's files
 * go through image_file.h. A decoder belongs to one thread. */
#ifndef TRAINER_DATA_JPEG_H
#define TRAINER_DATA_JPEG_H

#include "base/err.h"
#include "trainer/data/resample.h"

struct jpeg_encoder;
struct jpeg_encoder *jpeg_encoder_create(void); /* returns owned */
void jpeg_encoder_destroy(struct jpeg_encoder **encoder);
/* quality 1..100. *bytes: borrowed until the next call. ERR_DATA: sides above 65500. */
MUST_CHECK enum err jpeg_encode(struct jpeg_encoder *encoder, const struct pixels *pixels,
                                int quality, const uint8_t **bytes, size_t *size_bytes);

struct jpeg_decoder;
/* For pictures of up to H x W x C: what is bigger is refused. Returns owned. */
struct jpeg_decoder *jpeg_decoder_create(int H, int W, int C);
void jpeg_decoder_destroy(struct jpeg_decoder **decoder);

struct jpeg_request {
    const uint8_t *bytes; /* borrowed */
    size_t size_bytes;
    int H, W, C; /* what the record says; a picture of another size is ERR_DATA */
    int shrink;  /* 1, 2, 4 or 8 */
    struct area
        area; /* in full-size pixels: what is needed; what lies beside the picture is left out */
};
/* The part of the picture that holds the area. *pixels: borrowed until the decoder's next call;
 * *area: the same area in those pixels. ERR_DATA for anything that is not a sound picture, however
 * slightly damaged. Only a sound prefix is promised where the area ends above the bottom. */
MUST_CHECK enum err jpeg_decode(struct jpeg_decoder *decoder, const struct jpeg_request *request,
                                struct pixels *pixels, struct area *area);

#endif
