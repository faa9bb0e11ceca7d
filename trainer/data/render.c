#include "trainer/data/render.h"
#include <string.h>

void renderer_init(struct renderer *renderer, const struct dataset_info *info)
{
    memset(renderer, 0, sizeof *renderer);
    int H = info->max_height, W = info->max_width, C = info->channels;
    resampler_init(&renderer->resampler, W, C);
    renderer->decoder = jpeg_decoder_create(info->format == IMAGE_JPEG ? H : 0, W, C);
}

void renderer_fini(struct renderer *renderer)
{
    resampler_fini(&renderer->resampler);
    jpeg_decoder_destroy(&renderer->decoder);
}

/* The pixel an area's side starts in, or the border it lies behind. */
static int first_in(double start, int size)
{
    return start <= 0 ? 0 : start >= size ? size - 1 : (int)start;
}

/* Behind the pixel that its side ends in; one pixel at least. */
static int end_in(double end, int first, int size)
{
    int behind = end + 0.999 >= size ? size : (int)(end + 0.999);
    return behind > first ? behind : first + 1;
}

/* The window of whole pixels that holds what of an area lies in the picture, so that a crop sees
 * nothing of what was cut off. */
static struct pixels window_of(const struct pixels *pixels, struct area *area)
{
    struct pixels window = *pixels;
    int top = first_in(area->y, pixels->H), left = first_in(area->x, pixels->W);
    window.H = end_in(area->y + area->height, top, pixels->H) - top;
    window.W = end_in(area->x + area->width, left, pixels->W) - left;
    window.data += (size_t)top * pixels->row_bytes + (size_t)left * (size_t)pixels->C;
    area->y -= top;
    area->x -= left;
    return window;
}

static enum err decode(struct renderer *renderer, const struct record *record,
                       const struct area *area, int R, struct pixels *pixels, struct area *part)
{
    if (record->format == IMAGE_RAW) {
        *pixels = (struct pixels){.data = record->picture,
                                  .row_bytes = (size_t)record->W * (size_t)record->C,
                                  .H = record->H,
                                  .W = record->W,
                                  .C = record->C};
        *part = *area;
        return ERR_OK;
    }
    struct jpeg_request request = {.bytes = record->picture,
                                   .size_bytes = record->picture_bytes,
                                   .H = record->H,
                                   .W = record->W,
                                   .C = record->C,
                                   .shrink = resample_shrink(area, R),
                                   .area = *area};
    return jpeg_decode(renderer->decoder, &request, pixels, part);
}

enum err render_crop(struct renderer *renderer, const struct record *record,
                     const struct transform *transform, int R, struct image_crop *crop)
{
    enum err err =
        decode(renderer, record, &transform->area, R, &renderer->pixels, &renderer->area);
    if (err != ERR_OK)
        return err;
    renderer->pixels = window_of(&renderer->pixels, &renderer->area);
    renderer->R = R;
    *crop = (struct image_crop){.is_mirrored = transform->is_mirrored,
                                .has_colour = transform->has_colour,
                                .saturation_first = transform->saturation_first,
                                .brightness = transform->brightness,
                                .saturation = transform->saturation};
    resample_place(&renderer->pixels, &renderer->area, R, crop);
    return ERR_OK;
}

void render_pixels(struct renderer *renderer, const struct image_crop *crop, uint8_t *to)
{
    resample(&renderer->resampler, &renderer->pixels, &renderer->area, renderer->R, crop, to);
}
