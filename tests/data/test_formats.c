/* Image files beside PNG and JPEG: the same pixels from every format, and files that are wrong in
 * every way: skipped with a reason, never more. */
#include "tests/data/fixture.h"
#include "tests/data/picture_files.h"
#include "trainer/data/image_file.h"
#include "trainer/data/raster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

#include <cmocka.h>

enum { H = 13, W = 10 }; /* rows of 30 and 10 bytes: a BMP pads them */

static struct image must_read(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    struct image image = {.room = 0};
    struct image_limits limits = {.pixels = IMAGE_MAX_PIXELS};
    if (image_file_read(path, &limits, &image, NULL) != ERR_OK)
        fail_msg("%s: %s", name, err_text());
    mem_free(path);
    return image;
}

static void expect_same(const char *folder, const char *name, const struct image *expected)
{
    struct image image = must_read(folder, name);
    assert_int_equal(image.H, expected->H);
    assert_int_equal(image.W, expected->W);
    assert_int_equal(image.C, expected->C);
    size_t size = (size_t)image.H * (size_t)image.W * (size_t)image.C;
    if (memcmp(image.pixels, expected->pixels, size) != 0)
        fail_msg("%s: other pixels", name);
    mem_free(image.pixels);
}

/* Takes the bytes. */
static void put(const struct scene *scene, const char *name, uint8_t *bytes, size_t size)
{
    write_file(scene->folder, name, bytes, size);
    mem_free(bytes);
}

static void pnm_of_8_and_16_bits_is_read_as_the_same_png(void **state)
{
    struct scene *scene = *state;
    for (int C = 1; C <= 3; C += 2) {
        struct image expected = picture(H, W, C, 1);
        size_t size = 0;
        write_png(scene->folder, "a.png", &expected);
        expect_same(scene->folder, "a.png", &expected);
        for (int bits = 8; bits <= 16; bits++) { /* a file of 10 bits says so itself */
            uint8_t *bytes = make_pnm(&expected, (1 << bits) - 1, bits - 8, &size);
            put(scene, "a.pnm", bytes, size);
            expect_same(scene->folder, "a.pnm", &expected);
        }
        mem_free(expected.pixels);
    }
}

static void bmp_of_8_24_and_32_bits_is_read_as_the_same_png(void **state)
{
    struct scene *scene = *state;
    static const int depths[] = {8, 24, 32};
    for (int i = 0; i < 6; i++) {
        int depth = depths[i / 2];
        struct image expected = picture(H, W, depth == 8 ? 1 : 3, 2);
        size_t size = 0;
        uint8_t *bytes = make_bmp(&expected, depth, i % 2 ? TOP_DOWN : BOTTOM_UP, &size);
        put(scene, "a.bmp", bytes, size);
        for (int k = 0; depth == 8 && k < H * W; k++)
            expected.pixels[k] = (uint8_t)(255 - expected.pixels[k]);
        expect_same(scene->folder, "a.bmp", &expected);
        mem_free(expected.pixels);
    }
}

static void a_bmp_with_a_coloured_palette_is_of_three_channels(void **state)
{
    struct scene *scene = *state;
    struct image indices = picture(H, W, 1, 3), expected = picture(H, W, 3, 3);
    size_t size = 0;
    uint8_t *bytes = make_bmp(&indices, 8, TOP_DOWN, &size);
    bytes[54 + 4 * 200] = 7; /* blue of colour 200, which was 55 in every channel */
    for (int i = 0; i < H * W; i++) {
        memset(expected.pixels + 3 * i, 255 - indices.pixels[i], 3);
        if (indices.pixels[i] == 200)
            expected.pixels[3 * i + 2] = 7;
    }
    put(scene, "a.bmp", bytes, size);
    expect_same(scene->folder, "a.bmp", &expected);
    mem_free(indices.pixels);
    mem_free(expected.pixels);
}

static void save_tiff(const char *folder, const char *name, const struct image *image,
                      VipsInterpretation meaning)
{
    char *path = file_join(folder, name);
    VipsImage *from = vips_image_new_from_memory(
        image->pixels, (size_t)image->H * (size_t)image->W * (size_t)image->C, image->W, image->H,
        image->C, VIPS_FORMAT_UCHAR);
    VipsImage *wide = NULL;
    from->Type = image->C == 1 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
    assert_int_equal(vips_colourspace(from, &wide, meaning, NULL), 0);
    assert_int_equal(vips_tiffsave(wide, path, "compression",
                                   image->C == 1 ? VIPS_FOREIGN_TIFF_COMPRESSION_NONE
                                                 : VIPS_FOREIGN_TIFF_COMPRESSION_LZW,
                                   NULL),
                     0);
    g_object_unref(wide);
    g_object_unref(from);
    mem_free(path);
}

