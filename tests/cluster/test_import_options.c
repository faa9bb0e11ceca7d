/* The options of `glowworm dataset import` for a camera's files, and what `info` says of them. The
 * real program, its output in files. */
#include "tests/data/fixture.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Its exit code; what it printed on both outputs goes to FOLDER/out. */
static int run(const struct scene *scene, const char *words)
{
    char command[2048];
    snprintf(command, sizeof command, GLOWWORM " dataset %s >%s/out 2>&1", words,
             (const char *)scene->folder);
    int status = system(command);
    return WEXITSTATUS(status);
}

static int import(const struct scene *scene, const char *options)
{
    char words[1024];
    snprintf(words, sizeof words, "import %s %s %s", scene->source, scene->destination, options);
    return run(scene, words);
}

static void expect_words(const struct scene *scene, const char *words)
{
    size_t size = 0;
    char *text = read_file(scene->folder, "out", &size);
    if (!strstr(text, words))
        fail_msg("\"%s\" is not in:\n%s", words, text);
    mem_free(text);
}

static void wrong_options_are_refused_with_what_they_take(void **state)
{
    static const char *const cases[][2] = {
        {"--bits 7", "--bits must be 8 to 16"},
        {"--bits 17", "--bits must be 8 to 16"},
        {"--bayer RGGB", "--bayer must be RG, GR, GB or BG"},
        {"--bayer none", "--bayer must be RG, GR, GB or BG"},
        {"--raw 1440", "--raw must be a width and a height"},
        {"--raw 0x5", "--raw must be a width and a height"},
        {"--raw 5x-5", "--raw must be a width and a height"},
        {"--raw 5x5x5", "--raw must be a width and a height"},
        {"--raw 65501x5", "--raw must be a width and a height"},
        {"--raw 99999999999999999999x5", "--raw must be a width and a height"},
    };
    struct scene *scene = *state;
    write_picture(scene->source, "a/1.png", 20, 20, 1, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(import(scene, cases[i][0]), 2);
        expect_words(scene, cases[i][1]);
        assert_false(file_exists(scene->destination));
    }
}

static void info_says_how_a_data_set_was_imported(void **state)
{
    struct scene *scene = *state;
    char words[512];
    struct image mosaic = picture(9, 14, 1, 1);
    write_file(scene->source, "a/1.raw", mosaic.pixels, 126);
    assert_int_equal(import(scene, "--side 8 --grey --bits 12 --bayer BG --raw 14x9"), 0);
    snprintf(words, sizeof words, "info %s", scene->destination);
    assert_int_equal(run(scene, words), 0);
    expect_words(scene, "\nimported with --side 8 --grey --bits 12 --bayer BG --raw 14x9\n");
    snprintf(words, sizeof words, "info %s --json", scene->destination);
    assert_int_equal(run(scene, words), 0);
    char *path = file_join(scene->folder, "out");
    json_t *json = json_load_file(path, 0, NULL);
    const json_t *imported = json_object_get(json, "imported");
    assert_int_equal(json_integer_value(json_object_get(imported, "side")), 8);
    assert_true(json_is_true(json_object_get(imported, "grey")));
    assert_int_equal(json_integer_value(json_object_get(imported, "bits")), 12);
    assert_string_equal(json_string_value(json_object_get(imported, "bayer")), "BG");
    assert_string_equal(json_string_value(json_object_get(imported, "raw")), "14x9");
    json_decref(json);
    mem_free(path);
    mem_free(mosaic.pixels);
}

static void what_was_not_said_is_not_shown(void **state)
{
    struct scene *scene = *state;
    char words[512];
    write_picture(scene->source, "a/1.png", 20, 20, 1, 1);
    assert_int_equal(import(scene, ""), 0);
    snprintf(words, sizeof words, "info %s", scene->destination);
    assert_int_equal(run(scene, words), 0);
    expect_words(scene, "\nimported with --side 256\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_options_are_refused_with_what_they_take),
        TEST(info_says_how_a_data_set_was_imported),
        TEST(what_was_not_said_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
