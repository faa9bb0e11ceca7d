#include "tests/data/fixture.h"
#include "trainer/data/image_file.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vips/vips.h>

#include <cmocka.h>

static void expect_name(const struct dataset *dataset, uint32_t record, const char *expected)
{
    char name[256];
    assert_int_equal(dataset_record_name(dataset, record, name, sizeof name), ERR_OK);
    assert_string_equal(name, expected);
}

static void folders_sorted_by_name_are_the_classes(void **state)
{
    struct scene *scene = *state;
    write_picture(scene->source, "zebra/b.png", 20, 30, 3, 1);
    write_picture(scene->source, "zebra/a.png", 20, 30, 3, 2);
    write_picture(scene->source, "ant/deep/er/x.png", 20, 30, 3, 3);
    write_picture(scene->source, "Bee/x.png", 20, 30, 3, 4);
    write_picture(scene->source, "Bee/.hidden.png", 20, 30, 3, 5);
    write_picture(scene->source, ".cache/x.png", 20, 30, 3, 6);
    struct dataset *dataset = must_import(&scene->cfg);
    const struct dataset_info *info = dataset_info(dataset);
    assert_int_equal(info->classes, 3);
    assert_string_equal(info->class_names[0], "Bee"); /* byte by byte: capitals first */
    assert_string_equal(info->class_names[2], "zebra");
    assert_int_equal(info->train_count, 4);
    assert_int_equal(info->train_per_class[2], 2);
    expect_name(dataset, 0, "Bee/x.png");
    expect_name(dataset, 1, "ant/deep/er/x.png");
    expect_name(dataset, 2, "zebra/a.png");
    dataset_close(&dataset);
}

static void train_and_test_folders_are_kept_apart(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    write_picture(scene->source, "train/cat/1.png", 20, 20, 1, 1);
    write_picture(scene->source, "train/dog/1.png", 20, 20, 1, 2);
    write_picture(scene->source, "val/dog/1.png", 20, 20, 1, 3);
    write_picture(scene->source, "val/cow/1.png", 20, 20, 1, 4);
    write_picture(scene->source, "extra/cat/1.png", 20, 20, 1, 5);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_OK);
    assert_int_equal(report.train_count, 2);
    assert_int_equal(report.test_count, 1);
    assert_non_null(skip_reason(&report, "val/cow", SKIP_MISPLACED));
    assert_non_null(skip_reason(&report, "extra", SKIP_MISPLACED));
    import_report_fini(&report);
    struct dataset *dataset = NULL;
    struct image image = {.room = 0};
    assert_int_equal(dataset_open(scene->destination, &dataset), ERR_OK);
    assert_int_equal(dataset_read(dataset, 2, &image), ERR_OK);
    assert_int_equal(image.label, 1);
    mem_free(image.pixels);
    dataset_close(&dataset);
}

static void refuse_class(struct scene *scene, const char *name)
{
    struct import_report report;
    write_picture(scene->source, name, 20, 20, 1, 1);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_DATA);
    assert_non_null(strstr(err_text(), "rename it"));
    assert_false(file_exists(scene->destination));
    import_report_fini(&report);
    assert_int_equal(file_remove_folder(scene->source), ERR_OK);
}

/* One name less would call every later class by its neighbour's. */
static void class_names_that_are_no_line_of_text_are_refused(void **state)
{
    struct scene *scene = *state;
    refuse_class(scene, "caf\xe9/1.png");
    refuse_class(scene, "two\nlines/1.png");
    refuse_class(scene, "tab\tbed/1.png");
    write_picture(scene->source, "a/1.png", 20, 20, 1, 1);
    write_file(scene->folder, "labels.txt", "caf\xe9\n", 5);
    char *labels = file_join(scene->folder, "labels.txt");
    struct import_report report;
    scene->cfg.labels_path = labels;
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_DATA);
    assert_non_null(strstr(err_text(), "labels.txt, line 1"));
    import_report_fini(&report);
    write_file(scene->folder, "labels.txt", "caf\xc3\xa9\n", 6);
    struct dataset *dataset = must_import(&scene->cfg);
    assert_string_equal(dataset_info(dataset)->class_names[0], "caf\xc3\xa9");
    dataset_close(&dataset);
    mem_free(labels);
}

