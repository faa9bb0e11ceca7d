/* glowworm dataset check: the real program on a data set with one picture of every kind of trouble.
 */
#include "base/rng.h"
#include "tests/data/fixture.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 48 };

/* Its exit code; what it printed goes to FOLDER/out and FOLDER/err. */
static int check(const struct scene *scene, const char *options)
{
    char command[2048];
    snprintf(command, sizeof command, GLOWWORM " dataset check %s %s >%s/out 2>%s/err",
             scene->destination, options, (const char *)scene->folder, (const char *)scene->folder);
    int status = system(command);
    return WEXITSTATUS(status);
}

static void expect_words(const struct scene *scene, const char *name, const char *words)
{
    size_t size = 0;
    char *text = read_file(scene->folder, name, &size);
    if (!strstr(text, words))
        fail_msg("\"%s\" is not in:\n%.3000s", words, text);
    mem_free(text);
}

/* Blocks of different greys, so that no two look alike, and a little noise. */
static struct image blocks(uint64_t seed)
{
    struct image image = picture(SIDE, SIDE, 1, seed);
    for (int i = 0; i < SIDE * SIDE; i++) {
        uint64_t block = (uint64_t)(i / SIDE / 6 * 8 + i % SIDE / 6);
        uint64_t grey = rng(seed, RNG_TEST, 0, 0, block) % 180;
        image.pixels[i] = (uint8_t)(grey + image.pixels[i] / 6);
    }
    return image;
}

static void put(const struct scene *scene, const char *name, struct image *image)
{
    write_png(scene->source, name, image);
    mem_free(image->pixels);
}

static void make_source(const struct scene *scene)
{
    char name[64];
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "train/%s/%d.png", i % 2 ? "b" : "a", i);
        struct image image = blocks((uint64_t)i);
        put(scene, name, &image);
    }
    struct image image = blocks(20);
    for (int i = SIDE; i < SIDE * SIDE; i++) /* as its upper row, with a little slope */
        image.pixels[i] = (uint8_t)(100 + i % SIDE / 4);
    memcpy(image.pixels, image.pixels + SIDE, SIDE);
    put(scene, "train/a/blurred.png", &image);
    image = blocks(21);
    memset(image.pixels, 255, SIDE * SIDE / 4 * 3);
    put(scene, "train/b/white.png", &image);
    image = blocks(22);
    memset(image.pixels, 90, SIDE * SIDE);
    image.pixels[7] = 91;
    put(scene, "train/a/blank.png", &image);
    image = blocks(4); /* train/a/4.png in less light */
    for (int i = 0; i < SIDE * SIDE; i++)
        image.pixels[i] = (uint8_t)(image.pixels[i] * 19 / 20);
    put(scene, "test/a/again.png", &image);
}

static void expect_one(const json_t *json, const char *kind, const char *name)
{
    const json_t *rows = json_object_get(json, kind);
    if (json_array_size(rows) != 1)
        fail_msg("%zu are %s", json_array_size(rows), kind);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "name")), name);
}

static void each_kind_of_trouble_is_found_and_nothing_else(void **state)
{
    struct scene *scene = *state;
    make_source(scene);
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    assert_int_equal(check(scene, "--json"), 0);
    char *path = file_join(scene->folder, "out");
    json_t *json = json_load_file(path, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json, "images")), 13);
    assert_true(json_is_null(json_object_get(json, "network")));
    expect_one(json, "blurred", "train/a/blurred.png");
    expect_one(json, "blank", "train/a/blank.png");
    expect_one(json, "overexposed", "train/b/white.png");
    assert_int_equal(json_array_size(json_object_get(json, "mislabelled")), 0);
    const json_t *groups = json_object_get(json, "alike"), *group = json_array_get(groups, 0);
    assert_int_equal(json_array_size(groups), 1);
    assert_true(json_is_true(json_object_get(group, "crosses_splits")));
    const json_t *images = json_object_get(group, "images");
    assert_int_equal(json_array_size(images), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(images, 0), "name")),
                        "train/a/4.png");
    assert_string_equal(json_string_value(json_object_get(json_array_get(images, 1), "split")),
                        "test");
    json_decref(json);
    mem_free(path);
}

static void the_page_shows_them(void **state)
{
    struct scene *scene = *state;
    make_source(scene);
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    assert_int_equal(check(scene, ""), 0);
    expect_words(scene, "out", "alike               1 groups, 1 of them across splits");
    expect_words(scene, "out", "dataset.check.html");
    expect_words(scene, "dataset.check.html", "<h2>Blurred: 1</h2>");
    expect_words(scene, "dataset.check.html", "a (train), deviation 0.02: train/a/blank.png");
    expect_words(scene, "dataset.check.html", "src=\"data:image/png;base64,iVBORw0KGgo");
    expect_words(scene, "dataset.check.html", "2 images, across splits");
}

static void what_is_wrong_with_the_call_is_told(void **state)
{
    struct scene *scene = *state;
    make_source(scene);
    struct dataset *dataset = must_import(&scene->cfg);
    dataset_close(&dataset);
    assert_int_equal(check(scene, "more"), 2);
    assert_int_equal(check(scene, "--target small"), 2);
    expect_words(scene, "err", "--run RUN");
    assert_int_equal(check(scene, "--run /nowhere"), 65);
    expect_words(scene, "err", "/nowhere/campaign.yaml");
    const char *destination = scene->destination;
    scene->destination = "/nowhere";
    assert_int_equal(check(scene, ""), 65);
    scene->destination = destination;
    assert_int_equal(check(scene, "--confidence 2"), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_kind_of_trouble_is_found_and_nothing_else),
        TEST(the_page_shows_them),
        TEST(what_is_wrong_with_the_call_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
