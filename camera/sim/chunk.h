/* The chunks behind an image: each its bytes, then its identifier and length (u32 each), all
 * big-endian as in GigE Vision; the image is the first one. Pure. */
#ifndef CAMERA_SIM_CHUNK_H
#define CAMERA_SIM_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum chunk_id {
    CHUNK_FRAME_ID,
    CHUNK_TIMESTAMP,
    CHUNK_OFFSET_X,
    CHUNK_OFFSET_Y,
    CHUNK_WIDTH,
    CHUNK_HEIGHT,
    CHUNK_PIXEL_FORMAT,
    CHUNK_EXPOSURE_TIME,
    CHUNK_GAIN,
    CHUNK_BLACK_LEVEL,
    CHUNK_INFERENCE_FRAME_ID,
    CHUNK_INFERENCE_RESULT,
    CHUNK_INFERENCE_CONFIDENCE,
    CHUNK_COUNT
};
enum { CHUNK_TAG_BASE = 0x4757c000, CHUNK_TAG_IMAGE = 0x4757bfff, CHUNK_TAIL = 8 };

struct chunk {
    const char *name; /* in ChunkSelector; with "Chunk" before it, the node of its value */
    uint32_t length;
    bool is_float;
};
extern const struct chunk chunks[CHUNK_COUNT];
/* "FrameID=0 Timestamp=1 ...": the entries of ChunkSelector. */
extern const char chunk_entries[];

struct chunk_values {
    uint64_t of[CHUNK_COUNT]; /* integers; of floats the bits of a double */
};
void chunk_set_float(struct chunk_values *values, enum chunk_id id, double value);

/* Bytes behind `image_bytes` of pixels: all tails, and the enabled chunks. */
size_t chunk_bytes(const bool enabled[CHUNK_COUNT]);
/* Writes them; `at` has chunk_bytes() of room. */
void chunk_write(const bool enabled[CHUNK_COUNT], const struct chunk_values *values,
                 size_t image_bytes, uint8_t *at);

#endif
