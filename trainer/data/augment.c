/* The draws' numbers (the last argument of rng) are part of the results: never renumber. */
#include "trainer/data/augment.h"
#include "base/rng.h"
#include <math.h>

#define CROP_TRIES 10
#define RATIO_MIN  (3.0 / 4.0)
#define RATIO_MAX  (4.0 / 3.0)

enum crop_draw { DRAW_AREA, DRAW_RATIO, DRAW_TOP, DRAW_LEFT, DRAWS_PER_TRY };
enum colour_draw { DRAW_BRIGHTNESS, DRAW_SATURATION, DRAW_ORDER };

static struct area area_of(int top, int left, int height, int width)
{
    return (struct area){top, left, height, width};
}

/* Of a square. */
static struct area draw_crop(double crop_min, uint64_t seed, uint64_t epoch, uint32_t record,
                             int side)
{
    for (int attempt = 0; attempt < CROP_TRIES; attempt++) {
        uint64_t draw = (uint64_t)attempt * DRAWS_PER_TRY;
        double part = rng_unit(rng(seed, RNG_CROP, epoch, record, draw + DRAW_AREA));
        double turn = rng_unit(rng(seed, RNG_CROP, epoch, record, draw + DRAW_RATIO));
        double size = (double)side * side * (crop_min + part * (1.0 - crop_min));
        double ratio = exp(log(RATIO_MIN) + turn * (log(RATIO_MAX) - log(RATIO_MIN)));
        int width = (int)lround(sqrt(size * ratio));
        int height = (int)lround(sqrt(size / ratio));
        if (width < 1 || height < 1 || width > side || height > side)
            continue;
        uint64_t top = rng(seed, RNG_CROP, epoch, record, draw + DRAW_TOP);
        uint64_t left = rng(seed, RNG_CROP, epoch, record, draw + DRAW_LEFT);
        return area_of((int)rng_below(top, (uint32_t)(side - height + 1)),
                       (int)rng_below(left, (uint32_t)(side - width + 1)), height, width);
    }
    return area_of(0, 0, side, side); /* nothing fitted */
}

static int frame_side(enum geometry geometry, int H, int W)
{
    int least = H < W ? H : W, most = H < W ? W : H;
    return geometry == GEOMETRY_CROP ? least : most;
}

/* A part of a stretched side, in whole pixels. */
static void squeeze(int size, int side, double *start, double *length)
{
    int first = (int)lround(*start * size / side),
        last = (int)lround((*start + *length) * size / side);
    first = first < size ? first : size - 1;
    *start = first;
    *length = last > first ? last - first : 1;
}

/* From the frame's square to the picture it is of. */
static struct area place(enum geometry geometry, struct area area, int H, int W)
{
    int side = frame_side(geometry, H, W);
    if (geometry == GEOMETRY_STRETCH) {
        squeeze(H, side, &area.y, &area.height);
        squeeze(W, side, &area.x, &area.width);
    } else {
        area.y += floor((H - side) / 2.0);
        area.x += floor((W - side) / 2.0);
    }
    return area;
}

static float draw_factor(double strength, uint64_t bits)
{
    double low = strength < 1.0 ? 1.0 - strength : 0.0;
    return (float)(low + rng_unit(bits) * (1.0 + strength - low));
}

struct transform augment_draw(const struct augment_cfg *cfg, uint64_t seed, uint64_t epoch,
                              uint32_t record, int H, int W)
{
    struct transform transform = augment_evaluate(cfg->geometry, H, W);
    if (cfg->crop_min < 1.0) {
        int side = frame_side(cfg->geometry, H, W);
        transform.area =
            place(cfg->geometry, draw_crop(cfg->crop_min, seed, epoch, record, side), H, W);
    }
    if (cfg->has_flip)
        transform.is_mirrored = rng(seed, RNG_FLIP, epoch, record, 0) >> 63;
    if (cfg->has_colour) {
        transform.has_colour = true;
        transform.brightness =
            draw_factor(cfg->brightness, rng(seed, RNG_COLOUR, epoch, record, DRAW_BRIGHTNESS));
        transform.saturation =
            draw_factor(cfg->saturation, rng(seed, RNG_COLOUR, epoch, record, DRAW_SATURATION));
        transform.saturation_first = rng(seed, RNG_COLOUR, epoch, record, DRAW_ORDER) >> 63;
    }
    return transform;
}

struct transform augment_evaluate(enum geometry geometry, int H, int W)
{
    int side = frame_side(geometry, H, W);
    return (struct transform){.area = place(geometry, area_of(0, 0, side, side), H, W),
                              .brightness = 1.0f,
                              .saturation = 1.0f};
}

double augment_ratio(enum geometry geometry, const struct augment_cfg *cfg)
{
    if (geometry != GEOMETRY_CROP)
        return 0;
    return cfg && cfg->crop_min < 1.0 ? RATIO_MAX : 1.0;
}