/* A folder with one file of every kind that is not to be imported, and three good ones. */
static void make_trouble(const char *source)
{
    size_t size = 0;
    write_picture(source, "a/1_good.png", 40, 50, 3, 1);
    write_picture(source, "b/1_good.png", 40, 50, 3, 2);
    write_picture(source, "b/2_good.png", 40, 50, 3, 3);
    write_file(source, "a/empty.jpg", "", 0);
    write_file(source, "a/text.png", "this is no picture", 18);
    write_file(source, "a/gif.png", "GIF89a\1\0\1\0\0\0\0;", 14);
    write_picture(source, "a/huge.png", 300, 400, 3, 4);
    write_picture(source, "a/same.png", 40, 50, 3, 1);
    write_picture(source, "b/same.png", 40, 50, 3, 1);
    write_picture(source, "stray.png", 40, 50, 3, 5);
    char *bytes = read_file(source, "b/2_good.png", &size);
    write_file(source, "a/cut.png", bytes, size / 2);
    write_file(source, "a/header.png", bytes, 20);
    memset(bytes + 16, 0, 4); /* the width */
    write_file(source, "a/zero.png", bytes, size);
    mem_free(bytes);
    struct image image = picture(40, 50, 3, 9);
    write_jpeg(source, "b/whole.jpg", &image);
    mem_free(image.pixels);
    bytes = read_file(source, "b/whole.jpg", &size);
    write_file(source, "b/cut.jpg", bytes, size * 2 / 3);
    mem_free(bytes);
}

static void troublesome_files_are_named_with_their_reason_and_left_out(void **state)
{
    static const struct {
        const char *name, *words;
        enum skip_kind kind;
    } cases[] = {
        {"a/empty.jpg", "empty file", SKIP_EMPTY},
        {"a/text.png", "neither JPEG, PNG, TIFF, PNM", SKIP_WRONG_TYPE},
        {"a/gif.png", "neither JPEG, PNG, TIFF, PNM", SKIP_WRONG_TYPE},
        {"a/huge.png", "300 x 400 pixels", SKIP_OVERSIZED},
        {"a/same.png", "a/1_good.png", SKIP_DUPLICATE},
        {"b/same.png", "another class", SKIP_CONFLICT},
        {"a/cut.png", "cut short", SKIP_UNREADABLE},
        {"a/header.png", "header", SKIP_UNREADABLE},
        {"b/cut.jpg", "cut short", SKIP_UNREADABLE},
        {"stray.png", "outside class folders", SKIP_MISPLACED},
    };
    struct scene *scene = *state;
    struct import_report report;
    make_trouble(scene->source);
    scene->cfg.max_pixels = 100000;
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *reason = skip_reason(&report, cases[i].name, cases[i].kind);
        if (!reason || !strstr(reason, cases[i].words))
            fail_msg("%s: expected %s with \"%s\", got \"%s\"", cases[i].name,
                     skip_name(cases[i].kind), cases[i].words, reason ? reason : "no skip");
    }
    assert_int_equal(report.train_count, 4);
    assert_int_equal(report.skip_count, 11); /* the ten and a/zero.png, by either reason */
    assert_int_equal(report.kinds[SKIP_UNREADABLE] + report.kinds[SKIP_EMPTY], 5);
    import_report_fini(&report);
}

static void nothing_but_trouble_is_an_error_that_leaves_nothing(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    write_file(scene->source, "a/text.png", "this is no picture", 18);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_DATA);
    assert_int_equal(report.skip_count, 1);
    assert_non_null(strstr(err_text(), "no training image"));
    assert_false(file_exists(scene->destination));
    import_report_fini(&report);
    assert_int_equal(file_remove_folder(scene->source), ERR_OK);
    write_file(scene->source, "a.png", "x", 1);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_DATA);
    assert_non_null(strstr(err_text(), "neither class folders"));
    import_report_fini(&report);
}

