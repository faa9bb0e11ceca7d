/* What an import is told of a camera's files: how many bits count, that one channel is a mosaic,
 * that there is no header. And that the data set says so afterwards. */
#include "tests/data/fixture.h"
#include "tests/data/picture_files.h"
#include "trainer/data/dataset_store.h"
#include "trainer/data/image_file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <vips/vips.h>

#include <cmocka.h>

enum { SIDE = 256, ALL = SIDE * SIDE }; /* every value of 16 bits once */

/* Word i at pixel i; `save`: "deep.png", "deep.tif". */
static void save_words(const char *folder, const char *name, const uint16_t *words, int side)
{
    char *path = file_join(folder, name);
    assert_int_equal(image_file_start(), ERR_OK);
    VipsImage *image = vips_image_new_from_memory(words, 2 * (size_t)(side * side), side, side, 1,
                                                  VIPS_FORMAT_USHORT);
    image->Type = VIPS_INTERPRETATION_GREY16;
    assert_int_equal(vips_image_write_to_file(image, path, NULL), 0);
    g_object_unref(image);
    mem_free(path);
}

static uint8_t *words_as_bytes(const uint16_t *words, size_t count, const char *header,
                               size_t *size_bytes)
{
    size_t at = strlen(header);
    bool is_big_endian = at > 0; /* PNM; raw files begin with the low byte */
    uint8_t *bytes = mem_alloc(at + 2 * count);
    memcpy(bytes, header, at);
    for (size_t i = 0; i < count; i++) {
        bytes[at++] = (uint8_t)(is_big_endian ? words[i] >> 8 : words[i]);
        bytes[at++] = (uint8_t)(is_big_endian ? words[i] : words[i] >> 8);
    }
    *size_bytes = at;
    return bytes;
}

static struct image must_read(const char *folder, const char *name,
                              const struct sample_format *samples)
{
    char *path = file_join(folder, name);
    struct image image = {.room = 0};
    struct image_limits limits = {.pixels = IMAGE_MAX_PIXELS, .samples = *samples};
    if (image_file_read(path, &limits, &image, NULL) != ERR_OK)
        fail_msg("%s: %s", name, err_text());
    mem_free(path);
    return image;
}

static uint16_t *every_word(void)
{
    uint16_t *words = mem_array(ALL, sizeof *words);
    for (int i = 0; i < ALL; i++)
        words[i] = (uint16_t)i;
    return words;
}

static void of_16_bits_the_low_ones_that_were_named_count_in_every_format(void **state)
{
    struct scene *scene = *state;
    static const char *const names[] = {"deep.png", "deep.tif", "deep.pgm", "deep.raw"};
    uint16_t *words = every_word();
    size_t size = 0;
    save_words(scene->folder, names[0], words, SIDE);
    save_words(scene->folder, names[1], words, SIDE);
    uint8_t *pgm = words_as_bytes(words, ALL, "P5 256 256 65535\n", &size);
    write_file(scene->folder, names[2], pgm, size);
    uint8_t *raw = words_as_bytes(words, ALL, "", &size);
    write_file(scene->folder, names[3], raw, size);
    for (int bits = 8; bits <= 16; bits++)
        for (int f = 0; f < 4; f++) {
            int side = f == 3 ? SIDE : 0;
            struct sample_format samples = {.bits = bits, .raw_width = side, .raw_height = side};
            struct image image = must_read(scene->folder, names[f], &samples);
            assert_int_equal(image.C, 1);
            for (int i = 0; i < ALL; i++)
                if (image.pixels[i] != (i >> bits ? 255 : i >> (bits - 8)))
                    fail_msg("%s: %d of %d bits became %d", names[f], i, bits, image.pixels[i]);
            mem_free(image.pixels);
        }
    mem_free(raw);
    mem_free(pgm);
    mem_free(words);
}

