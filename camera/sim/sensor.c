#include "camera/sim/sensor.h"
#include "base/mem.h"
#include "trainer/data/demosaic.h"
#include <math.h>
#include <string.h>

static uint16_t injected_word(const struct sensor_cfg *cfg, int x, int y)
{
    size_t at = 2 * ((size_t)y * (size_t)cfg->injected_W + (size_t)x);
    if (x >= cfg->injected_W || y >= cfg->injected_H || at + 2 > cfg->injected_bytes)
        return 0;
    uint16_t word = (uint16_t)(cfg->injected[at] | cfg->injected[at + 1] << 8);
    return word < SENSOR_WHITE ? word : SENSOR_WHITE;
}

/* Rings around a point that wanders. */
static uint16_t scene_word(uint64_t frame, int x, int y)
{
    int dx = x - 720 - (int)(frame * 8 % 400), dy = y - 540;
    return (uint16_t)(((dx * dx + dy * dy) >> 6) & SENSOR_WHITE);
}

static uint16_t word_of(const struct sensor_cfg *cfg, int x, int y)
{
    if (cfg->source == SENSOR_INJECTED)
        return injected_word(cfg, x, y);
    if (cfg->source == SENSOR_INCREMENT)
        return (uint16_t)((x & 255) << 2);
    return scene_word(cfg->frame, x, y);
}

static uint16_t clip_word(double value)
{
    return (uint16_t)(value < 0 ? 0 : value > SENSOR_WHITE ? SENSOR_WHITE : lround(value));
}

static uint16_t clip_sum(int value)
{
    return (uint16_t)(value < 0 ? 0 : value > SENSOR_WHITE ? SENSOR_WHITE : value);
}

/* So many quarters of the neighbours two to the left and to the right, which have a word's colour
 * in a mosaic, are added to it, and as much of itself is taken off. */
static void blend(uint16_t *words, int W, int H, int quarters)
{
    for (int y = 0; y < H; y++) {
        uint16_t *row = words + (size_t)y * (size_t)W, before[2] = {row[0], row[W > 1]};
        for (int x = 0; x < W; x++) {
            uint16_t word = row[x], left = before[x & 1], right = row[x + 2 < W ? x + 2 : x];
            row[x] = clip_sum(word + ((left + right - 2 * word) * quarters) / 4);
            before[x & 1] = word;
        }
    }
}

static void bend(uint16_t *words, size_t count)
{
    uint16_t bent[SENSOR_WHITE + 1];
    for (int i = 0; i <= SENSOR_WHITE; i++)
        bent[i] = clip_word(SENSOR_WHITE * pow(i / (double)SENSOR_WHITE, 0.8));
    for (size_t i = 0; i < count; i++)
        words[i] = bent[words[i]];
}

/* What the maker's processing does exactly is not known; that it has to be switched off is. */
static void process(const struct sensor_cfg *cfg, uint16_t *words, int W, int H)
{
    size_t count = (size_t)W * (size_t)H;
    if (cfg->is_denoised)
        blend(words, W, H, 1);
    if (cfg->is_sharpened)
        blend(words, W, H, -1);
    for (size_t i = 0; cfg->is_clamped && i < count; i++)
        words[i] = clip_sum(words[i] + 4);
    if (cfg->has_gamma)
        bend(words, count);
}

void sensor_words(const struct sensor_cfg *cfg, const struct region *region, uint16_t *words)
{
    for (int y = 0; y < region->H; y++)
        for (int x = 0; x < region->W; x++)
            words[(size_t)y * (size_t)region->W + (size_t)x] =
                word_of(cfg, region->x + x, region->y + y);
    process(cfg, words, region->W, region->H);
}

size_t pixel_bytes(enum pfnc format)
{
    return ((size_t)format >> 16 & 0xff) / 8; /* GenICam's numbers say how many bits */
}

static void swap_red_and_blue(uint8_t *pixels, size_t count)
{
    for (uint8_t *at = pixels; at < pixels + 3 * count; at += 3) {
        uint8_t red = at[0];
        at[0] = at[2];
        at[2] = red;
    }
}

static void colour_pixels(const uint16_t *words, int W, int H, bool is_bgr, uint8_t *pixels)
{
    size_t count = (size_t)W * (size_t)H;
    uint8_t *mosaic = mem_alloc(count);
    for (size_t i = 0; i < count; i++)
        mosaic[i] = (uint8_t)(words[i] >> 2);
    demosaic_u8(mosaic, H, W, BAYER_RG, pixels);
    if (is_bgr)
        swap_red_and_blue(pixels, count);
    mem_free(mosaic);
}

void sensor_pixels(const uint16_t *words, int W, int H, enum pfnc format, uint8_t *pixels)
{
    if (pixel_bytes(format) == 3) {
        colour_pixels(words, W, H, format == PFNC_BGR8, pixels);
        return;
    }
    size_t count = (size_t)W * (size_t)H;
    bool is_wide = pixel_bytes(format) == 2;
    for (size_t i = 0; i < count; i++) {
        if (is_wide) {
            pixels[2 * i] = (uint8_t)(words[i] << 6);
            pixels[2 * i + 1] = (uint8_t)(words[i] >> 2);
        } else {
            pixels[i] = (uint8_t)(words[i] >> 2);
        }
    }
}

struct tap { /* between which two an output lies, and how far from the first */
    int first, second;
    float part;
};

static struct tap tap_of(int out, int outs, int ins)
{
    double at = (out + 0.5) * ins / outs - 0.5;
    int first = (int)floor(at);
    struct tap tap = {first, first + 1, (float)(at - first)};
    tap.first = tap.first < 0 ? 0 : tap.first;
    tap.second = tap.second > ins - 1 ? ins - 1 : tap.second;
    return tap;
}

void scale_bilinear(const uint8_t *in, int in_W, int in_H, int C, uint8_t *out, int W, int H)
{
    if (in_W == W && in_H == H) {
        memcpy(out, in, (size_t)W * (size_t)H * (size_t)C);
        return;
    }
    for (int y = 0; y < H; y++) {
        struct tap v = tap_of(y, H, in_H);
        for (int x = 0; x < W; x++) {
            struct tap h = tap_of(x, W, in_W);
            const uint8_t *rows[2] = {in + (size_t)v.first * (size_t)(in_W * C),
                                      in + (size_t)v.second * (size_t)(in_W * C)};
            for (int c = 0; c < C; c++) {
                float upper =
                    rows[0][h.first * C + c] * (1 - h.part) + rows[0][h.second * C + c] * h.part;
                float lower =
                    rows[1][h.first * C + c] * (1 - h.part) + rows[1][h.second * C + c] * h.part;
                *out++ = (uint8_t)lroundf(upper * (1 - v.part) + lower * v.part);
            }
        }
    }
}
