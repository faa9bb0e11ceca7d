/* What the simulated camera takes in the place of the maker's graph: a GraphDef as it is, or
 * Caffe's two files in one, which this is the layout of. All numbers are little-endian.
 *
 *   offset 0   "GWCAFFE1", no NUL
 *   offset 8   u32: bytes of the prototxt
 *   offset 12  u32: bytes of the caffemodel
 *   offset 16  the prototxt, the caffemodel behind it; nothing else
 *
 * Pure; any thread. */
#ifndef CAMERA_NETWORK_FILE_H
#define CAMERA_NETWORK_FILE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETWORK_FILE_MAGIC "GWCAFFE1"
enum { NETWORK_FILE_HEAD = 16 };

struct caffe_files { /* borrowed */
    const uint8_t *prototxt, *model;
    size_t prototxt_bytes, model_bytes;
};

/* Both files as one. ERR_DATA where one is 4 GiB or more. *bytes: returns owned (mem_free). */
MUST_CHECK enum err network_file_join(const struct caffe_files *files, uint8_t **bytes,
                                      size_t *size_bytes);
bool network_file_is_caffe(const void *bytes, size_t size_bytes);
/* The parts, within `bytes`. ERR_DATA where the lengths do not add up. */
MUST_CHECK enum err network_file_split(const void *bytes, size_t size_bytes,
                                       struct caffe_files *files);

#endif
