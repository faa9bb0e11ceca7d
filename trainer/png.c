#include "trainer/png.h"
#include "base/mem.h"
#include <string.h>
#include <zlib.h>

static void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Length, type, data, checksum over type and data. */
static void add_chunk(struct text *png, const char *type, const void *data, size_t size_bytes)
{
    uint8_t word[4];
    put_u32(word, (uint32_t)size_bytes);
    text_add_bytes(png, word, sizeof word);
    size_t start = png->size;
    text_add_bytes(png, type, 4);
    if (size_bytes > 0)
        text_add_bytes(png, data, size_bytes);
    put_u32(word, (uint32_t)crc32(0, (const Bytef *)png->bytes + start, (uInt)(png->size - start)));
    text_add_bytes(png, word, sizeof word);
}

static void add_png(const uint8_t *pixels, int H, int W, int C, struct text *png)
{
    static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    uint8_t header[13] = {0};
    size_t line = (size_t)W * (size_t)C, size = (line + 1) * (size_t)H;
    uint8_t *rows = mem_alloc(size); /* each behind a zero: not filtered */
    for (int y = 0; y < H; y++)
        memcpy(rows + (size_t)y * (line + 1) + 1, pixels + (size_t)y * line, line);
    uLongf packed_bytes = compressBound((uLong)size);
    uint8_t *packed = mem_alloc(packed_bytes);
    if (compress(packed, &packed_bytes, rows, (uLong)size) != Z_OK)
        BUG("zlib cannot pack %zu bytes into its own bound", size);
    put_u32(header, (uint32_t)W);
    put_u32(header + 4, (uint32_t)H);
    header[8] = 8;              /* bits */
    header[9] = C == 3 ? 2 : 0; /* RGB or grey */
    text_add_bytes(png, signature, sizeof signature);
    add_chunk(png, "IHDR", header, sizeof header);
    add_chunk(png, "IDAT", packed, packed_bytes);
    add_chunk(png, "IEND", NULL, 0);
    mem_free(packed);
    mem_free(rows);
}

static void add_base64(struct text *text, const uint8_t *bytes, size_t size_bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size_bytes; i += 3) {
        size_t left = size_bytes - i;
        uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0);
        char quad[4] = {digits[word >> 18], digits[word >> 12 & 63],
                        left > 1 ? digits[word >> 6 & 63] : '=',
                        left > 2 ? digits[word & 63] : '='};
        text_add_bytes(text, quad, sizeof quad);
    }
}

void png_base64(const uint8_t *pixels, int H, int W, int C, struct text *text)
{
    struct text png;
    text_init(&png);
    add_png(pixels, H, W, C, &png);
    add_base64(text, (const uint8_t *)png.bytes, png.size);
    text_fini(&png);
}
