/* Image files of the outside world: JPEG and PNG, told by their content, never by their name. The
 * only includer of vips.h; loaders that libvips calls untrusted are blocked. Any thread may call,
 * after image_file_start(). */
#ifndef TRAINER_DATA_IMAGE_FILE_H
#define TRAINER_DATA_IMAGE_FILE_H

#include "base/err.h"
#include "trainer/data/image.h"

/* Starts libvips once for the process; later calls do nothing. ERR_UNAVAILABLE. */
MUST_CHECK enum err image_file_start(void);
/* A thread that read images and is about to end gives back what libvips keeps for it. */
void image_file_end_thread(void);

enum image_fault { /* why a file is not an image we take */
                   IMAGE_FAULT_NONE,
                   IMAGE_FAULT_UNREADABLE, /* cannot be opened, or damaged, or cut short */
                   IMAGE_FAULT_EMPTY,      /* no bytes, or a side of zero pixels */
                   IMAGE_FAULT_OVERSIZED,
                   IMAGE_FAULT_WRONG_TYPE /* no regular file, or neither JPEG nor PNG */
};

struct image_limits {
    uint64_t pixels; /* checked from the header, before decoding */
    int side;        /* short side of the result; never enlarged; 0: as it is */
};
#define IMAGE_MAX_PIXELS ((uint64_t)100000000)

/* Reads one file upright (EXIF rotation applied), 8 bits: C is 1 for a grey file, otherwise 3
 * (sRGB; transparency over white). image->label is untouched. On ERR_DATA *fault (may be NULL) says
 * which kind and the text is a reason without the path; no other error is returned. */
MUST_CHECK enum err image_file_read(const char *path, const struct image_limits *limits,
                                    struct image *image, enum image_fault *fault);

/* Shrinks pixels already in memory to a short side, in place; images no bigger stay as they are. */
MUST_CHECK enum err image_shrink(struct image *image, int side);

/* Room for size_bytes in image->pixels; the old contents are lost. */
void image_reserve(struct image *image, size_t size_bytes);

#endif
