#include "trainer/data/resample.h"
#include "base/err.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

void resampler_init(struct resampler *resampler, int W, int C)
{
    resampler->width = W * C;
    resampler->sums = mem_array((size_t)resampler->width, sizeof *resampler->sums);
}

void resampler_fini(struct resampler *resampler)
{
    mem_free(resampler->sums);
    memset(resampler, 0, sizeof *resampler);
}

int resample_shrink(const struct area *area, int R)
{
    double least = area->height < area->width ? area->height : area->width;
    int shrink = 1;
    while (shrink < 8 && least >= 2.0 * shrink * R)
        shrink *= 2;
    return shrink;
}

struct span { /* of whole pixels */
    int first, count;
};

/* The pixels between whose centres those of R output pixels fall. */
static struct span span_of(double start, double step, int R, int size)
{
    double first = floor(start + 0.5 * step - 0.5),
           last = floor(start + (R - 0.5) * step - 0.5) + 1;
    struct span span = {.first = (int)fmin(fmax(first, 0), size - 1)};
    span.count = (int)fmin(fmax(last, 0), size - 1) - span.first + 1;
    return span;
}

void resample_place(const struct pixels *source, const struct area *area, int R,
                    struct image_crop *crop)
{
    int shrink = resample_shrink(area, R);
    int H = (source->H + shrink - 1) / shrink, W = (source->W + shrink - 1) / shrink;
    crop->y = area->y / shrink;
    crop->x = area->x / shrink;
    crop->step_y = area->height / shrink / R;
    crop->step_x = area->width / shrink / R;
    struct span rows = span_of(crop->y, crop->step_y, R, H);
    struct span columns = span_of(crop->x, crop->step_x, R, W);
    crop->top = rows.first;
    crop->left = columns.first;
    crop->H = rows.count;
    crop->W = columns.count;
}

/* The shorter side is below 2R unless even a shrink of 8 leaves more; SLACK: what cut pixels, a
 * neighbour on each side and rounding add. */
size_t resample_room(int H, int W, int C, int R, double ratio)
{
    enum { SLACK = 5 };
    double least = H < W ? H : W, most = H < W ? W : H;
    double shorter = fmin(least, fmax(2.0 * R, least / 8) + SLACK);
    double longer = ratio > 0 ? fmin(most, fmax(R, shorter * ratio + SLACK)) : most;
    return (size_t)ceil(shorter) * (size_t)ceil(longer) * (size_t)C;
}

/* One row of box averages: `rows` source rows are added up, then groups of `shrink` pixels. What
 * the border cuts off a box is left out of its average. */
static void reduce_row(const struct pixels *source, int top, int rows, int shrink, uint32_t *sums,
                       uint8_t *out)
{
    int C = source->C, width = source->W * C;
    memset(sums, 0, (size_t)width * sizeof *sums);
    for (int y = top; y < top + rows; y++) {
        const uint8_t *row = source->data + (size_t)y * source->row_bytes;
        for (int i = 0; i < width; i++)
            sums[i] += row[i];
    }
    for (int x = 0, left = 0; left < source->W; x++, left += shrink) {
        int columns = source->W - left < shrink ? source->W - left : shrink;
        uint32_t cells = (uint32_t)(rows * columns);
        for (int c = 0; c < C; c++) {
            uint32_t sum = cells / 2; /* round to nearest */
            for (int k = 0; k < columns; k++)
                sum += sums[(left + k) * C + c];
            out[x * C + c] = (uint8_t)(sum / cells);
        }
    }
}

/* The source's pixels in the boxes of the crop. */
static struct pixels window_of(const struct pixels *source, int shrink,
                               const struct image_crop *crop)
{
    struct pixels window = *source;
    int top = crop->top * shrink, left = crop->left * shrink;
    window.data += (size_t)top * source->row_bytes + (size_t)left * (size_t)source->C;
    window.H = source->H - top < crop->H * shrink ? source->H - top : crop->H * shrink;
    window.W = source->W - left < crop->W * shrink ? source->W - left : crop->W * shrink;
    return window;
}

void resample(struct resampler *resampler, const struct pixels *source, const struct area *area,
              int R, const struct image_crop *crop, uint8_t *to)
{
    int shrink = resample_shrink(area, R);
    struct pixels window = window_of(source, shrink, crop);
    size_t row_bytes = (size_t)crop->W * (size_t)source->C;
    if (shrink > 1 && window.W * window.C > resampler->width)
        BUG("a resampler for rows of %d was given one of %d x %d", resampler->width, window.W,
            window.C);
    for (int y = 0; y < crop->H; y++, to += row_bytes) {
        int top = y * shrink, rows = window.H - top < shrink ? window.H - top : shrink;
        if (shrink == 1)
            memcpy(to, window.data + (size_t)y * window.row_bytes, row_bytes);
        else
            reduce_row(&window, top, rows, shrink, resampler->sums, to);
    }
}
