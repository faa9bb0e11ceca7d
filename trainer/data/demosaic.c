#include "trainer/data/demosaic.h"
#include <stddef.h>
#include <string.h>

static const char *const names[] = {"none", "RG", "GR", "GB", "BG"};

const char *bayer_name(enum bayer bayer)
{
    return names[bayer];
}

bool bayer_named(const char *name, enum bayer *bayer)
{
    for (int i = BAYER_RG; i <= BAYER_BG; i++)
        if (strcmp(name, names[i]) == 0) {
            *bayer = (enum bayer)i;
            return true;
        }
    return false;
}

enum depth { DEPTH_U8, DEPTH_U16 }; /* known where it is inlined: no test is left in the loop */

struct mosaic {
    const void *samples; /* (H,W) */
    int H, W;
    int red_y, red_x; /* of the upper left 2 x 2 pixels; blue is the other one across */
    enum depth depth;
};

static inline int mirrored(int at, int size)
{
    if (size == 1)
        return 0;
    return at < 0 ? -at : at < size ? at : 2 * (size - 1) - at;
}

static inline uint32_t sample(const struct mosaic *mosaic, int y, int x)
{
    size_t at = (size_t)mirrored(y, mosaic->H) * (size_t)mosaic->W + (size_t)mirrored(x, mosaic->W);
    return mosaic->depth == DEPTH_U8 ? ((const uint8_t *)mosaic->samples)[at]
                                     : ((const uint16_t *)mosaic->samples)[at];
}

static inline uint32_t beside(const struct mosaic *m, int y, int x)
{
    return (sample(m, y, x - 1) + sample(m, y, x + 1) + 1) / 2;
}

static inline uint32_t above_and_below(const struct mosaic *m, int y, int x)
{
    return (sample(m, y - 1, x) + sample(m, y + 1, x) + 1) / 2;
}

static inline uint32_t around(const struct mosaic *m, int y, int x)
{
    return (sample(m, y - 1, x) + sample(m, y + 1, x) + sample(m, y, x - 1) + sample(m, y, x + 1) +
            2) /
           4;
}

static inline uint32_t across(const struct mosaic *m, int y, int x)
{
    return (sample(m, y - 1, x - 1) + sample(m, y - 1, x + 1) + sample(m, y + 1, x - 1) +
            sample(m, y + 1, x + 1) + 2) /
           4;
}

/* A row of red and green has blue above and below, and the other way round. */
static inline void interpolate(const struct mosaic *m, int y, int x, uint32_t rgb[3])
{
    bool is_red_row = (y & 1) == m->red_y, is_red_column = (x & 1) == m->red_x;
    int own = is_red_row ? 0 : 2, other = 2 - own; /* the row's colour beside green */
    if (is_red_row == is_red_column) {
        rgb[own] = sample(m, y, x);
        rgb[1] = around(m, y, x);
        rgb[other] = across(m, y, x);
    } else {
        rgb[own] = beside(m, y, x);
        rgb[1] = sample(m, y, x);
        rgb[other] = above_and_below(m, y, x);
    }
}

static struct mosaic lay(const void *samples, int H, int W, enum bayer bayer, enum depth depth)
{
    int red = (int)bayer - BAYER_RG;
    return (struct mosaic){samples, H, W, red >> 1, red & 1, depth};
}

void demosaic_u8(const uint8_t *mosaic, int H, int W, enum bayer bayer, uint8_t *rgb)
{
    const struct mosaic laid = lay(mosaic, H, W, bayer, DEPTH_U8);
    uint32_t pixel[3];
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++, rgb += 3) {
            interpolate(&laid, y, x, pixel);
            for (int c = 0; c < 3; c++)
                rgb[c] = (uint8_t)pixel[c];
        }
}

void demosaic_u16(const uint16_t *mosaic, int H, int W, enum bayer bayer, uint16_t *rgb)
{
    const struct mosaic laid = lay(mosaic, H, W, bayer, DEPTH_U16);
    uint32_t pixel[3];
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++, rgb += 3) {
            interpolate(&laid, y, x, pixel);
            for (int c = 0; c < 3; c++)
                rgb[c] = (uint16_t)pixel[c];
        }
}