static void tiff_of_8_and_16_bits_and_with_a_palette_is_read_as_the_same_png(void **state)
{
    struct scene *scene = *state;
    struct image grey = picture(H, W, 1, 4), colour = picture(H, W, 3, 5);
    size_t size = 0;
    assert_int_equal(image_file_start(), ERR_OK);
    save_tiff(scene->folder, "grey8.tif", &grey, VIPS_INTERPRETATION_B_W);
    save_tiff(scene->folder, "grey16.tif", &grey, VIPS_INTERPRETATION_GREY16);
    save_tiff(scene->folder, "colour8.tif", &colour, VIPS_INTERPRETATION_sRGB);
    save_tiff(scene->folder, "colour16.tif", &colour, VIPS_INTERPRETATION_RGB16);
    expect_same(scene->folder, "grey8.tif", &grey);
    expect_same(scene->folder, "grey16.tif", &grey);
    expect_same(scene->folder, "colour8.tif", &colour);
    expect_same(scene->folder, "colour16.tif", &colour);
    uint8_t *bytes = make_palette_tiff(&grey, &size);
    put(scene, "palette.tif", bytes, size);
    for (int i = 0; i < H * W; i++) {
        uint8_t index = grey.pixels[i];
        memcpy(colour.pixels + 3 * i, ((uint8_t[]){index, (uint8_t)(255 - index), index ^ 85}), 3);
    }
    expect_same(scene->folder, "palette.tif", &colour);
    mem_free(grey.pixels);
    mem_free(colour.pixels);
}

static void of_a_tiff_with_several_pages_the_first_is_taken(void **state)
{
    struct scene *scene = *state;
    struct image both = picture(2 * H, W, 1, 6);
    char *path = file_join(scene->folder, "pages.tif");
    assert_int_equal(image_file_start(), ERR_OK);
    VipsImage *from = vips_image_new_from_memory_copy(both.pixels, 2 * (size_t)(H * W), W, 2 * H, 1,
                                                      VIPS_FORMAT_UCHAR);
    from->Type = VIPS_INTERPRETATION_B_W;
    assert_int_equal(vips_tiffsave(from, path, "page_height", H, NULL), 0);
    both.H = H;
    expect_same(scene->folder, "pages.tif", &both);
    g_object_unref(from);
    mem_free(path);
    mem_free(both.pixels);
}

static void a_tiff_of_floats_is_told_what_to_do(void **state)
{
    struct scene *scene = *state;
    struct image image = {.room = 0};
    struct image_limits limits = {.pixels = IMAGE_MAX_PIXELS};
    enum image_fault fault = IMAGE_FAULT_NONE;
    char *path = file_join(scene->folder, "float.tif");
    VipsImage *black = NULL, *real = NULL;
    assert_int_equal(image_file_start(), ERR_OK);
    assert_int_equal(vips_black(&black, W, H, NULL), 0);
    assert_int_equal(vips_cast_float(black, &real, NULL), 0);
    assert_int_equal(vips_tiffsave(real, path, NULL), 0);
    assert_int_equal(image_file_read(path, &limits, &image, &fault), ERR_DATA);
    assert_int_equal(fault, IMAGE_FAULT_WRONG_TYPE);
    assert_non_null(strstr(err_text(), "save it as PNG"));
    g_object_unref(black);
    g_object_unref(real);
    mem_free(path);
}

/* In memory that ends where the file does, so that a sanitizer sees a read behind it. */
static enum err read_exactly(const uint8_t *bytes, size_t size)
{
    enum err err = ERR_OK;
    struct raster raster;
    uint8_t *copy = malloc(size > 0 ? size : 1), *samples = NULL;
    memcpy(copy, bytes, size);
    TRY(bmp_is(copy, size) ? bmp_open(copy, size, &raster) : pnm_open(copy, size, &raster));
    if (raster.H == 0 || raster.W == 0 || raster.H > 2 * H || raster.W > 2 * W)
        TRY(err_set(ERR_USAGE, "the caller refuses it"));
    samples = malloc((size_t)raster.H * (size_t)raster.W * 6);
    TRY(raster_read(&raster, samples));
out:
    free(samples);
    free(copy);
    return err;
}

