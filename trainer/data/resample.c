/* Bilinear with half-pixel centres, vertical first: a row between two source rows is a loop over
 * contiguous floats, and the horizontal step reads it through a table made once per image. */
#include "trainer/data/resample.h"
#include "base/err.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

void resampler_init(struct resampler *resampler, int H, int W, int C, int R)
{
    size_t width = (size_t)W * (size_t)C, half = (size_t)((H + 1) / 2) * (size_t)((W + 1) / 2);
    *resampler = (struct resampler){.H = H, .W = W, .C = C, .R = R};
    resampler->row = mem_array(width + (size_t)C, sizeof *resampler->row);
    resampler->near = mem_array((size_t)R, sizeof *resampler->near);
    resampler->weight = mem_array((size_t)R, sizeof *resampler->weight);
    resampler->reduced = mem_array(half, (size_t)C);
    resampler->sums = mem_array(width, sizeof *resampler->sums);
}

void resampler_fini(struct resampler *resampler)
{
    mem_free(resampler->row);
    mem_free(resampler->near);
    mem_free(resampler->weight);
    mem_free(resampler->reduced);
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

/* One row of box averages: `rows` source rows are added up, then groups of `shrink` pixels. */
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

/* Averages over shrink x shrink pixels; the last column and row average what is left. */
static struct pixels reduce(struct resampler *resampler, const struct pixels *source, int shrink)
{
    struct pixels reduced = {.H = (source->H + shrink - 1) / shrink,
                             .W = (source->W + shrink - 1) / shrink,
                             .C = source->C};
    reduced.row_bytes = (size_t)reduced.W * (size_t)reduced.C;
    for (int y = 0; y < reduced.H; y++) {
        int top = y * shrink;
        int rows = source->H - top < shrink ? source->H - top : shrink;
        reduce_row(source, top, rows, shrink, resampler->sums,
                   resampler->reduced + (size_t)y * reduced.row_bytes);
    }
    reduced.data = resampler->reduced;
    return reduced;
}

struct tap { /* two neighbours and the weight of the second */
    int low;
    float weight;
};

/* Where the centre of output pixel i falls among `size` pixel centres, the border repeated. */
static struct tap tap_at(int i, double start, double step, int size)
{
    double at = start + (i + 0.5) * step - 0.5;
    if (at <= 0.0)
        return (struct tap){0, 0.0f};
    if (at >= size - 1)
        return (struct tap){size - 1, 0.0f};
    int low = (int)at;
    return (struct tap){low, (float)(at - low)};
}

static void fill_columns(struct resampler *resampler, const struct pixels *source,
                         const struct area *area, enum resample_side side, int R)
{
    for (int x = 0; x < R; x++) {
        struct tap tap = tap_at(x, area->x, area->width / R, source->W);
        int at = side == RESAMPLE_MIRRORED ? R - 1 - x : x;
        resampler->near[at] = tap.low * source->C;
        resampler->weight[at] = tap.weight;
    }
}

static void mix_rows(const struct pixels *source, struct tap tap, float *restrict row)
{
    int C = source->C, width = source->W * C;
    const uint8_t *restrict low = source->data + (size_t)tap.low * source->row_bytes;
    if (tap.weight > 0.0f) {
        const uint8_t *restrict high = low + source->row_bytes;
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

static void mix_columns_1(const struct resampler *resampler, int R, float *restrict out)
{
    for (int x = 0; x < R; x++) {
        const float *left = resampler->row + resampler->near[x];
        out[x] = left[0] + resampler->weight[x] * (left[1] - left[0]);
    }
}

static void mix_columns_3(const struct resampler *resampler, int R, float *restrict out)
{
    for (int x = 0; x < R; x++) {
        const float *left = resampler->row + resampler->near[x];
        float weight = resampler->weight[x];
        out[3 * x] = left[0] + weight * (left[3] - left[0]);
        out[3 * x + 1] = left[1] + weight * (left[4] - left[1]);
        out[3 * x + 2] = left[2] + weight * (left[5] - left[2]);
    }
}

void resample(struct resampler *resampler, const struct pixels *source, const struct area *area,
              enum resample_side side, int R, float *out)
{
    if (source->H > resampler->H || source->W > resampler->W || source->C > resampler->C ||
        R > resampler->R)
        BUG("a resampler for %d x %d x %d to %d was given %d x %d x %d to %d", resampler->H,
            resampler->W, resampler->C, resampler->R, source->H, source->W, source->C, R);
    int shrink = resample_shrink(area, R);
    struct pixels from = *source;
    struct area part = *area;
    if (shrink > 1) {
        from = reduce(resampler, source, shrink);
        part = (struct area){area->y / shrink, area->x / shrink, area->height / shrink,
                             area->width / shrink};
    }
    fill_columns(resampler, &from, &part, side, R);
    for (int y = 0; y < R; y++) {
        mix_rows(&from, tap_at(y, part.y, part.height / R, from.H), resampler->row);
        float *row = out + (size_t)y * (size_t)R * (size_t)from.C;
        if (from.C == 1)
            mix_columns_1(resampler, R, row);
        else
            mix_columns_3(resampler, R, row);
    }
}
