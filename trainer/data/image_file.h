/* Image files of the outside world: JPEG, PNG, TIFF, PNM and BMP, told by their content, never by
 * their name; and pixels without a header, where that is said. Loaders that libvips calls untrusted
 * are blocked. Any thread may call, after image_file_start(). */
#ifndef TRAINER_DATA_IMAGE_FILE_H
#define TRAINER_DATA_IMAGE_FILE_H

#include "base/err.h"
#include "trainer/data/image.h"
#include "trainer/data/sample_format.h"

/* Starts libvips once for the process; later calls do nothing. ERR_UNAVAILABLE. */
MUST_CHECK enum err image_file_start(void);
/* A thread that read images and is about to end gives back what libvips keeps for it. */
void image_file_end_thread(void);

enum image_fault { /* why a file is not an image we take */
                   IMAGE_FAULT_NONE,
                   IMAGE_FAULT_UNREADABLE, /* cannot be opened, or damaged, or cut short */
                   IMAGE_FAULT_EMPTY,      /* no bytes, or a side of zero pixels */
                   IMAGE_FAULT_OVERSIZED,
                   IMAGE_FAULT_WRONG_TYPE /* no regular file, or of no kind that is read */
};

struct image_limits {
    uint64_t pixels; /* checked from the header, before decoding */
    int side;        /* short side of the result; never enlarged; 0: as it is */
    struct sample_format samples;
};
#define IMAGE_MAX_PIXELS ((uint64_t)100000000)
#define IMAGE_MAX_SIDE   65500 /* JPEG's; records count in 16 bits */

/* Reads one file (of a TIFF its first page) upright (EXIF rotation applied), 8 bits: C is 1 for a
 * grey file, otherwise 3 (sRGB; transparency over white). Of samples of 16 bits the
 * limits->samples.bits low ones count, or fewer where a PNM file says so: value >> (bits - 8), and
 * 255 for what is greater. A mosaic is made colour before that. image->label is untouched. On
 * ERR_DATA *fault (may be NULL) says which kind and the text is a reason without the path; no other
 * error is returned. */
MUST_CHECK enum err image_file_read(const char *path, const struct image_limits *limits,
                                    struct image *image, enum image_fault *fault);

/* Shrinks pixels already in memory to a short side, in place; images no bigger stay as they are. */
MUST_CHECK enum err image_shrink(struct image *image, int side);

#endif
