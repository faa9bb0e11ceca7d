/* Images on their way into a compiled network. */
#include "base/mem.h"
#include "kernels/image.h"
#include "trainer/data/augment.h"
#include "trainer/data/image_file.h"
#include "trainer/export/bundle.h"
#include <math.h>

void bundle_normalise(const struct dataset_info *dataset, const struct image *image, bool is_bgr,
                      float *values)
{
    int count = image->H * image->W * image->C;
    for (int i = 0; i < count; i++) {
        int c = i % image->C, to = is_bgr ? image->C - 1 - c : c;
        values[i - c + to] = (float)((image->pixels[i] - dataset->mean[c]) / dataset->deviation[c]);
    }
}

/* Grey from colour by its luma, colour from grey by copying. */
static uint8_t get_channel(const struct image *from, size_t pixel, int channels, int c)
{
    const uint8_t *at = from->pixels + pixel * (size_t)from->C;
    if (from->C == channels)
        return at[c];
    if (from->C == 1)
        return at[0];
    return image_luma(at);
}

/* The square that evaluation would look at, as floats of 0..255: (side,side,C). */
static void fit(const struct pixels *from, int side, enum geometry geometry, float *fitted)
{
    struct image_crop crop = {.H = 0};
    struct resampler resampler;
    struct transform transform = augment_evaluate(geometry, from->H, from->W);
    resample_place(from, &transform.area, side, &crop);
    uint8_t *pixels = mem_array((size_t)crop.H * (size_t)crop.W, (size_t)from->C);
    void *scratch = mem_alloc(image_scratch_bytes(crop.W, side, from->C));
    resampler_init(&resampler, from->W, from->C);
    resample(&resampler, from, &transform.area, side, &crop, pixels);
    resampler_fini(&resampler);
    image_make(&crop, pixels, side, from->C, NULL, NULL, scratch, fitted);
    mem_free(scratch);
    mem_free(pixels);
}

void bundle_fit_image(const struct image *from, int side, int channels, enum geometry geometry,
                      struct image *to)
{
    size_t pixels = (size_t)from->H * (size_t)from->W, row = (size_t)from->W * (size_t)channels;
    uint8_t *source = mem_array(pixels, (size_t)channels);
    float *fitted = mem_array((size_t)side * (size_t)side, (size_t)channels * sizeof *fitted);
    for (size_t i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c++)
            source[i * (size_t)channels + (size_t)c] = get_channel(from, i, channels, c);
    struct pixels view = {
        .data = source, .row_bytes = row, .H = from->H, .W = from->W, .C = channels};
    fit(&view, side, geometry, fitted);
    image_reserve(to, (size_t)(side * side * channels));
    to->H = to->W = side;
    to->C = channels;
    to->label = from->label;
    for (int i = 0; i < side * side * channels; i++)
        to->pixels[i] = (uint8_t)lround(fmin(fmax(fitted[i], 0), 255));
    mem_free(fitted);
    mem_free(source);
}
