#include "trainer/data/image_quality.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

enum { WHITE = 250, HASH_SIDE = 8, CELL_UNIT = 32 };

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

/* Of rows x columns cells that share the picture. */
static double cell_mean(const uint8_t *luma, int H, int W, const int grid[2], const int cell[2])
{
    int top, bottom, left, right;
    double sum = 0;
    cut(H, cell[0], grid[0], &top, &bottom);
    cut(W, cell[1], grid[1], &left, &right);
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++)
            sum += luma[(size_t)y * (size_t)W + (size_t)x];
    return sum / ((double)(bottom - top) * (right - left));
}

/* Cells along one axis (1: columns) are compared, 8 times in each of 8 lines. */
static uint64_t difference_hash(const uint8_t *luma, int H, int W, int axis)
{
    uint64_t hash = 0;
    int grid[2] = {HASH_SIDE, HASH_SIDE};
    grid[axis]++;
    for (int line = 0; line < HASH_SIDE; line++) {
        double last = 0;
        for (int at = 0; at <= HASH_SIDE; at++) {
            int cell[2] = {line, line};
            cell[axis] = at;
            double mean = cell_mean(luma, H, W, grid, cell);
            if (at > 0)
                hash = hash << 1 | (last < mean);
            last = mean;
        }
    }
    return hash;
}

static void look_at_cells(const uint8_t *luma, int H, int W, int8_t *cells)
{
    enum { ALL = LOOK_CELLS * LOOK_CELLS };
    static const int grid[2] = {LOOK_CELLS, LOOK_CELLS};
    double means[ALL], sum = 0, squares = 0;
    for (int i = 0; i < ALL; i++) {
        int cell[2] = {i / LOOK_CELLS, i % LOOK_CELLS};
        means[i] = cell_mean(luma, H, W, grid, cell);
        sum += means[i];
        squares += means[i] * means[i];
    }
    double deviation = sqrt(variance(sum, squares, ALL));
    for (int i = 0; i < ALL; i++) {
        double units = deviation > 0 ? CELL_UNIT * (means[i] - sum / ALL) / deviation : 0;
        cells[i] = (int8_t)lround(units < -127 ? -127 : units > 127 ? 127 : units);
    }
}

void image_quality_of(const struct image *image, struct image_quality *quality)
{
    int H = image->H, W = image->W;
    uint8_t *owned = NULL;
    const uint8_t *luma = luma_of(image, &owned);
    measure_light(luma, (size_t)H * (size_t)W, quality);
    quality->sharpness = measure_sharpness(luma, H, W);
    quality->look.across = difference_hash(luma, H, W, 1);
    quality->look.down = difference_hash(luma, H, W, 0);
    look_at_cells(luma, H, W, quality->look.cells);
    mem_free(owned);
}

bool image_looks_alike(const struct image_look *one, const struct image_look *other)
{
    int32_t squares = 0;
    if (__builtin_popcountll(one->across ^ other->across) > ALIKE_BITS ||
        __builtin_popcountll(one->down ^ other->down) > ALIKE_BITS)
        return false;
    for (int i = 0; i < LOOK_CELLS * LOOK_CELLS; i++) {
        int32_t difference = one->cells[i] - other->cells[i];
        squares += difference * difference;
    }
    /* Of standardised numbers the mean square of the difference is 2 (1 - correlation). */
    return squares <= 2 * (1 - ALIKE_CORRELATION) * LOOK_CELLS * LOOK_CELLS * CELL_UNIT * CELL_UNIT;
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

/* Pictures whose hashes agree in the 16 bits of one of four bands are held against each other:
 * where they differ in 3 bits, one band at least agrees. */
static void join_band(const struct image_look *looks, const bool *left_out, uint32_t count,
                      int shift, uint32_t *group)
{
    enum { VALUES = 1 << 16 };
    uint32_t *last = mem_array(VALUES, sizeof *last); /* number + 1 of the latest of a value */
    uint32_t *before = mem_array((size_t)count + 1, sizeof *before); /* the one before it, + 1 */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *at = &last[looks[i].across >> shift & (VALUES - 1)];
        if (left_out[i])
            continue;
        for (uint32_t k = *at; k > 0; k = before[k - 1])
            if (image_looks_alike(&looks[i], &looks[k - 1]))
                join(group, i, k - 1);
        before[i] = *at;
        *at = i + 1;
    }
    mem_free(before);
    mem_free(last);
}

void alike_groups(const struct image_look *looks, const bool *left_out, uint32_t count,
                  uint32_t *group)
{
    for (uint32_t i = 0; i < count; i++)
        group[i] = i;
    for (int shift = 0; shift < 64; shift += 16)
        join_band(looks, left_out, count, shift, group);
    for (uint32_t i = 0; i < count; i++)
        group[i] = root_of(group, i);
}
