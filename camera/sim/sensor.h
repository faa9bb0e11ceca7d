/* What the camera sees: 10-bit words of a region of interest, from the injected image, a test
 * pattern or a made-up scene; what the processing behind the sensor does to them; and the pixels
 * that are sent or that a network takes. Pure. */
#ifndef CAMERA_SIM_SENSOR_H
#define CAMERA_SIM_SENSOR_H

#include "camera/sim/node.h"
#include <stddef.h>

struct region {
    int x, y, W, H;
};

enum sensor_source { SENSOR_SCENE, SENSOR_INCREMENT, SENSOR_INJECTED };

struct sensor_cfg {
    enum sensor_source source;
    uint64_t frame;          /* the scene moves with it */
    const uint8_t *injected; /* (injected_H, injected_W) words of 16 bits, little-endian */
    size_t injected_bytes;
    int injected_W, injected_H;
    bool is_denoised, is_sharpened, has_gamma, is_clamped;
};

enum { SENSOR_WHITE = 1023 };

/* words (H,W) of the region. What the injected image does not cover is black. */
void sensor_words(const struct sensor_cfg *cfg, const struct region *region, uint16_t *words);

/* Bytes of one pixel. */
size_t pixel_bytes(enum pfnc format);
/* words (H,W) as pixels of this format; 16-bit ones are little-endian, with the ten bits on top.
 * For RGB8 and BGR8 the words are a mosaic of red at even rows and columns, blue at odd ones, green
 * else (trainer/data/demosaic.h); how the camera makes it colour is not documented. */
void sensor_pixels(const uint16_t *words, int W, int H, enum pfnc format, uint8_t *pixels);

/* (in_H,in_W,C) to (H,W,C), bilinear, each pixel a square whose middle counts; the same size is a
 * copy. How the camera's own scaler does it is not known. */
void scale_bilinear(const uint8_t *in, int in_W, int in_H, int C, uint8_t *out, int W, int H);

#endif