/* "P5" and "BM" begin all that comes to the readers. */
static void expect_whole_only(uint8_t *bytes, size_t size, size_t least, size_t spare)
{
    assert_int_equal(read_exactly(bytes, size), ERR_OK);
    assert_int_equal(read_exactly(bytes, size - spare), ERR_OK); /* padding of the last row */
    for (size_t cut = least; cut < size - spare; cut++)
        assert_int_equal(read_exactly(bytes, cut), ERR_DATA);
    mem_free(bytes);
}

static void files_cut_short_at_every_byte_are_damaged(void **state)
{
    (void)state;
    struct image grey = picture(H, W, 1, 7), colour = picture(H, W, 3, 8);
    size_t size = 0;
    uint8_t *bytes = make_pnm(&grey, 255, 0, &size);
    expect_whole_only(bytes, size, 2, 0);
    bytes = make_pnm(&colour, 1023, 2, &size);
    expect_whole_only(bytes, size, 2, 0);
    bytes = make_bmp(&grey, 8, BOTTOM_UP, &size);
    expect_whole_only(bytes, size, 18, 2);
    bytes = make_bmp(&colour, 24, TOP_DOWN, &size);
    expect_whole_only(bytes, size, 18, 2);
    bytes = make_bmp(&colour, 32, BOTTOM_UP, &size);
    expect_whole_only(bytes, size, 18, 0);
    mem_free(grey.pixels);
    mem_free(colour.pixels);
}

/* Files as an import meets them: the fault and a word of the reason. */
static void expect_fault(const struct scene *scene, const void *bytes, size_t size,
                         enum image_fault expected, const char *words)
{
    struct image image = {.room = 0};
    struct image_limits limits = {.pixels = 1000000};
    enum image_fault fault = IMAGE_FAULT_NONE;
    char *path = file_join(scene->folder, "wrong");
    write_file(scene->folder, "wrong", bytes, size);
    enum err err = image_file_read(path, &limits, &image, &fault);
    if (err != ERR_DATA || fault != expected || !strstr(err_text(), words))
        fail_msg("\"%.20s\": %s, fault %d, \"%s\" instead of fault %d, \"%s\"", (const char *)bytes,
                 err_name(err), fault, err_text(), expected, words);
    mem_free(image.pixels);
    mem_free(path);
}