static void the_content_does_not_depend_on_the_order_of_creation_or_threads(void **state)
{
    struct scene *scene = *state;
    char *other = file_join(scene->folder, "elsewhere"), name[64];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "%c/%d.png", "pqrs"[i % 4], i);
        write_picture(scene->source, name, 70 + i % 3, 80, i == 33 ? 3 : 1, (uint64_t)i);
    }
    for (int i = 39; i >= 0; i--) {
        snprintf(name, sizeof name, "%c/%d.png", "pqrs"[i % 4], i);
        write_picture(other, name, 70 + i % 3, 80, i == 33 ? 3 : 1, (uint64_t)i);
    }
    scene->cfg.threads = 1;
    struct hash first = must_hash(&scene->cfg);
    scene->cfg.sources = (const char *const *)&other;
    scene->cfg.threads = 4;
    struct hash second = must_hash(&scene->cfg);
    assert_memory_equal(first.bytes, second.bytes, HASH_BYTES);
    mem_free(other);
}

static void one_colour_image_gives_all_three_channels(void **state)
{
    struct scene *scene = *state;
    struct image image = {.room = 0};
    write_picture(scene->source, "a/1.png", 20, 20, 1, 1);
    write_picture(scene->source, "a/2.png", 20, 20, 1, 2);
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_info(dataset)->channels, 1);
    dataset_close(&dataset);
    write_picture(scene->source, "b/1.png", 20, 20, 3, 3);
    scene->cfg.replaces = true;
    dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_info(dataset)->channels, 3);
    assert_int_equal(dataset_read(dataset, 1, &image), ERR_OK);
    struct image grey = picture(20, 20, 1, 2);
    for (int i = 0; i < 1200; i++)
        assert_int_equal(image.pixels[i], grey.pixels[i / 3]);
    mem_free(grey.pixels);
    mem_free(image.pixels);
    dataset_close(&dataset);
}

static void colour_becomes_grey_where_that_is_wanted(void **state)
{
    struct scene *scene = *state;
    struct image image = {.room = 0}, colour = picture(20, 20, 3, 3), grey = picture(20, 20, 1, 1);
    write_picture(scene->source, "a/1.png", 20, 20, 1, 1);
    write_picture(scene->source, "b/1.png", 20, 20, 3, 3);
    scene->cfg.is_grey = true;
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_info(dataset)->channels, 1);
    assert_int_equal(dataset_read(dataset, 0, &image), ERR_OK);
    assert_memory_equal(image.pixels, grey.pixels, 400);
    assert_int_equal(dataset_read(dataset, 1, &image), ERR_OK);
    for (int i = 0; i < 400; i++) {
        const uint8_t *rgb = colour.pixels + 3 * i;
        double luma = (299.0 * rgb[0] + 587.0 * rgb[1] + 114.0 * rgb[2]) / 1000;
        assert_true(fabs(image.pixels[i] - luma) <= 0.5 + 1e-9);
    }
    mem_free(grey.pixels);
    mem_free(colour.pixels);
    mem_free(image.pixels);
    dataset_close(&dataset);
}

static void grey_kept_as_colour_is_still_grey(void **state)
{
    struct scene *scene = *state;
    struct image image = picture(20, 20, 3, 1);
    for (int i = 0; i < 1200; i++)
        image.pixels[i] = image.pixels[i / 3 * 3];
    write_png(scene->source, "a/1.png", &image);
    struct dataset *dataset = must_import(&scene->cfg);
    struct image read = {.room = 0};
    assert_int_equal(dataset_info(dataset)->channels, 1);
    assert_int_equal(dataset_read(dataset, 0, &read), ERR_OK);
    for (int i = 0; i < 400; i++)
        assert_int_equal(read.pixels[i], image.pixels[3 * i]);
    mem_free(image.pixels);
    mem_free(read.pixels);
    dataset_close(&dataset);
}

