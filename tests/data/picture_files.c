#include "tests/data/picture_files.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

void put_little(uint8_t *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

uint8_t *make_pnm(const struct image *image, int greatest, int shift, size_t *size_bytes)
{
    size_t samples = (size_t)image->H * (size_t)image->W * (size_t)image->C;
    uint8_t *file = mem_alloc(64 + 2 * samples);
    int begin = snprintf((char *)file, 64, "P%d\n# made by a test\n%d %d\n%d\n",
                         image->C == 1 ? 5 : 6, image->W, image->H, greatest);
    size_t at = (size_t)begin;
    for (size_t i = 0; i < samples; i++) {
        int value = image->pixels[i] << shift;
        if (greatest > 255)
            file[at++] = (uint8_t)(value >> 8);
        file[at++] = (uint8_t)value;
    }
    *size_bytes = at;
    return file;
}

static void put_bmp_row(const struct image *image, int y, int depth, uint8_t *row)
{
    const uint8_t *pixels = image->pixels + (size_t)(y * image->W * image->C);
    for (int x = 0; x < image->W; x++, row += depth / 8)
        for (int c = 0; c < image->C; c++)
            row[c] = pixels[(x + 1) * image->C - 1 - c];
}

uint8_t *make_bmp(const struct image *image, int depth, enum rows rows, size_t *size_bytes)
{
    size_t begin = 54 + (depth == 8 ? 1024 : 0), row = (size_t)(image->W * depth / 8 + 3) / 4 * 4;
    *size_bytes = begin + row * (size_t)image->H;
    uint8_t *file = mem_alloc(*size_bytes);
    memcpy(file, "BM", 2);
    put_little(file + 2, (uint32_t)*size_bytes, 4);
    put_little(file + 10, (uint32_t)begin, 4);
    put_little(file + 14, 40, 4);
    put_little(file + 18, (uint32_t)image->W, 4);
    put_little(file + 22, (uint32_t)(rows == TOP_DOWN ? -image->H : image->H), 4);
    put_little(file + 26, 1, 2);
    put_little(file + 28, (uint32_t)depth, 2);
    for (int i = 0; depth == 8 && i < 256; i++)
        memset(file + 54 + 4 * i, 255 - i, 3);
    for (int y = 0; y < image->H; y++)
        put_bmp_row(image, y, depth,
                    file + begin + row * (size_t)(rows == TOP_DOWN ? y : image->H - 1 - y));
    return file;
}

uint8_t *make_palette_tiff(const struct image *indices, size_t *size_bytes)
{
    enum { SHORT = 3, LONG = 4, ENTRIES = 10, DIRECTORY = 8 };
    size_t colours = DIRECTORY + 2 + 12 * ENTRIES + 4, pixels = colours + 3 * 256 * 2;
    size_t count = (size_t)(indices->H * indices->W);
    const uint32_t entries[ENTRIES][4] = {{256, LONG, 1, (uint32_t)indices->W},
                                          {257, LONG, 1, (uint32_t)indices->H},
                                          {258, SHORT, 1, 8},
                                          {259, SHORT, 1, 1},
                                          {262, SHORT, 1, 3}, /* a palette */
                                          {273, LONG, 1, (uint32_t)pixels},
                                          {277, SHORT, 1, 1},
                                          {278, LONG, 1, (uint32_t)indices->H},
                                          {279, LONG, 1, (uint32_t)count},
                                          {320, SHORT, 768, (uint32_t)colours}};
    *size_bytes = pixels + count;
    uint8_t *file = mem_alloc(*size_bytes), *at = file + DIRECTORY;
    memcpy(file, "II*\0\x08\0\0\0", 8);
    put_little(at, ENTRIES, 2);
    at += 2;
    for (int i = 0; i < ENTRIES; i++, at += 12) {
        put_little(at, entries[i][0], 2);
        put_little(at + 2, entries[i][1], 2);
        put_little(at + 4, entries[i][2], 4);
        put_little(at + 8, entries[i][3], 4);
    }
    for (uint32_t i = 0; i < 256; i++) {
        const uint32_t colour[3] = {i, 255 - i, i ^ 85};
        for (int c = 0; c < 3; c++)
            put_little(file + colours + 512 * (size_t)c + 2 * i, 257 * colour[c], 2);
    }
    memcpy(file + pixels, indices->pixels, count);
    return file;
}
