/* A bundle on the images of a run: whose they are, and how they are fitted. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/check/check_run.h"
#include "tests/scratch.h"
#include "tests/validate/tiny_bundle.h"
#include "trainer/data/import.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CLASSES = 3, EACH = 4, WIDTH = 12, HEIGHT = 8, PIXELS = WIDTH * HEIGHT };

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

/* SOURCE/CLASS/INDEX.pgm, brighter by 10 from column to column. */
static void write_picture(const char *source, const char *class, int index)
{
    char *folder = file_join(source, class), name[16], picture[16 + PIXELS] = "P5 12 8 255\n";
    size_t head = strlen(picture);
    for (int p = 0; p < PIXELS; p++)
        picture[head + (size_t)p] = (char)(index * 7 + p % WIDTH * 10);
    snprintf(name, sizeof name, "%d.pgm", index);
    char *path = file_join(folder, name);
    CHECK(file_make_folders(folder));
    CHECK(file_write(path, picture, head + PIXELS));
    mem_free(path);
    mem_free(folder);
}

/* FOLDER/run, with a data set of these classes, whose images are stretched by now. Returns owned.
 */
static char *make_run(const char *folder, const char *const *classes)
{
    char *run = file_join(folder, "run"), *source = file_join(folder, "source");
    char *data = file_join(folder, "data"), *yaml = file_join(run, "campaign.yaml");
    struct import_report report = {0};
    struct text campaign;
    for (int i = 0; i < EACH * CLASSES; i++)
        write_picture(source, classes[i / EACH], i);
    CHECK(dataset_import(&(struct import_cfg){.sources = (const char *const[]){source},
                                              .source_count = 1,
                                              .destination = data,
                                              .threads = 1},
                         &report));
    import_report_fini(&report);
    text_init(&campaign);
    text_add(&campaign,
             "campaign: own\ndataset: {path: %s, holdout: 6, geometry: stretch}\n"
             "space: configs/spaces/firefly-tiny.yaml\n",
             data);
    CHECK(file_make_folders(run));
    CHECK(file_write(yaml, text_get(&campaign), campaign.size));
    text_fini(&campaign);
    mem_free(source);
    mem_free(data);
    mem_free(yaml);
    return run;
}

static enum err open_on(const char *folder, const char *const *classes, struct bundle_check *check)
{
    char *bundle = file_join(folder, "tiny"), *run = make_run(folder, classes);
    tiny_bundle_write(bundle, "firefly-dl-mono");
    enum err err = bundle_check_open(
        &(struct bundle_check_cfg){.bundle = bundle, .run = run, .images = 50, .threads = 1},
        check);
    mem_free(bundle);
    mem_free(run);
    return err;
}

/* The largest square in the middle, as the network was trained: columns as far from each other as
 * they were. */
static void they_are_fitted_as_the_bundle_s_own_were(void **state)
{
    struct bundle_check check;
    struct image image = {0};
    CHECK(open_on(*state, (const char *const[]){"<torn>", "bent", "good"}, &check));
    assert_string_equal(check.images.from, "hold-out");
    assert_int_equal(check.images.count, 6);
    CHECK(check_images_read(&check.images, 0, &image));
    for (int x = 1; x < TINY_BUNDLE_SIDE; x++)
        assert_int_equal(image.pixels[x] - image.pixels[x - 1], 10);
    mem_free(image.pixels);
    bundle_check_fini(&check);
}

/* As many as the bundle's, which would let every answer count for another class. */
static void a_run_with_classes_of_other_names_is_refused(void **state)
{
    struct bundle_check check;
    assert_int_equal(open_on(*state, (const char *const[]){"<torn>", "bent", "sound"}, &check),
                     ERR_CONFIG);
    assert_non_null(
        strstr(err_text(), "class 2 is \"sound\", in the bundle's labels.txt \"good\""));
    bundle_check_fini(&check);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(they_are_fitted_as_the_bundle_s_own_were),
        IN_FOLDER(a_run_with_classes_of_other_names_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