/* What libvips makes of words by itself, transparency over white. Returns owned (g_free). */
static uint8_t *by_itself(VipsImage *deep, VipsInterpretation space, size_t *size)
{
    VipsImage *plain = NULL, *flat = NULL, *bytes = NULL;
    int colours = space == VIPS_INTERPRETATION_B_W ? 1 : 3;
    VipsArrayDouble *white = vips_array_double_new((double[]){255, 255, 255}, colours);
    assert_int_equal(vips_colourspace(deep, &plain, space, NULL), 0);
    assert_int_equal(vips_flatten(plain, &flat, "background", white, NULL), 0);
    assert_int_equal(vips_cast_uchar(flat, &bytes, NULL), 0);
    uint8_t *pixels = vips_image_write_to_memory(bytes, size);
    vips_area_unref(VIPS_AREA(white));
    g_object_unref(bytes);
    g_object_unref(flat);
    g_object_unref(plain);
    return pixels;
}

static void unless_bits_are_named_colour_is_as_libvips_makes_it_by_itself(void **state)
{
    struct scene *scene = *state;
    uint16_t *words = mem_array(4 * ALL, sizeof *words);
    char *path = file_join(scene->folder, "clear.png");
    size_t size = 0;
    assert_int_equal(image_file_start(), ERR_OK);
    for (uint32_t i = 0; i < 4 * ALL; i++)
        words[i] = (uint16_t)(i * 40503u);
    VipsImage *deep = vips_image_new_from_memory(words, 8 * ALL, SIDE, SIDE, 4, VIPS_FORMAT_USHORT);
    deep->Type = VIPS_INTERPRETATION_RGB16;
    assert_int_equal(vips_image_write_to_file(deep, path, NULL), 0);
    uint8_t *expected = by_itself(deep, VIPS_INTERPRETATION_sRGB, &size);
    assert_int_equal(size, 3 * ALL);
    for (int bits = 0; bits <= 16; bits += 16) {
        struct image image =
            must_read(scene->folder, "clear.png", &(struct sample_format){.bits = bits});
        assert_memory_equal(image.pixels, expected, size);
        mem_free(image.pixels);
    }
    g_free(expected);
    g_object_unref(deep);
    mem_free(path);
    mem_free(words);
}

/* libvips goes through linear light there, and back not quite to where it was. */
static void grey_is_within_one_of_what_libvips_makes_by_itself(void **state)
{
    struct scene *scene = *state;
    uint16_t *words = every_word();
    size_t size = 0;
    save_words(scene->folder, "deep.png", words, SIDE);
    VipsImage *deep = vips_image_new_from_memory(words, 2 * ALL, SIDE, SIDE, 1, VIPS_FORMAT_USHORT);
    deep->Type = VIPS_INTERPRETATION_GREY16;
    uint8_t *other = by_itself(deep, VIPS_INTERPRETATION_B_W, &size);
    struct image image = must_read(scene->folder, "deep.png", &(struct sample_format){0});
    for (int i = 0; i < ALL; i++) {
        assert_int_equal(image.pixels[i], i >> 8);
        assert_in_range(image.pixels[i] - other[i] + 1, 0, 2);
    }
    mem_free(image.pixels);
    g_free(other);
    g_object_unref(deep);
    mem_free(words);
}

static void bits_change_nothing_in_files_of_8_bits(void **state)
{
    struct scene *scene = *state;
    write_picture(scene->folder, "a.png", 20, 20, 3, 1);
    struct image plain = must_read(scene->folder, "a.png", &(struct sample_format){0});
    struct image image = must_read(scene->folder, "a.png", &(struct sample_format){.bits = 10});
    assert_memory_equal(plain.pixels, image.pixels, 1200);
    mem_free(plain.pixels);
    mem_free(image.pixels);
}

