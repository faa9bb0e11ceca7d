#include "trainer/data/image_quality.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

enum { WHITE = 250, ROWS = 8, CELLS = 9 };

static double variance(double sum, double squares, double count)
{
    double mean = sum / count, found = squares / count - mean * mean;
    return found > 0 ? found : 0;
}

/* *owned: to be freed, where a grey copy had to be made. */
static const uint8_t *luma_of(const struct image *image, uint8_t **owned)
{
    size_t count = (size_t)image->H * (size_t)image->W;
    *owned = NULL;
    if (image->C == 1)
        return image->pixels;
    *owned = mem_alloc(count);
    for (size_t i = 0; i < count; i++)
        (*owned)[i] = image_luma(image->pixels + 3 * i);
    return *owned;
}

static void measure_light(const uint8_t *luma, size_t count, struct image_quality *quality)
{
    double sum = 0, squares = 0, white = 0;
    for (size_t i = 0; i < count; i++) {
        sum += luma[i];
        squares += (double)luma[i] * luma[i];
        white += luma[i] >= WHITE;
    }
    quality->deviation = sqrt(variance(sum, squares, (double)count));
    quality->white = white / (double)count;
}

static double measure_sharpness(const uint8_t *luma, int H, int W)
{
    double sum = 0, squares = 0, count = (double)(H - 2) * (W - 2);
    if (H < 3 || W < 3)
        return 0;
    for (int y = 1; y < H - 1; y++)
        for (int x = 1; x < W - 1; x++) {
            const uint8_t *at = luma + (size_t)y * (size_t)W + x;
            double edge = 4.0 * at[0] - at[-1] - at[1] - at[-W] - at[W];
            sum += edge;
            squares += edge * edge;
        }
    return variance(sum, squares, count);
}

/* Cell `index` of `cells` along a side: [from, to), a pixel at least. */
static void cut(int size, int index, int cells, int *from, int *to)
{
    *from = (int)((int64_t)size * index / cells);
    *to = (int)((int64_t)size * (index + 1) / cells);
    *to = *to > *from ? *to : *from + 1;
}

static double cell_mean(const uint8_t *luma, int H, int W, int row, int cell)
{
    int top, bottom, left, right;
    double sum = 0;
    cut(H, row, ROWS, &top, &bottom);
    cut(W, cell, CELLS, &left, &right);
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++)
            sum += luma[(size_t)y * (size_t)W + (size_t)x];
    return sum / ((double)(bottom - top) * (right - left));
}

static uint64_t difference_hash(const uint8_t *luma, int H, int W)
{
    uint64_t hash = 0;
    for (int row = 0; row < ROWS; row++) {
        double last = cell_mean(luma, H, W, row, 0);
        for (int cell = 1; cell < CELLS; cell++) {
            double mean = cell_mean(luma, H, W, row, cell);
            hash = hash << 1 | (last < mean);
            last = mean;
        }
    }
    return hash;
}

struct image_quality image_quality_of(const struct image *image)
{
    struct image_quality quality = {0};
    uint8_t *owned = NULL;
    const uint8_t *luma = luma_of(image, &owned);
    measure_light(luma, (size_t)image->H * (size_t)image->W, &quality);
    quality.sharpness = measure_sharpness(luma, image->H, image->W);
    quality.hash = difference_hash(luma, image->H, image->W);
    mem_free(owned);
    return quality;
}

/* The first of i's group: a forest in which every root is the smallest of its tree. */
static uint32_t root_of(uint32_t *group, uint32_t i)
{
    while (group[i] != i)
        i = group[i] = group[group[i]];
    return i;
}

static void join(uint32_t *group, uint32_t one, uint32_t other)
{
    uint32_t left = root_of(group, one), right = root_of(group, other);
    if (left < right)
        group[right] = left;
    else
        group[left] = right;
}

/* Pictures that agree in the 16 bits of one of four bands are held against each other: of hashes
 * that differ in 3 bits, one band at least agrees. */
static void join_band(const uint64_t *hashes, const bool *left_out, uint32_t count, int shift,
                      uint32_t *group)
{
    enum { VALUES = 1 << 16 };
    uint32_t *last = mem_array(VALUES, sizeof *last); /* number + 1 of the latest of a value */
    uint32_t *before = mem_array((size_t)count + 1, sizeof *before); /* the one before it, + 1 */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *at = &last[hashes[i] >> shift & (VALUES - 1)];
        if (left_out[i])
            continue;
        for (uint32_t k = *at; k > 0; k = before[k - 1])
            if (__builtin_popcountll(hashes[i] ^ hashes[k - 1]) <= ALIKE_BITS)
                join(group, i, k - 1);
        before[i] = *at;
        *at = i + 1;
    }
    mem_free(before);
    mem_free(last);
}

void alike_groups(const uint64_t *hashes, const bool *left_out, uint32_t count, uint32_t *group)
{
    for (uint32_t i = 0; i < count; i++)
        group[i] = i;
    for (int shift = 0; shift < 64; shift += 16)
        join_band(hashes, left_out, count, shift, group);
    for (uint32_t i = 0; i < count; i++)
        group[i] = root_of(group, i);
}
