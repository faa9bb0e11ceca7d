#include "tests/data/fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect_refusal(const struct scene *scene, enum err code, const char *words)
{
    struct import_report report;
    enum err err = dataset_import(&scene->cfg, &report);
    import_report_fini(&report);
    if (err != code || !strstr(err_text(), words))
        fail_msg("expected %s with \"%s\", got %s: %s", err_name(code), words, err_name(err),
                 err == ERR_OK ? "" : err_text());
    assert_false(file_exists(scene->destination));
    char *leftover = file_join(scene->folder, "dataset.importing");
    assert_false(file_exists(leftover));
    mem_free(leftover);
}

static void expect_images(const struct dataset *dataset, int split, uint32_t first, uint32_t count,
                          int side)
{
    struct image image = {.room = 0};
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(dataset_read(dataset, first + i, &image), ERR_OK);
        assert_int_equal(image.label, i % IDX_CLASSES);
        assert_int_equal(image.H, side);
        assert_int_equal(image.W, side);
        assert_int_equal(image.C, 1);
        for (int k = 0; k < side * side; k++)
            assert_int_equal(image.pixels[k], idx_pixel(split, i, k));
    }
    mem_free(image.pixels);
}

static void gzipped_idx_files_become_a_dataset_pixel_by_pixel(void **state)
{
    struct scene *scene = *state;
    write_idx(scene->source, 150, 31, 9, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    const struct dataset_info *info = dataset_info(dataset);
    assert_int_equal(info->train_count, 150);
    assert_int_equal(info->test_count, 31);
    assert_int_equal(info->classes, IDX_CLASSES);
    assert_string_equal(info->class_names[4], "4");
    assert_int_equal(info->train_per_class[0], 30);
    assert_int_equal(info->test_per_class[0], 7);
    assert_int_equal(info->format, IMAGE_RAW);
    assert_int_equal(info->max_width, 9);
    expect_images(dataset, 0, 0, 150, 9);
    expect_images(dataset, 1, 150, 31, 9);
    dataset_close(&dataset);
}

static void mean_and_deviation_are_those_of_the_training_pixels(void **state)
{
    struct scene *scene = *state;
    write_idx(scene->source, 40, 10, 12, GZIP);
    struct dataset *dataset = must_import(&scene->cfg);
    double sum = 0.0, squares = 0.0, count = 40.0 * 144.0;
    for (uint32_t i = 0; i < 40; i++)
        for (int k = 0; k < 144; k++)
            sum += idx_pixel(0, i, k);
    for (uint32_t i = 0; i < 40; i++)
        for (int k = 0; k < 144; k++)
            squares += (idx_pixel(0, i, k) - sum / count) * (idx_pixel(0, i, k) - sum / count);
    assert_float_equal(dataset_info(dataset)->mean[0], sum / count, 1e-9);
    assert_float_equal(dataset_info(dataset)->deviation[0] * dataset_info(dataset)->deviation[0],
                       squares / count, 1e-6);
    dataset_close(&dataset);
}

static void the_content_does_not_depend_on_packing_threads_or_place(void **state)
{
    struct scene *scene = *state;
    write_idx(scene->source, 300, 20, 8, GZIP);
    struct hash packed = must_hash(&scene->cfg);
    char *other = file_join(scene->folder, "elsewhere");
    write_idx(other, 300, 20, 8, PLAIN);
    scene->cfg.sources = (const char *const *)&other;
    scene->cfg.threads = 5;
    struct hash plain = must_hash(&scene->cfg);
    assert_memory_equal(packed.bytes, plain.bytes, HASH_BYTES);
    write_idx(other, 299, 20, 8, PLAIN);
    struct hash shorter = must_hash(&scene->cfg);
    assert_memory_not_equal(packed.bytes, shorter.bytes, HASH_BYTES);
    mem_free(other);
}

static void the_four_files_can_be_named_one_by_one(void **state)
{
    struct scene *scene = *state;
    static const char *const names[] = {"t10k-labels-idx1-ubyte", "train-images-idx3-ubyte",
                                        "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"};
    char *paths[4];
    write_idx(scene->source, 20, 5, 8, PLAIN);
    for (int i = 0; i < 4; i++)
        paths[i] = file_join(scene->source, names[i]);
    scene->cfg.sources = (const char *const *)paths;
    scene->cfg.source_count = 4;
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_info(dataset)->test_count, 5);
    dataset_close(&dataset);
    for (int i = 0; i < 4; i++)
        mem_free(paths[i]);
}