/* A mosaic of 16 bits, 10 of which count. */
static void a_mosaic_is_made_colour_before_bits_are_dropped(void **state)
{
    struct scene *scene = *state;
    enum { S = 12 };
    uint16_t words[S * S], rgb[3 * S * S];
    for (int i = 0; i < S * S; i++)
        words[i] = (uint16_t)(i * i * 31 % 1100); /* some above 1023 */
    save_words(scene->folder, "mosaic.png", words, S);
    for (enum bayer bayer = BAYER_RG; bayer <= BAYER_BG; bayer++) {
        struct sample_format samples = {.bits = 10, .bayer = bayer};
        struct image image = must_read(scene->folder, "mosaic.png", &samples);
        demosaic_u16(words, S, S, bayer, rgb);
        assert_int_equal(image.C, 3);
        for (int i = 0; i < 3 * S * S; i++)
            assert_int_equal(image.pixels[i], rgb[i] > 1023 ? 255 : rgb[i] >> 2);
        mem_free(image.pixels);
    }
}

static void a_mosaic_is_made_colour_before_it_is_shrunk_and_turned(void **state)
{
    struct scene *scene = *state;
    struct image mosaic = {.H = 40, .W = 60, .C = 1}, image = {.room = 0};
    struct image_limits limits = {.pixels = 10000, .side = 10, .samples = {.bayer = BAYER_GB}};
    static const uint8_t colour[3] = {200, 100, 50}; /* green and blue, red and green */
    char *path = file_join(scene->folder, "turned.tif");
    image_reserve(&mosaic, 2400);
    for (int i = 0; i < 2400; i++)
        mosaic.pixels[i] = colour[i / 60 % 2 == 0 ? 1 + i % 2 : i % 2];
    assert_int_equal(image_file_start(), ERR_OK);
    VipsImage *from =
        vips_image_new_from_memory_copy(mosaic.pixels, 2400, 60, 40, 1, VIPS_FORMAT_UCHAR);
    from->Type = VIPS_INTERPRETATION_B_W;
    vips_image_set_int(from, VIPS_META_ORIENTATION, 6);
    assert_int_equal(vips_tiffsave(from, path, NULL), 0);
    assert_int_equal(image_file_read(path, &limits, &image, NULL), ERR_OK);
    assert_int_equal(image.C, 3);
    assert_int_equal(image.W, 10);
    assert_int_equal(image.H, 15);
    for (int i = 0; i < 450; i++)
        assert_int_equal(image.pixels[i], colour[i % 3]);
    g_object_unref(from);
    mem_free(path);
    mem_free(image.pixels);
    mem_free(mosaic.pixels);
}

static void colour_files_are_no_mosaic(void **state)
{
    struct scene *scene = *state;
    write_picture(scene->folder, "a.png", 20, 20, 3, 1);
    struct image plain = must_read(scene->folder, "a.png", &(struct sample_format){0});
    struct image image =
        must_read(scene->folder, "a.png", &(struct sample_format){.bayer = BAYER_RG});
    assert_memory_equal(plain.pixels, image.pixels, 1200);
    mem_free(plain.pixels);
    mem_free(image.pixels);
}

static void without_a_header_the_size_alone_says_what_a_file_is(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    struct image first = picture(9, 14, 1, 1), image = {.room = 0};
    write_file(scene->source, "a/mono8.raw", first.pixels, 126);
    write_picture(scene->source, "a/picture.png", 9, 14, 1, 2);
    write_file(scene->source, "b/short.raw", first.pixels, 125);
    write_file(scene->source, "b/empty.raw", "", 0);
    memcpy(first.pixels, "P5 1 1 255\n", 11); /* pixels all the same */
    write_file(scene->source, "b/odd.raw", first.pixels, 126);
    scene->cfg.samples = (struct sample_format){.raw_width = 14, .raw_height = 9};
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_OK);
    assert_int_equal(report.train_count, 2);
    const char *reason = skip_reason(&report, "b/short.raw", SKIP_WRONG_TYPE);
    assert_non_null(reason);
    assert_string_equal(reason, "125 bytes: 14 x 9 pixels are 126 bytes, or 252 of 16 bits each");
    assert_non_null(skip_reason(&report, "a/picture.png", SKIP_WRONG_TYPE));
    assert_non_null(skip_reason(&report, "b/empty.raw", SKIP_EMPTY));
    import_report_fini(&report);
    struct dataset *dataset = NULL;
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_OK);
    assert_int_equal(dataset_read(dataset, 1, &image), ERR_OK);
    assert_memory_equal(image.pixels, first.pixels, 126);
    dataset_close(&dataset);
    mem_free(image.pixels);
    mem_free(first.pixels);
}

