/* Windows bitmaps (Microsoft's BITMAPFILEHEADER, then BITMAPINFOHEADER or a later one; numbers are
 * little-endian): at 10 where the pixels begin, at 14 the header's length, 18 width, 22 height
 * (negative: rows from the top), 28 bits a pixel, 30 compression, 46 colours of the palette, which
 * lies behind the header. */
#include "trainer/data/raster.h"
#include <limits.h>
#include <string.h>

enum { FILE_HEADER = 14, LEAST_HEADER = 40, MASKS = 54 };
enum { COMPRESSION_NONE = 0, COMPRESSION_MASKS = 3 };

static uint32_t word(const uint8_t *bytes, size_t at)
{
    return (uint32_t)bytes[at] | (uint32_t)bytes[at + 1] << 8 | (uint32_t)bytes[at + 2] << 16 |
           (uint32_t)bytes[at + 3] << 24;
}

bool bmp_is(const uint8_t *bytes, size_t size_bytes)
{
    /* A header's length is small; text would be there a number of ten digits. */
    return size_bytes >= FILE_HEADER + 4 && bytes[0] == 'B' && bytes[1] == 'M' &&
           word(bytes, FILE_HEADER) < 256;
}

/* Red, green and blue in the order of 24 bits, which is what programs write. */
static bool has_usual_masks(const uint8_t *bytes, size_t size_bytes)
{
    return size_bytes >= MASKS + 12 && word(bytes, MASKS) == 0xff0000 &&
           word(bytes, MASKS + 4) == 0xff00 && word(bytes, MASKS + 8) == 0xff;
}

static enum err check_kind(const uint8_t *bytes, size_t size_bytes, int depth)
{
    uint32_t compression = word(bytes, 30);
    bool is_plain =
        compression == COMPRESSION_NONE ||
        (compression == COMPRESSION_MASKS && depth == 32 && has_usual_masks(bytes, size_bytes));
    if (depth != 8 && depth != 24 && depth != 32)
        return err_set(ERR_UNAVAILABLE,
                       "a BMP of %d bits a pixel: 8, 24 and 32 are read; save it "
                       "as PNG",
                       depth);
    if (!is_plain)
        return err_set(ERR_UNAVAILABLE,
                       "a BMP that is compressed (method %u) or has unusual colour masks: save it "
                       "as PNG",
                       compression);
    return ERR_OK;
}

static enum err read_palette(const uint8_t *bytes, size_t begin, struct raster *raster)
{
    uint32_t count = word(bytes, 46), header = word(bytes, FILE_HEADER);
    count = count == 0 ? 256 : count;
    if (count > 256 || FILE_HEADER + header + 4 * count > begin)
        return err_set(ERR_DATA, "its palette of %u colours does not fit before the pixels", count);
    raster->palette = bytes + FILE_HEADER + header;
    raster->palette_count = (int)count;
    raster->C = 1;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *colour = raster->palette + 4 * (size_t)i;
        if (colour[0] != colour[1] || colour[0] != colour[2])
            raster->C = 3;
    }
    return ERR_OK;
}

enum err bmp_open(const uint8_t *bytes, size_t size_bytes, struct raster *raster)
{
    enum err err = ERR_OK;
    struct raster read = {.C = 3, .bits = 8, .is_blue_first = true};
    uint32_t header = word(bytes, FILE_HEADER);
    if (header == 12)
        TRY(err_set(ERR_UNAVAILABLE, "a BMP of OS/2: save it as PNG"));
    if (header < LEAST_HEADER || size_bytes < FILE_HEADER + (size_t)header)
        TRY(err_set(ERR_DATA, "its header is damaged or cut short"));
    size_t begin = word(bytes, 10);
    int depth = bytes[28] | bytes[29] << 8;
    int32_t W = (int32_t)word(bytes, 18), H = (int32_t)word(bytes, 22);
    if (begin < FILE_HEADER + header || begin > size_bytes || W < 0 || H == INT32_MIN)
        TRY(err_set(ERR_DATA, "its header is damaged or cut short"));
    TRY(check_kind(bytes, size_bytes, depth));
    if (depth == 8)
        TRY(read_palette(bytes, begin, &read));
    read.W = W;
    read.H = H < 0 ? -H : H;
    read.is_bottom_up = H > 0;
    read.pixels = bytes + begin;
    read.size_bytes = size_bytes - begin;
    read.pixel_bytes = (size_t)depth / 8;
    read.row_bytes = ((size_t)W * read.pixel_bytes + 3) / 4 * 4;
    *raster = read;
out:
    return err;
}