static void big_images_are_shrunk_to_jpeg_and_small_ones_never_enlarged(void **state)
{
    struct scene *scene = *state;
    struct image image = {.room = 0};
    write_picture(scene->source, "a/1.png", 50, 60, 3, 1);
    write_picture(scene->source, "a/2.png", 700, 400, 3, 2);
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_info(dataset)->format, IMAGE_JPEG);
    assert_int_equal(dataset_read(dataset, 0, &image), ERR_OK);
    assert_int_equal(image.H, 50);
    assert_int_equal(image.W, 60);
    assert_int_equal(dataset_read(dataset, 1, &image), ERR_OK);
    assert_int_equal(image.H, 448);
    assert_int_equal(image.W, 256);
    mem_free(image.pixels);
    dataset_close(&dataset);
}

static void raw_on_request_keeps_every_pixel(void **state)
{
    struct scene *scene = *state;
    struct image image = {.room = 0}, expected = picture(90, 100, 3, 4);
    write_png(scene->source, "a/1.png", &expected);
    scene->cfg.format = IMPORT_RAW;
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_read(dataset, 0, &image), ERR_OK);
    assert_memory_equal(image.pixels, expected.pixels, 90 * 100 * 3);
    mem_free(image.pixels);
    mem_free(expected.pixels);
    dataset_close(&dataset);
}

/* Saves through libvips, for the kinds of file our own writers do not make. */
static void save_with(const char *folder, const char *name, const struct image *image,
                      const char *options)
{
    char *path = file_join(folder, name), target[512];
    snprintf(target, sizeof target, "%s%s", path, options);
    VipsImage *plain = vips_image_new_from_memory_copy(
        image->pixels, (size_t)image->H * (size_t)image->W * (size_t)image->C, image->W, image->H,
        image->C, VIPS_FORMAT_UCHAR);
    VipsImage *named = NULL;
    VipsInterpretation meaning =
        image->C < 3 ? VIPS_INTERPRETATION_B_W
                     : (image->C == 4 && strstr(name, "cmyk") ? VIPS_INTERPRETATION_CMYK
                                                              : VIPS_INTERPRETATION_sRGB);
    assert_int_equal(vips_copy(plain, &named, "interpretation", meaning, NULL), 0);
    if (strstr(name, "turned"))
        vips_image_set_int(named, VIPS_META_ORIENTATION, 6); /* a quarter turn to the right */
    assert_int_equal(vips_image_write_to_file(named, target, NULL), 0);
    g_object_unref(named);
    g_object_unref(plain);
    mem_free(path);
}

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

static void exif_rotation_is_applied(void **state)
{
    struct scene *scene = *state;
    struct image lying = picture(30, 60, 1, 5); /* 30 high, 60 wide */
    assert_int_equal(image_file_start(), ERR_OK);
    save_with(scene->folder, "turned.jpg", &lying, "[Q=100]");
    struct image image = must_read(scene->folder, "turned.jpg");
    assert_int_equal(image.H, 60);
    assert_int_equal(image.W, 30);
    /* the upper left corner was the lower left one */
    for (int y = 0; y < 60; y += 7)
        assert_in_range(image.pixels[y * 30] - lying.pixels[29 * 60 + y] + 16, 0, 32);
    mem_free(image.pixels);
    mem_free(lying.pixels);
}

static void transparency_becomes_white_and_cmyk_becomes_colour(void **state)
{
    struct scene *scene = *state;
    struct image four = picture(20, 20, 4, 6), two = picture(20, 20, 2, 7);
    assert_int_equal(image_file_start(), ERR_OK);
    for (int i = 0; i < 400; i++)
        four.pixels[4 * i + 3] = two.pixels[2 * i + 1] = i % 2 ? 0 : 255;
    save_with(scene->folder, "alpha.png", &four, "");
    struct image image = must_read(scene->folder, "alpha.png");
    assert_int_equal(image.C, 3);
    for (int i = 0; i < 1200; i++)
        assert_int_equal(image.pixels[i], i / 3 % 2 ? 255 : four.pixels[i / 3 * 4 + i % 3]);
    mem_free(image.pixels);
    save_with(scene->folder, "grey_alpha.png", &two, "");
    image = must_read(scene->folder, "grey_alpha.png");
    assert_int_equal(image.C, 1);
    for (int i = 0; i < 400; i++)
        assert_int_equal(image.pixels[i], i % 2 ? 255 : two.pixels[2 * i]);
    mem_free(image.pixels);
    memset(four.pixels, 0, 1600); /* no ink: white */
    save_with(scene->folder, "cmyk.jpg", &four, "");
    image = must_read(scene->folder, "cmyk.jpg");
    assert_int_equal(image.C, 3);
    assert_in_range(image.pixels[0], 250, 255);
    assert_in_range(image.pixels[602], 250, 255);
    mem_free(image.pixels);
    mem_free(four.pixels);
    mem_free(two.pixels);
}