/* Bits that would fit, of pictures whose greatest word is this; in a mosaic as without. */
static int fitting_bits(struct scene *scene, int greatest, const struct sample_format *samples)
{
    enum { COUNT = 16 * 16 };
    uint16_t words[COUNT];
    struct import_report report;
    for (int i = 0; i < COUNT; i++)
        words[i] = (uint16_t)(greatest - i);
    save_words(scene->source, "a/1.png", words, 16);
    words[0] = 0;
    save_words(scene->source, "a/2.tif", words, 16);
    write_picture(scene->source, "b/bytes.png", 9, 14, 1, 2);
    scene->cfg.samples = *samples;
    scene->cfg.replaces = true;
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_OK);
    assert_int_equal(report.train_count, 3);
    int bits = import_report_fitting_bits(&report);
    import_report_fini(&report);
    return bits;
}

static void words_that_use_few_of_16_bits_are_told_unless_bits_were_named(void **state)
{
    struct scene *scene = *state;
    static const struct {
        int greatest, bits;
    } cases[] = {{300, 9}, {1023, 10}, {1024, 11}, {4095, 12}, {4096, 0}, {65535, 0}};
    char *classes[] = {file_join(scene->source, "a"), file_join(scene->source, "b")};
    for (int c = 0; c < 2; c++) {
        assert_int_equal(file_make_folders(classes[c]), ERR_OK);
        mem_free(classes[c]);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fitting_bits(scene, cases[i].greatest, &(struct sample_format){.bits = 0}),
                         cases[i].bits);
        assert_int_equal(
            fitting_bits(scene, cases[i].greatest, &(struct sample_format){.bayer = BAYER_GB}),
            cases[i].bits);
    }
    assert_int_equal(fitting_bits(scene, 1023, &(struct sample_format){.bits = 16}), 0);
}

static void a_data_set_says_how_it_was_imported(void **state)
{
    struct scene *scene = *state;
    struct image mosaic = picture(9, 14, 1, 1);
    write_file(scene->source, "a/1.raw", mosaic.pixels, 126);
    scene->cfg.side = 8;
    scene->cfg.samples =
        (struct sample_format){.bits = 12, .bayer = BAYER_BG, .raw_width = 14, .raw_height = 9};
    struct dataset *dataset = must_import(&scene->cfg);
    const struct imported *imported = &dataset_info(dataset)->imported;
    assert_int_equal(dataset_info(dataset)->channels, 3);
    assert_int_equal(imported->side, 8);
    assert_int_equal(imported->samples.bits, 12);
    assert_int_equal(imported->samples.bayer, BAYER_BG);
    assert_int_equal(imported->samples.raw_width, 14);
    assert_int_equal(imported->samples.raw_height, 9);
    dataset_close(&dataset);
    mem_free(mosaic.pixels);
}

static void write_numbers(const char *folder, const char *name, int C)
{
    struct image image = {.H = 20, .W = 20, .C = C};
    image_reserve(&image, 400 * (size_t)C);
    for (int i = 0; i < 400 * C; i++)
        image.pixels[i] = (uint8_t)(i * 37 + i / 7);
    write_png(folder, name, &image);
    mem_free(image.pixels);
}

static void a_mosaic_may_be_made_grey_afterwards(void **state)
{
    struct scene *scene = *state;
    struct image mosaic = {.H = 10, .W = 10, .C = 1}, image = {.room = 0};
    static const uint8_t colour[3] = {200, 100, 50};
    image_reserve(&mosaic, 100);
    for (int i = 0; i < 100; i++)
        mosaic.pixels[i] = colour[i / 10 % 2 + i % 2]; /* RG over GB */
    write_png(scene->source, "a/1.png", &mosaic);
    scene->cfg.is_grey = true;
    scene->cfg.samples.bayer = BAYER_RG;
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_info(dataset)->channels, 1);
    assert_true(dataset_info(dataset)->imported.is_grey);
    assert_int_equal(dataset_read(dataset, 0, &image), ERR_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(image.pixels[i], image_luma(colour));
    dataset_close(&dataset);
    mem_free(image.pixels);
    mem_free(mosaic.pixels);
}

