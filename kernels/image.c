/* Vertical first: a row between two rows of pixels is a loop over contiguous floats, and the
 * horizontal step reads it through a table made once per image. Compiled once, without fused
 * products, so that the instruction set decides nothing. */
#include "kernels/image.h"
#include "base/err.h"

struct columns {   /* where the square's columns lie in a row of floats */
    float *row;    /* one row between two, and a pixel more */
    int *near;     /* (R) element of the left neighbour */
    float *weight; /* (R) of the right neighbour */
};

size_t image_scratch_bytes(int width, int R, int C)
{
    return (size_t)(width + 1) * (size_t)C * sizeof(float) +
           (size_t)R * (sizeof(int) + sizeof(float));
}

static struct columns carve(void *scratch, int width, int R, int C)
{
    struct columns columns = {.row = scratch};
    columns.weight = columns.row + (size_t)(width + 1) * (size_t)C;
    columns.near = (int *)(columns.weight + R);
    return columns;
}

struct tap { /* two neighbours and the weight of the second */
    int low;
    float weight;
};

/* Where the centre of output pixel i falls among the centres of `size` pixels from `first` on, the
 * border repeated. */
static struct tap tap_at(int i, double start, double step, int first, int size)
{
    double at = start + (i + 0.5) * step - 0.5;
    if (at <= first)
        return (struct tap){0, 0.0f};
    if (at >= first + size - 1)
        return (struct tap){size - 1, 0.0f};
    int low = (int)at;
    return (struct tap){low - first, (float)(at - low)};
}

static void fill_columns(const struct image_crop *crop, int R, int C, struct columns *columns)
{
    for (int x = 0; x < R; x++) {
        struct tap tap = tap_at(x, crop->x, crop->step_x, crop->left, crop->W);
        int at = crop->is_mirrored ? R - 1 - x : x;
        columns->near[at] = tap.low * C;
        columns->weight[at] = tap.weight;
    }
}

static void mix_rows(const uint8_t *pixels, int width, int C, struct tap tap, float *restrict row)
{
    const uint8_t *restrict low = pixels + (size_t)tap.low * (size_t)width;
    if (tap.weight > 0.0f) {
        const uint8_t *restrict high = low + width;
        float weight = tap.weight;
        for (int i = 0; i < width; i++)
            row[i] = (float)low[i] + weight * (float)(high[i] - low[i]);
    } else { /* also the last row, which has none below */
        for (int i = 0; i < width; i++)
            row[i] = (float)low[i];
    }
    for (int c = 0; c < C; c++) /* the last column's right neighbour, read with weight 0 */
        row[width + c] = row[width - C + c];
}

static void mix_columns_1(const struct columns *columns, int R, float *restrict out)
{
    for (int x = 0; x < R; x++) {
        const float *left = columns->row + columns->near[x];
        out[x] = left[0] + columns->weight[x] * (left[1] - left[0]);
    }
}

static void mix_columns_3(const struct columns *columns, int R, float *restrict out)
{
    for (int x = 0; x < R; x++) {
        const float *left = columns->row + columns->near[x];
        float weight = columns->weight[x];
        out[3 * x] = left[0] + weight * (left[3] - left[0]);
        out[3 * x + 1] = left[1] + weight * (left[4] - left[1]);
        out[3 * x + 2] = left[2] + weight * (left[5] - left[2]);
    }
}

static float clamp(float value)
{
    return value < 0.0f ? 0.0f : value > 255.0f ? 255.0f : value;
}

static void brighten(float factor, float *values, int count)
{
    for (int i = 0; i < count; i++)
        values[i] = clamp(values[i] * factor);
}

/* Away from or towards the grey of the same luminance (ITU-R BT.601). */
static void saturate(float factor, float *values, int count)
{
    for (int i = 0; i + 2 < count; i += 3) {
        float grey = 0.299f * values[i] + 0.587f * values[i + 1] + 0.114f * values[i + 2];
        for (int c = 0; c < 3; c++)
            values[i + c] = clamp(grey + factor * (values[i + c] - grey));
    }
}

static void colour(const struct image_crop *crop, float *values, int count, int C)
{
    if (!crop->has_colour)
        return;
    if (C == 3 && crop->saturation_first)
        saturate(crop->saturation, values, count);
    brighten(crop->brightness, values, count);
    if (C == 3 && !crop->saturation_first)
        saturate(crop->saturation, values, count);
}

static void normalise(const float *scale, const float *shift, float *values, int count, int C)
{
    if (C == 1) {
        for (int i = 0; i < count; i++)
            values[i] = values[i] * scale[0] + shift[0];
        return;
    }
    for (int i = 0; i + 2 < count; i += 3)
        for (int c = 0; c < 3; c++)
            values[i + c] = values[i + c] * scale[c] + shift[c];
}

void image_make(const struct image_crop *crop, const uint8_t *pixels, int R, int C,
                const float *scale, const float *shift, void *scratch, float *out)
{
    struct columns columns = carve(scratch, crop->W, R, C);
    int count = R * C;
    if (C != 1 && C != 3)
        BUG("an image of %d channels", C);
    fill_columns(crop, R, C, &columns);
    for (int y = 0; y < R; y++, out += count) {
        struct tap tap = tap_at(y, crop->y, crop->step_y, crop->top, crop->H);
        mix_rows(pixels, crop->W * C, C, tap, columns.row);
        if (C == 1)
            mix_columns_1(&columns, R, out);
        else
            mix_columns_3(&columns, R, out);
        colour(crop, out, count, C);
        if (scale)
            normalise(scale, shift, out, count, C);
    }
}
