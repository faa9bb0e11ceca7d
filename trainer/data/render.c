#include "trainer/data/render.h"
#include <string.h>

void renderer_init(struct renderer *renderer, const struct dataset_info *info, int R)
{
    memset(renderer, 0, sizeof *renderer);
    int H = info->max_height, W = info->max_width, C = info->channels;
    resampler_init(&renderer->resampler, H, W, C, R);
    renderer->decoder = jpeg_decoder_create(info->format == IMAGE_JPEG ? H : 0, W, C);
    for (int c = 0; c < info->channels; c++) {
        renderer->scale[c] = (float)(1.0 / info->deviation[c]);
        renderer->shift[c] = (float)(-info->mean[c] / info->deviation[c]);
    }
}

void renderer_fini(struct renderer *renderer)
{
    resampler_fini(&renderer->resampler);
    jpeg_decoder_destroy(&renderer->decoder);
}

/* The window of whole pixels [top, bottom) x [left, right) that holds an area, so that a crop sees
 * nothing of what was cut off. */
static struct pixels window_of(const struct pixels *pixels, struct area *area)
{
    struct pixels window = *pixels;
    int top = (int)area->y, left = (int)area->x;
    int bottom = (int)(area->y + area->height + 0.999),
        right = (int)(area->x + area->width + 0.999);
    window.H = (bottom < pixels->H ? bottom : pixels->H) - top;
    window.W = (right < pixels->W ? right : pixels->W) - left;
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

static void normalise(const struct renderer *renderer, float *values, int count, int C)
{
    const float *scale = renderer->scale, *shift = renderer->shift;
    if (C == 1) {
        for (int i = 0; i < count; i++)
            values[i] = values[i] * scale[0] + shift[0];
        return;
    }
    for (int i = 0; i + 2 < count; i += 3)
        for (int c = 0; c < 3; c++)
            values[i + c] = values[i + c] * scale[c] + shift[c];
}

enum err render(struct renderer *renderer, const struct record *record,
                const struct transform *transform, int R, float *out)
{
    struct pixels pixels;
    struct area area;
    enum err err = decode(renderer, record, &transform->area, R, &pixels, &area);
    if (err != ERR_OK)
        return err;
    if (transform->is_crop)
        pixels = window_of(&pixels, &area);
    resample(&renderer->resampler, &pixels, &area,
             transform->is_mirrored ? RESAMPLE_MIRRORED : RESAMPLE_AS_IS, R, out);
    int count = R * R * record->C;
    augment_colour(transform, out, count, record->C);
    normalise(renderer, out, count, record->C);
    return ERR_OK;
}