/* The hash is that of the program before these options, over the same pictures. */
static void content_is_the_hash_of_the_pictures_not_of_the_options(void **state)
{
    struct scene *scene = *state;
    char hex[HASH_HEX_BYTES];
    write_numbers(scene->source, "a/1.png", 1);
    write_numbers(scene->source, "b/1.png", 3);
    scene->cfg.replaces = true;
    struct hash plain = must_hash(&scene->cfg);
    scene->cfg.samples.bits = 10;
    struct hash named = must_hash(&scene->cfg);
    hash_hex(&plain, hex);
    assert_memory_equal(plain.bytes, named.bytes, HASH_BYTES);
    assert_string_equal(hex, "ba1f4aa0ee6bbce8c7df1fcf8147bac6063c220c4aed05f6b10d877cf006efbd");
}

static void a_data_set_of_before_opens_and_says_nothing_of_its_import(void **state)
{
    struct scene *scene = *state;
    struct dataset_writer *writer = NULL;
    struct dataset *dataset = NULL;
    uint8_t pixel = 7, bytes[128];
    uint32_t one = 1, none = 0;
    char *name = mem_string("only");
    struct record record = {.H = 1,
                            .W = 1,
                            .C = 1,
                            .picture = &pixel,
                            .picture_bytes = 1,
                            .name = "x",
                            .name_bytes = 1};
    struct dataset_info info = {.classes = 1,
                                .class_names = &name,
                                .channels = 1,
                                .train_count = 1,
                                .max_height = 1,
                                .max_width = 1,
                                .deviation = {1},
                                .train_per_class = &one,
                                .test_per_class = &none};
    record_write(&record, bytes);
    assert_int_equal(file_make_folders(scene->folder), ERR_OK);
    assert_int_equal(dataset_writer_open(scene->destination, &writer), ERR_OK);
    assert_int_equal(dataset_writer_add(writer, bytes, record_bytes(&record)), ERR_OK);
    assert_int_equal(dataset_writer_finish(writer, &info), ERR_OK);
    dataset_writer_close(&writer);
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_OK);
    assert_int_equal(dataset_info(dataset)->imported.side, 0);
    dataset_close(&dataset);
    mem_free(name);
}

static void idx_files_take_no_options_of_image_files(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    scene->cfg.samples.bayer = BAYER_RG;
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_NOT_FOUND);
    import_report_fini(&report);
    write_idx(scene->source, 10, 0, 6, PLAIN);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_USAGE);
    assert_non_null(strstr(err_text(), "IDX files need none"));
    import_report_fini(&report);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(of_16_bits_the_low_ones_that_were_named_count_in_every_format),
        TEST(unless_bits_are_named_colour_is_as_libvips_makes_it_by_itself),
        TEST(grey_is_within_one_of_what_libvips_makes_by_itself),
        TEST(bits_change_nothing_in_files_of_8_bits),
        TEST(words_that_use_few_of_16_bits_are_told_unless_bits_were_named),
        TEST(a_mosaic_is_made_colour_before_bits_are_dropped),
        TEST(a_mosaic_is_made_colour_before_it_is_shrunk_and_turned),
        TEST(colour_files_are_no_mosaic),
        TEST(without_a_header_the_size_alone_says_what_a_file_is),
        TEST(a_data_set_says_how_it_was_imported),
        TEST(a_mosaic_may_be_made_grey_afterwards),
        TEST(content_is_the_hash_of_the_pictures_not_of_the_options),
        TEST(a_data_set_of_before_opens_and_says_nothing_of_its_import),
        TEST(idx_files_take_no_options_of_image_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