static void interlaced_and_sixteen_bit_files_are_read(void **state)
{
    struct scene *scene = *state;
    struct image expected = picture(33, 21, 3, 8);
    assert_int_equal(image_file_start(), ERR_OK);
    save_with(scene->folder, "interlaced.png", &expected, "[interlace]");
    struct image image = must_read(scene->folder, "interlaced.png");
    assert_memory_equal(image.pixels, expected.pixels, 33 * 21 * 3);
    mem_free(image.pixels);
    save_with(scene->folder, "progressive.jpg", &expected, "[interlace]");
    image = must_read(scene->folder, "progressive.jpg");
    assert_int_equal(image.H, 33);
    mem_free(image.pixels);
    VipsImage *from =
        vips_image_new_from_memory(expected.pixels, 33 * 21 * 3, 21, 33, 3, VIPS_FORMAT_UCHAR);
    VipsImage *wide = NULL;
    char *path = file_join(scene->folder, "deep.png");
    from->Type = VIPS_INTERPRETATION_sRGB;
    assert_int_equal(vips_colourspace(from, &wide, VIPS_INTERPRETATION_RGB16, NULL), 0);
    assert_int_equal(vips_image_write_to_file(wide, path, NULL), 0);
    image = must_read(scene->folder, "deep.png");
    assert_memory_equal(image.pixels, expected.pixels, 33 * 21 * 3);
    g_object_unref(wide);
    g_object_unref(from);
    mem_free(path);
    mem_free(image.pixels);
    mem_free(expected.pixels);
}

static void links_that_lead_up_or_nowhere_are_skipped(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    char *up = file_join(scene->source, "a/up"), *again = file_join(scene->source, "b/again");
    char *broken = file_join(scene->source, "a/broken");
    write_picture(scene->source, "a/1.png", 20, 20, 1, 1);
    write_picture(scene->source, "b/1.png", 20, 20, 1, 2);
    assert_int_equal(symlink(scene->source, up), 0);
    assert_int_equal(symlink(scene->source, again), 0);
    assert_int_equal(symlink("nowhere", broken), 0);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_OK);
    assert_int_equal(report.train_count, 2);
    assert_int_equal(report.empty_classes, 0);
    assert_int_equal(report.skip_count, 3);
    assert_non_null(skip_reason(&report, "a/broken", SKIP_UNREADABLE));
    assert_non_null(skip_reason(&report, "a/up", SKIP_MISPLACED));
    assert_non_null(skip_reason(&report, "b/again", SKIP_MISPLACED));
    import_report_fini(&report);
    mem_free(broken);
    mem_free(again);
    mem_free(up);
}

static void a_link_up_brings_no_images_from_the_test_folder(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    char *up = file_join(scene->source, "train/a/up"),
         *out = file_join(scene->source, "train/b/out");
    write_picture(scene->source, "train/a/1.png", 20, 20, 1, 1);
    write_picture(scene->source, "train/b/1.png", 20, 20, 1, 2);
    write_picture(scene->source, "test/a/1.png", 20, 20, 1, 3);
    assert_int_equal(symlink("..", up), 0);
    assert_int_equal(symlink("../../..", out), 0);
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_OK);
    assert_int_equal(report.train_count, 2);
    assert_int_equal(report.test_count, 1);
    assert_non_null(skip_reason(&report, "train/a/up", SKIP_MISPLACED));
    assert_non_null(skip_reason(&report, "train/b/out", SKIP_MISPLACED));
    import_report_fini(&report);
    mem_free(out);
    mem_free(up);
}