static void a_labels_file_names_the_classes(void **state)
{
    struct scene *scene = *state;
    char *labels = file_join(scene->folder, "labels.txt");
    write_idx(scene->source, 20, 0, 8, GZIP);
    write_file(scene->folder, "labels.txt", "shirt\r\nshoe\nbag\ncoat\nhat\n\n", 26);
    scene->cfg.labels_path = labels;
    struct dataset *dataset = must_import(&scene->cfg);
    assert_string_equal(dataset_info(dataset)->class_names[0], "shirt");
    assert_string_equal(dataset_info(dataset)->class_names[4], "hat");
    dataset_close(&dataset);
    assert_int_equal(file_remove_folder(scene->destination), ERR_OK);
    write_file(scene->folder, "labels.txt", "shirt\nshoe\nbag\ncoat\n", 20);
    expect_refusal(scene, ERR_DATA, "names 4 classes, the images are of 5");
    write_file(scene->folder, "labels.txt", "a\nb\nc\nd\ne\nf\n", 12);
    expect_refusal(scene, ERR_DATA, "names more than 5 classes");
    mem_free(labels);
}

/* The labels of so many images, all 0 but the last one's. */
static void write_last_label(const char *folder, const char *name, uint32_t count, uint8_t last)
{
    uint8_t bytes[64] = {0, 0, 8, 1, 0, 0, 0, (uint8_t)count};
    bytes[8 + count - 1] = last;
    write_file(folder, name, bytes, 8 + count);
}

static void a_label_outside_the_classes_is_refused_with_its_item(void **state)
{
    struct scene *scene = *state;
    char *labels = file_join(scene->folder, "labels.txt");
    write_idx(scene->source, 20, 10, 8, PLAIN);
    write_last_label(scene->source, "t10k-labels-idx1-ubyte", 10, 200);
    expect_refusal(scene, ERR_DATA,
                   "t10k-labels-idx1-ubyte: item 9 has label 200, but the training images are of 5 "
                   "classes, 0 to 4");
    write_last_label(scene->source, "train-labels-idx1-ubyte", 20, 7);
    write_last_label(scene->source, "t10k-labels-idx1-ubyte", 10, 5);
    write_file(scene->folder, "labels.txt", "a\nb\nc\nd\ne\nf\n", 12);
    scene->cfg.labels_path = labels;
    expect_refusal(scene, ERR_DATA, "names 6 classes, the images are of 8: train[19] has label 7");
    write_last_label(scene->source, "train-labels-idx1-ubyte", 20, 4);
    struct dataset *dataset = must_import(&scene->cfg); /* the names say that there are six */
    assert_int_equal(dataset_info(dataset)->classes, 6);
    assert_int_equal(dataset_info(dataset)->test_per_class[5], 1);
    dataset_close(&dataset);
    mem_free(labels);
}

static void a_smaller_side_shrinks_and_jpeg_is_kept_when_asked(void **state)
{
    struct scene *scene = *state;
    write_idx(scene->source, 20, 0, 24, GZIP);
    scene->cfg.side = 12;
    scene->cfg.format = IMPORT_JPEG;
    struct dataset *dataset = must_import(&scene->cfg);
    struct image image = {.room = 0};
    assert_int_equal(dataset_info(dataset)->format, IMAGE_JPEG);
    assert_int_equal(dataset_read(dataset, 19, &image), ERR_OK);
    assert_int_equal(image.H, 12);
    assert_int_equal(image.W, 12);
    mem_free(image.pixels);
    dataset_close(&dataset);
}

static void a_missing_or_doubtful_file_is_named(void **state)
{
    struct scene *scene = *state;
    expect_refusal(scene, ERR_NOT_FOUND, "source");
    write_idx(scene->source, 20, 5, 8, GZIP);
    write_idx(scene->source, 20, 5, 8, PLAIN); /* a file beside its gzip is no doubt */
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    assert_int_equal(file_remove_folder(scene->destination), ERR_OK);
    write_file(scene->source, "letters-train-images-idx3-ubyte", "", 0);
    expect_refusal(scene, ERR_DATA, "both look like train-images-idx3-ubyte");
    assert_int_equal(file_remove_folder(scene->source), ERR_OK);
    write_file(scene->source, "train-images-idx3-ubyte", "", 0);
    expect_refusal(scene, ERR_DATA, "train-labels-idx1-ubyte");
}

