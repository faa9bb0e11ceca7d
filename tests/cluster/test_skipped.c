/* What `glowworm dataset import` says of files it skips: a count by reason, the first twenty, all
 * of them in a file beside the data set; the same as JSON. The real program, its output in files.
 */
#include "tests/data/fixture.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE_FILES = 300, SHOWN = 20 };

/* One picture and many files beside it that are none: the last one is empty. */
static void make_source(const struct scene *scene, int pictures)
{
    char name[64];
    if (pictures)
        write_picture(scene->source, "a/picture.png", 20, 20, 1, 1);
    for (int i = 0; i < SIDE_FILES; i++) {
        snprintf(name, sizeof name, "a/note %03d.txt", i);
        write_file(scene->source, name, "words", i == SIDE_FILES - 1 ? 0 : 5);
    }
}

/* Its exit code; standard output and error go to FOLDER/out and FOLDER/err. */
static int import(const struct scene *scene, const char *options)
{
    char command[2048];
    snprintf(command, sizeof command, GLOWWORM " dataset import %s %s %s >%s/out 2>%s/err",
             scene->source, scene->destination, options, (char *)scene->folder,
             (char *)scene->folder);
    int status = system(command);
    return WEXITSTATUS(status);
}

static char *text_of(const struct scene *scene, const char *name)
{
    size_t size = 0;
    return read_file(scene->folder, name, &size);
}

/* Lines that hold the words. */
static int count_lines(const char *text, const char *words)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, words)); at++)
        count++;
    return count;
}

static void expect_words(const struct scene *scene, const char *name, const char *words, int times)
{
    char *text = text_of(scene, name);
    int found = count_lines(text, words);
    if (found != times)
        fail_msg("\"%s\" is in %s %d times instead of %d:\n%.2000s", words, name, found, times,
                 text);
    mem_free(text);
}

static void skipped_files_are_counted_by_reason_and_all_are_listed_in_a_file(void **state)
{
    struct scene *scene = *state;
    make_source(scene, 1);
    assert_int_equal(import(scene, ""), 0);
    expect_words(scene, "out", "skipped 300: 299 wrong type, 1 empty; all are listed in ", 1);
    expect_words(scene, "out", "dataset.skipped.txt", 1);
    expect_words(scene, "out", "note", 0);
    expect_words(scene, "err", "\n  a/note ", SHOWN - 1);
    expect_words(scene, "err", "  a/note 000.txt: wrong type: neither JPEG, PNG, TIFF, PNM", 1);
    expect_words(scene, "err", "and 280 more", 1);
    expect_words(scene, "dataset.skipped.txt", "\n", SIDE_FILES);
    expect_words(scene, "dataset.skipped.txt", "a/note 299.txt\tempty\tan empty file\n", 1);
}

static void as_json_the_counts_the_first_twenty_and_the_file_are_told(void **state)
{
    struct scene *scene = *state;
    make_source(scene, 1);
    assert_int_equal(import(scene, "--json"), 0);
    char *text = text_of(scene, "out");
    json_t *json = json_loads(text, 0, NULL);
    const char *path = json_string_value(json_object_get(json, "skipped_file"));
    assert_non_null(path);
    assert_string_equal(path + strlen(path) - 20, "/dataset.skipped.txt");
    assert_int_equal(json_integer_value(json_object_get(json, "skipped")), SIDE_FILES);
    const json_t *kinds = json_object_get(json, "skipped_by_kind");
    assert_int_equal(json_integer_value(json_object_get(kinds, "wrong type")), SIDE_FILES - 1);
    assert_int_equal(json_array_size(json_object_get(json, "skips")), SHOWN);
    expect_words(scene, "err", "  a/note ", SHOWN);
    json_decref(json);
    mem_free(text);
}

static void an_import_without_skips_removes_the_list_of_the_one_before(void **state)
{
    struct scene *scene = *state;
    char *list = file_join(scene->folder, "dataset.skipped.txt");
    make_source(scene, 1);
    assert_int_equal(import(scene, ""), 0);
    assert_true(file_exists(list));
    assert_int_equal(file_remove_folder(scene->source), ERR_OK);
    write_picture(scene->source, "a/picture.png", 20, 20, 1, 1);
    assert_int_equal(import(scene, ""), 78); /* the data set exists: it and its list stay */
    assert_true(file_exists(list));
    assert_int_equal(import(scene, "--force"), 0);
    assert_false(file_exists(list));
    expect_words(scene, "out", "skipped", 0);
    mem_free(list);
}

static void an_import_of_nothing_lists_why(void **state)
{
    struct scene *scene = *state;
    make_source(scene, 0);
    assert_int_equal(import(scene, ""), 65);
    expect_words(scene, "err", "  a/note ", SHOWN);
    expect_words(scene, "err", "skipped 300: 299 wrong type, 1 empty; all are listed in ", 1);
    expect_words(scene, "dataset.skipped.txt", "\n", SIDE_FILES);
    assert_false(file_exists(scene->destination));
}

static void a_name_that_would_break_its_line_is_escaped(void **state)
{
    struct scene *scene = *state;
    write_picture(scene->source, "a/picture.png", 20, 20, 1, 1);
    write_file(scene->source, "a/two\nlines\tand\\more", "words", 5);
    assert_int_equal(import(scene, ""), 0);
    expect_words(scene, "dataset.skipped.txt", "a/two\\x0alines\\x09and\\x5cmore\twrong type\t", 1);
    expect_words(scene, "dataset.skipped.txt", "\n", 1);
}

static void classes_that_no_image_is_left_of_are_told(void **state)
{
    struct scene *scene = *state;
    make_source(scene, 1);
    write_file(scene->source, "b/words.txt", "words", 5);
    assert_int_equal(import(scene, ""), 0);
    expect_words(scene, "out", "1 of 2 classes has no training image, the first is b", 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(skipped_files_are_counted_by_reason_and_all_are_listed_in_a_file),
        TEST(as_json_the_counts_the_first_twenty_and_the_file_are_told),
        TEST(an_import_without_skips_removes_the_list_of_the_one_before),
        TEST(an_import_of_nothing_lists_why),
        TEST(a_name_that_would_break_its_line_is_escaped),
        TEST(classes_that_no_image_is_left_of_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