static const char *broken_at; /* reading a folder fails at this entry; NULL: nowhere */

struct dirent *__real_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);

struct dirent *__wrap_readdir(DIR *folder)
{
    struct dirent *entry = __real_readdir(folder);
    if (!broken_at || !entry || strcmp(entry->d_name, broken_at) != 0)
        return entry;
    errno = EIO;
    return NULL;
}

static void a_folder_that_is_not_read_to_its_end_is_told(void **state)
{
    struct scene *scene = *state;
    struct import_report report;
    write_picture(scene->source, "a/1.png", 20, 20, 1, 1);
    write_picture(scene->source, "a/2.png", 20, 20, 1, 2);
    write_picture(scene->source, "b/3.png", 20, 20, 1, 3);
    broken_at = "2.png";
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_OK);
    assert_int_equal(report.train_count, 1);
    assert_non_null(skip_reason(&report, "a", SKIP_UNREADABLE));
    import_report_fini(&report);
    assert_int_equal(file_remove_folder(scene->destination), ERR_OK);
    broken_at = "b";
    assert_int_equal(dataset_import(&scene->cfg, &report), ERR_IO);
    broken_at = NULL;
    assert_non_null(strstr(err_text(), "cannot list the whole folder"));
    import_report_fini(&report);
}

struct shrinking {
    const struct image *from;
    struct hash last;
    int wrong;
};

static void *shrink_often(void *own)
{
    struct shrinking *shrinking = own;
    struct image image = {.room = 0};
    for (int i = 0; i < 40; i++) {
        image_reserve(&image, 24 * 24);
        image.H = image.W = 24;
        image.C = 1;
        memcpy(image.pixels, shrinking->from->pixels, 24 * 24);
        shrinking->wrong += image_shrink(&image, 12) != ERR_OK || image.H != 12 || image.W != 12;
        struct hash hash = hash_of(image.pixels, 144);
        shrinking->wrong += i > 0 && !hash_equal(&hash, &shrinking->last);
        shrinking->last = hash;
    }
    mem_free(image.pixels);
    image_file_end_thread();
    return NULL;
}

/* Run-time generated code in libvips once corrupted the heap here: see image_file.c. */
static void threads_that_come_and_go_shrink_at_once(void **state)
{
    struct image from = picture(24, 24, 1, 1);
    (void)state;
    assert_int_equal(image_file_start(), ERR_OK);
    for (int round = 0; round < 20; round++) {
        struct shrinking shrinking[2] = {{.from = &from}, {.from = &from}};
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, shrink_often, &shrinking[i]), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(shrinking[0].wrong + shrinking[1].wrong, 0);
        assert_memory_equal(shrinking[0].last.bytes, shrinking[1].last.bytes, HASH_BYTES);
    }
    mem_free(from.pixels);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(folders_sorted_by_name_are_the_classes),
        TEST(train_and_test_folders_are_kept_apart),
        TEST(class_names_that_are_no_line_of_text_are_refused),
        TEST(troublesome_files_are_named_with_their_reason_and_left_out),
        TEST(nothing_but_trouble_is_an_error_that_leaves_nothing),
        TEST(the_content_does_not_depend_on_the_order_of_creation_or_threads),
        TEST(one_colour_image_gives_all_three_channels),
        TEST(colour_becomes_grey_where_that_is_wanted),
        TEST(grey_kept_as_colour_is_still_grey),
        TEST(big_images_are_shrunk_to_jpeg_and_small_ones_never_enlarged),
        TEST(raw_on_request_keeps_every_pixel),
        TEST(exif_rotation_is_applied),
        TEST(transparency_becomes_white_and_cmyk_becomes_colour),
        TEST(interlaced_and_sixteen_bit_files_are_read),
        cmocka_unit_test(threads_that_come_and_go_shrink_at_once),
        TEST(links_that_lead_up_or_nowhere_are_skipped),
        TEST(a_link_up_brings_no_images_from_the_test_folder),
        TEST(a_folder_that_is_not_read_to_its_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