struct malformed {
    const char *name, *words;
    uint32_t header[4];
    int header_words;
    size_t item_bytes;
};

static void malformed_files_are_refused_with_the_reason(void **state)
{
    static const struct malformed cases[] = {
        {"train-images-idx3-ubyte", "begins with 00000c03", {0xc03, 20, 8, 8}, 4, 1280},
        {"train-images-idx3-ubyte", "begins with 12345678", {0x12345678, 20, 8, 8}, 4, 1280},
        {"train-images-idx3-ubyte", "cut short in its header", {0x803, 20, 8}, 3, 0},
        {"train-images-idx3-ubyte", "item 19 of 20 has 63 of 64", {0x803, 20, 8, 8}, 4, 1279},
        {"train-images-idx3-ubyte", "longer than its header says", {0x803, 20, 8, 8}, 4, 1281},
        {"train-images-idx3-ubyte", "height is 0", {0x803, 20, 0, 8}, 4, 1280},
        {"train-images-idx3-ubyte", "width is 4294967295", {0x803, 20, 8, 0xffffffff}, 4, 0},
        {"train-images-idx3-ubyte", "4294967295 items", {0x803, 0xffffffff, 8, 8}, 4, 0},
        {"train-images-idx3-ubyte", "0 items", {0x803, 0, 8, 8}, 4, 0},
        {"train-images-idx3-ubyte", "labels where images", {0x801, 20}, 2, 20},
        {"train-labels-idx1-ubyte", "19 labels for 20 images", {0x801, 19}, 2, 19},
        {"train-labels-idx1-ubyte", "item 19 of 20", {0x801, 20}, 2, 19},
        {"train-labels-idx1-ubyte", "images where labels", {0x803, 20, 1, 1}, 4, 20},
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct malformed *c = &cases[i];
        write_idx(scene->source, 20, 0, 8, PLAIN);
        write_idx_file(scene->source, c->name, c->header, c->header_words, c->item_bytes);
        expect_refusal(scene, ERR_DATA, c->words);
        expect_refusal(scene, ERR_DATA, c->name);
    }
}

static void a_damaged_or_cut_gzip_is_refused(void **state)
{
    struct scene *scene = *state;
    const char *name = "train-images-idx3-ubyte.gz";
    size_t size = 0;
    write_idx(scene->source, 200, 0, 8, GZIP);
    char *bytes = read_file(scene->source, name, &size);
    write_file(scene->source, name, bytes, size - 9);
    expect_refusal(scene, ERR_DATA, "cut short");
    bytes[size - 6] ^= 1; /* of the checksum: every pixel is there */
    write_file(scene->source, name, bytes, size);
    expect_refusal(scene, ERR_DATA, "damaged");
    mem_free(bytes);
}

static void colour_idx_files_of_rank_four_are_read(void **state)
{
    struct scene *scene = *state;
    uint32_t words[5] = {0x804, 20, 8, 8, 3};
    write_idx(scene->source, 20, 0, 8, PLAIN);
    write_idx_file(scene->source, "train-images-idx3-ubyte", words, 5, (size_t)20 * 192);
    struct dataset *dataset = must_import(&scene->cfg);
    assert_int_equal(dataset_info(dataset)->channels, 3);
    assert_float_equal(dataset_info(dataset)->deviation[2], 1.0, 0.0); /* all black */
    dataset_close(&dataset);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gzipped_idx_files_become_a_dataset_pixel_by_pixel),
        TEST(mean_and_deviation_are_those_of_the_training_pixels),
        TEST(the_content_does_not_depend_on_packing_threads_or_place),
        TEST(the_four_files_can_be_named_one_by_one),
        TEST(a_labels_file_names_the_classes),
        TEST(a_label_outside_the_classes_is_refused_with_its_item),
        TEST(a_smaller_side_shrinks_and_jpeg_is_kept_when_asked),
        TEST(a_missing_or_doubtful_file_is_named),
        TEST(malformed_files_are_refused_with_the_reason),
        TEST(a_damaged_or_cut_gzip_is_refused),
        TEST(colour_idx_files_of_rank_four_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
