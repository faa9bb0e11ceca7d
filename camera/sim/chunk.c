#include "camera/sim/chunk.h"
#include "camera/sim/big_endian.h"

const struct chunk chunks[CHUNK_COUNT] = {
    [CHUNK_FRAME_ID] = {"FrameID", 8, false},
    [CHUNK_TIMESTAMP] = {"Timestamp", 8, false},
    [CHUNK_OFFSET_X] = {"OffsetX", 4, false},
    [CHUNK_OFFSET_Y] = {"OffsetY", 4, false},
    [CHUNK_WIDTH] = {"Width", 4, false},
    [CHUNK_HEIGHT] = {"Height", 4, false},
    [CHUNK_PIXEL_FORMAT] = {"PixelFormat", 4, false},
    [CHUNK_EXPOSURE_TIME] = {"ExposureTime", 8, true},
    [CHUNK_GAIN] = {"Gain", 8, true},
    [CHUNK_BLACK_LEVEL] = {"BlackLevel", 8, true},
    [CHUNK_INFERENCE_FRAME_ID] = {"InferenceFrameId", 8, false},
    [CHUNK_INFERENCE_RESULT] = {"InferenceResult", 8, false},
    [CHUNK_INFERENCE_CONFIDENCE] = {"InferenceConfidence", 8, true},
};

const char chunk_entries[] =
    "FrameID=0 Timestamp=1 OffsetX=2 OffsetY=3 Width=4 Height=5 PixelFormat=6 ExposureTime=7 "
    "Gain=8 BlackLevel=9 InferenceFrameId=10 InferenceResult=11 InferenceConfidence=12";

void chunk_set_float(struct chunk_values *values, enum chunk_id id, double value)
{
    memcpy(&values->of[id], &value, sizeof value);
}

size_t chunk_bytes(const bool enabled[CHUNK_COUNT])
{
    size_t bytes = CHUNK_TAIL; /* the image's */
    for (int i = 0; i < CHUNK_COUNT; i++)
        bytes += enabled[i] ? chunks[i].length + CHUNK_TAIL : 0;
    return bytes;
}

static uint8_t *write_tail(uint8_t *at, uint32_t tag, size_t length)
{
    put_be32(at, tag);
    put_be32(at + 4, (uint32_t)length);
    return at + CHUNK_TAIL;
}

void chunk_write(const bool enabled[CHUNK_COUNT], const struct chunk_values *values,
                 size_t image_bytes, uint8_t *at)
{
    at = write_tail(at, CHUNK_TAG_IMAGE, image_bytes);
    for (uint32_t i = 0; i < CHUNK_COUNT; i++) {
        if (!enabled[i])
            continue;
        if (chunks[i].length == 8)
            put_be64(at, values->of[i]);
        else
            put_be32(at, (uint32_t)values->of[i]);
        at = write_tail(at + chunks[i].length, CHUNK_TAG_BASE + i, chunks[i].length);
    }
}