static void wrong_pnm_files_are_told_why(void **state)
{
    static const struct {
        const char *text;
        enum image_fault fault;
        const char *words;
    } cases[] = {
        {"P5", IMAGE_FAULT_WRONG_TYPE, "neither"},
        {"P5 is a line of text", IMAGE_FAULT_UNREADABLE, "header"},
        {"P4 1 1\n.", IMAGE_FAULT_WRONG_TYPE, "neither"},
        {"P5 0 1 255\n.", IMAGE_FAULT_EMPTY, "no pixels"},
        {"P5 1 0 255\n.", IMAGE_FAULT_EMPTY, "no pixels"},
        {"P5 -1 1 255\n.", IMAGE_FAULT_UNREADABLE, "header"},
        {"P5 99999999999999999999 1 255\n.", IMAGE_FAULT_UNREADABLE, "header"},
        {"P6 2147483647 2147483647 65535\n.", IMAGE_FAULT_OVERSIZED, "2147483647 x"},
        {"P5 65500 65500 255\n.", IMAGE_FAULT_OVERSIZED, "65500 x 65500"},
        {"P5 1 1 0\n.", IMAGE_FAULT_WRONG_TYPE, "greatest value is 0"},
        {"P5 1 1 1000\n..", IMAGE_FAULT_WRONG_TYPE, "greatest value is 1000"},
        {"P5 1 1 65536\n..", IMAGE_FAULT_WRONG_TYPE, "greatest value is 65536"},
        {"P5 1 1 255", IMAGE_FAULT_UNREADABLE, "header"},
        {"P5 1 1 255#", IMAGE_FAULT_UNREADABLE, "header"},
        {"P5 1 1 255\n", IMAGE_FAULT_UNREADABLE, "cut short"},
        {"P5 2 2 65535\n.......", IMAGE_FAULT_UNREADABLE, "cut short"},
        {"P5 #", IMAGE_FAULT_UNREADABLE, "header"},
        {"BMW is a maker of cars and motorcycles", IMAGE_FAULT_WRONG_TYPE, "neither"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_fault(*state, cases[i].text, strlen(cases[i].text), cases[i].fault, cases[i].words);
}

static void wrong_bmp_files_are_told_why(void **state)
{
    static const struct {
        int depth;
        size_t at; /* what is changed in a sound file of that depth */
        uint32_t value;
        int bytes;
        enum image_fault fault;
        const char *words;
    } cases[] = {
        {24, 18, 0, 4, IMAGE_FAULT_EMPTY, "no pixels"},
        {24, 22, 0, 4, IMAGE_FAULT_EMPTY, "no pixels"},
        {24, 18, 0xffffffff, 4, IMAGE_FAULT_UNREADABLE, "header"},
        {24, 22, 0x80000000, 4, IMAGE_FAULT_UNREADABLE, "header"},
        {24, 22, 0x80000001, 4, IMAGE_FAULT_OVERSIZED, "2147483647"},
        {32, 18, 0x7fffffff, 4, IMAGE_FAULT_OVERSIZED, "2147483647"},
        {24, 18, W + 1, 4, IMAGE_FAULT_UNREADABLE, "cut short"},
        {24, 22, H + 1, 4, IMAGE_FAULT_UNREADABLE, "cut short"},
        {24, 10, 0, 4, IMAGE_FAULT_UNREADABLE, "header"},
        {24, 10, 53, 4, IMAGE_FAULT_UNREADABLE, "header"},
        {24, 10, 0xffffffff, 4, IMAGE_FAULT_UNREADABLE, "header"},
        {24, 14, 12, 4, IMAGE_FAULT_WRONG_TYPE, "OS/2"},
        {24, 14, 39, 4, IMAGE_FAULT_UNREADABLE, "header"},
        {24, 28, 16, 2, IMAGE_FAULT_WRONG_TYPE, "16 bits a pixel"},
        {24, 28, 0, 2, IMAGE_FAULT_WRONG_TYPE, "0 bits a pixel"},
        {8, 30, 1, 4, IMAGE_FAULT_WRONG_TYPE, "compressed (method 1)"},
        {32, 30, 3, 4, IMAGE_FAULT_WRONG_TYPE, "masks"},
        {8, 46, 257, 4, IMAGE_FAULT_UNREADABLE, "palette of 257"},
        {8, 46, 0xffffffff, 4, IMAGE_FAULT_UNREADABLE, "palette of 4294967295"},
        {8, 46, 8, 4, IMAGE_FAULT_UNREADABLE, "the palette has 8"},
        {8, 10, 1077, 4, IMAGE_FAULT_UNREADABLE, "palette of 256"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image image = picture(H, W, cases[i].depth == 8 ? 1 : 3, 9);
        size_t size = 0;
        uint8_t *bytes = make_bmp(&image, cases[i].depth, BOTTOM_UP, &size);
        put_little(bytes + cases[i].at, cases[i].value, cases[i].bytes);
        expect_fault(*state, bytes, size, cases[i].fault, cases[i].words);
        mem_free(bytes);
        mem_free(image.pixels);
    }
}

static void a_tiff_cut_short_is_never_read_as_a_whole_one(void **state)
{
    struct scene *scene = *state;
    struct image indices = picture(H, W, 1, 10), image = {.room = 0};
    struct image_limits limits = {.pixels = 1000000};
    char *path = file_join(scene->folder, "cut.tif");
    size_t size = 0;
    uint8_t *bytes = make_palette_tiff(&indices, &size);
    for (size_t cut = 0; cut < size; cut += 7) {
        enum image_fault fault = IMAGE_FAULT_NONE;
        write_file(scene->folder, "cut.tif", bytes, cut);
        assert_int_equal(image_file_read(path, &limits, &image, &fault), ERR_DATA);
        assert_int_not_equal(fault, IMAGE_FAULT_NONE);
    }
    mem_free(bytes);
    mem_free(path);
    mem_free(image.pixels);
    mem_free(indices.pixels);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pnm_of_8_and_16_bits_is_read_as_the_same_png),
        TEST(bmp_of_8_24_and_32_bits_is_read_as_the_same_png),
        TEST(a_bmp_with_a_coloured_palette_is_of_three_channels),
        TEST(tiff_of_8_and_16_bits_and_with_a_palette_is_read_as_the_same_png),
        TEST(of_a_tiff_with_several_pages_the_first_is_taken),
        TEST(a_tiff_of_floats_is_told_what_to_do),
        cmocka_unit_test(files_cut_short_at_every_byte_are_damaged),
        TEST(wrong_pnm_files_are_told_why),
        TEST(wrong_bmp_files_are_told_why),
        TEST(a_tiff_cut_short_is_never_read_as_a_whole_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
