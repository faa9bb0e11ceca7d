/* One image on its way from a source into a dataset: read, shrunk, told grey from colour, hashed
 * and laid out as a record. Done by many threads; nothing here depends on another image. */
#ifndef TRAINER_DATA_PREPARE_H
#define TRAINER_DATA_PREPARE_H

#include "trainer/data/jpeg.h"
#include "trainer/data/record.h"
#include "trainer/data/source.h"

struct import_plan { /* how images are stored; the same for a whole dataset */
    int channels;
    bool is_grey; /* colour is made grey: channels stay 1 */
    enum image_format format;
    int side, quality;
    uint64_t max_pixels;
    struct sample_format samples;
};

struct prepared { /* reused for image after image */
    struct image image;
    bool is_skipped;
    enum skip_kind kind;
    char reason[160];
    bool needs_colour, needs_jpeg; /* does not fit the plan: no record was made */
    uint8_t *record;               /* owned */
    size_t record_bytes, record_room;
    struct hash pixels;           /* of size and pixels, to find duplicates */
    uint64_t sums[3], squares[3]; /* per channel */
    enum err err;                 /* ends the import; its text is in reason */
};

void prepared_fini(struct prepared *prepared);

/* After source_read() with its fault: makes the rest of `prepared` from its image. `widens`: an
 * image that is bigger than raw records should be asks for JPEG. */
void prepare(const struct import_plan *plan, bool widens, const struct source *source,
             uint32_t index, struct jpeg_encoder *encoder, struct prepared *prepared);

#endif
