/* The simulated camera as Aravis shows it to applications: a program that is started and ended, a
 * camera that is opened, and short words for what one does with it. Whatever fails fails the test.
 */
#ifndef TESTS_CAMERA_SIM_SEEN_CAMERA_H
#define TESTS_CAMERA_SIM_SEEN_CAMERA_H

#include "tests/integration/program.h"
#include <arv.h>
#include <stdint.h>

struct seen_camera {
    struct program program;
    char address[16], output[64], log[64];
    ArvCamera *camera; /* NULL: not opened */
    ArvDevice *device; /* borrowed from it */
    ArvStream *stream;
    ArvChunkParser *parser;
};

/* Starts the program with these options (NULL-terminated) on an address of its own, and waits until
 * it is ready. */
void seen_start(struct seen_camera *seen, const char *const *options);
void seen_open(struct seen_camera *seen); /* by Aravis */
void seen_close(struct seen_camera *seen);
void seen_end(struct seen_camera *seen); /* ends the program, which must end well */

void seen_set(struct seen_camera *seen, const char *node, const char *value);
void seen_set_number(struct seen_camera *seen, const char *node, double value);
void seen_set_flag(struct seen_camera *seen, const char *node, bool value);
const char *seen_get(struct seen_camera *seen, const char *node);
int64_t seen_get_number(struct seen_camera *seen, const char *node);
/* Uploads a file as the maker's example does; to_flash: FileWriteToFlash. Its last status. */
const char *seen_upload(struct seen_camera *seen, const char *file, const uint8_t *bytes,
                        size_t size_bytes, bool to_flash);
/* Injected images of this side, a result with each. */
void seen_prepare(struct seen_camera *seen, int side);

struct seen_image {
    int64_t frame, inference_frame, result;
    double confidence;
    uint8_t first_pixels[64];
};
void seen_start_images(struct seen_camera *seen);
/* The next one that arrived whole; false: none within `seconds`. */
bool seen_next_image(struct seen_camera *seen, double seconds, struct seen_image *image);
void seen_stop_images(struct seen_camera *seen);

#endif
