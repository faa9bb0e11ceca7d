#include "trainer/data/raster.h"
#include <string.h>

static enum err check_length(const struct raster *raster)
{
    size_t rows = (size_t)raster->H, last = (size_t)raster->W * raster->pixel_bytes;
    /* The last row needs no padding. A division: the product might not fit. */
    if (raster->size_bytes < last || (raster->size_bytes - last) / raster->row_bytes < rows - 1)
        return err_set(ERR_DATA, "its pixels are cut short");
    return ERR_OK;
}

static enum err look_up(const struct raster *raster, const uint8_t *row, uint8_t *samples)
{
    for (int x = 0; x < raster->W; x++, samples += raster->C) {
        if (row[x] >= raster->palette_count)
            return err_set(ERR_DATA, "a pixel of colour %d, the palette has %d", row[x],
                           raster->palette_count);
        const uint8_t *colour = raster->palette + 4 * (size_t)row[x];
        for (int c = 0; c < raster->C; c++)
            samples[c] = colour[2 - c];
    }
    return ERR_OK;
}

static void take_bytes(const struct raster *raster, const uint8_t *row, uint8_t *samples)
{
    for (int x = 0; x < raster->W; x++, row += raster->pixel_bytes)
        for (int c = 0; c < raster->C; c++)
            *samples++ = row[raster->is_blue_first ? raster->C - 1 - c : c];
}

static void take_words(const struct raster *raster, const uint8_t *row, uint16_t *samples)
{
    int high = raster->is_big_endian ? 0 : 1;
    for (size_t i = 0; i < (size_t)raster->W * (size_t)raster->C; i++, row += 2)
        samples[i] = (uint16_t)(row[high] << 8 | row[1 - high]);
}

enum err raster_read(const struct raster *raster, void *samples)
{
    enum err err = ERR_OK;
    size_t row_samples = (size_t)raster->W * (size_t)raster->C;
    TRY(check_length(raster));
    for (int y = 0; y < raster->H; y++) {
        int from = raster->is_bottom_up ? raster->H - 1 - y : y;
        const uint8_t *row = raster->pixels + (size_t)from * raster->row_bytes;
        size_t at = (size_t)y * row_samples;
        if (raster->palette)
            TRY(look_up(raster, row, (uint8_t *)samples + at));
        else if (raster->bits > 8)
            take_words(raster, row, (uint16_t *)samples + at);
        else
            take_bytes(raster, row, (uint8_t *)samples + at);
    }
out:
    return err;
}

enum err raw_open(const uint8_t *bytes, size_t size_bytes, int W, int H, struct raster *raster)
{
    uint64_t pixels = (uint64_t)W * (uint64_t)H;
    if (size_bytes != pixels && size_bytes != 2 * pixels)
        return err_set(
            ERR_UNAVAILABLE, "%zu bytes: %d x %d pixels are %llu bytes, or %llu of 16 bits each",
            size_bytes, W, H, (unsigned long long)pixels, (unsigned long long)(2 * pixels));
    size_t pixel_bytes = size_bytes == pixels ? 1 : 2;
    *raster = (struct raster){.H = H,
                              .W = W,
                              .C = 1,
                              .bits = 8 * (int)pixel_bytes,
                              .pixels = bytes,
                              .size_bytes = size_bytes,
                              .row_bytes = (size_t)W * pixel_bytes,
                              .pixel_bytes = pixel_bytes};
    return ERR_OK;
}
