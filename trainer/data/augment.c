/* The draws' numbers (the last argument of rng) are part of the results: never renumber. */
#include "trainer/data/augment.h"
#include "base/rng.h"
#include <math.h>

#define CROP_TRIES 10
#define RATIO_MIN  (3.0 / 4.0)
#define RATIO_MAX  AUGMENT_RATIO

enum crop_draw { DRAW_AREA, DRAW_RATIO, DRAW_TOP, DRAW_LEFT, DRAWS_PER_TRY };
enum colour_draw { DRAW_BRIGHTNESS, DRAW_SATURATION, DRAW_ORDER };

static struct area area_of(int top, int left, int height, int width)
{
    return (struct area){top, left, height, width};
}

/* Nothing fitted (a very long image): the biggest centred area within the ratios. */
static struct area centre_crop(int H, int W)
{
    double ratio = (double)W / H;
    int height = H, width = W;
    if (ratio < RATIO_MIN)
        height = (int)lround(W / RATIO_MIN);
    else if (ratio > RATIO_MAX)
        width = (int)lround(H * RATIO_MAX);
    height = height > H ? H : height;
    width = width > W ? W : width;
    return area_of((H - height) / 2, (W - width) / 2, height, width);
}

static struct area draw_crop(double crop_min, uint64_t seed, uint64_t epoch, uint32_t record, int H,
                             int W)
{
    for (int attempt = 0; attempt < CROP_TRIES; attempt++) {
        uint64_t draw = (uint64_t)attempt * DRAWS_PER_TRY;
        double part = rng_unit(rng(seed, RNG_CROP, epoch, record, draw + DRAW_AREA));
        double turn = rng_unit(rng(seed, RNG_CROP, epoch, record, draw + DRAW_RATIO));
        double size = (double)H * W * (crop_min + part * (1.0 - crop_min));
        double ratio = exp(log(RATIO_MIN) + turn * (log(RATIO_MAX) - log(RATIO_MIN)));
        int width = (int)lround(sqrt(size * ratio));
        int height = (int)lround(sqrt(size / ratio));
        if (width < 1 || height < 1 || width > W || height > H)
            continue;
        uint64_t top = rng(seed, RNG_CROP, epoch, record, draw + DRAW_TOP);
        uint64_t left = rng(seed, RNG_CROP, epoch, record, draw + DRAW_LEFT);
        return area_of((int)rng_below(top, (uint32_t)(H - height + 1)),
                       (int)rng_below(left, (uint32_t)(W - width + 1)), height, width);
    }
    return centre_crop(H, W);
}

static float draw_factor(double strength, uint64_t bits)
{
    double low = strength < 1.0 ? 1.0 - strength : 0.0;
    return (float)(low + rng_unit(bits) * (1.0 + strength - low));
}

struct transform augment_draw(const struct augment_cfg *cfg, uint64_t seed, uint64_t epoch,
                              uint32_t record, int H, int W)
{
    struct transform transform = {
        .area = area_of(0, 0, H, W), .is_crop = true, .brightness = 1.0f, .saturation = 1.0f};
    if (cfg->crop_min < 1.0)
        transform.area = draw_crop(cfg->crop_min, seed, epoch, record, H, W);
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

struct transform augment_evaluate(int H, int W, int R)
{
    struct transform transform = {
        .area = area_of(0, 0, H, W), .brightness = 1.0f, .saturation = 1.0f};
    if (H <= R && W <= R)
        return transform;
    /* In whole pixels of the resized image, as a resize followed by a crop would be. */
    int least = H < W ? H : W;
    int side = (int)ceil(R / 0.875);
    int height = (int)((int64_t)H * side / least);
    int width = (int)((int64_t)W * side / least);
    double down = (double)H / height, across = (double)W / width;
    transform.area.y = down * lround((height - R) / 2.0);
    transform.area.x = across * lround((width - R) / 2.0);
    transform.area.height = down * R;
    transform.area.width = across * R;
    return transform;
}
