/* Files whose root is no map: a campaign, a space, a device, each answered with the place and the
 * cure. Their values were never read, so nothing may be computed from them. */
#include "base/mem.h"
#include "base/text.h"
#include "tests/scratch.h"
#include "tests/spec/spec_test.h"
#include "trainer/spec/campaign.h"
#include <stdio.h>
#include <string.h>

static enum err load_campaign(const char *path)
{
    struct campaign *campaign = mem_alloc(sizeof *campaign);
    enum err err = campaign_load(path, NULL, 0, campaign);
    mem_free(campaign);
    return err;
}

static enum err load_space(const char *path)
{
    struct space space;
    return space_load(path, 1, 10, 3, &space);
}

static enum err load_device(const char *path)
{
    struct camera_device device;
    return camera_device_load(path, &device);
}

/* A campaign that is sound but for the space, or for the device. */
static enum err load_around(const char *path, const char *format)
{
    char *around = mem_alloc(strlen(path) + 16), text[1024];
    snprintf(around, strlen(path) + 16, "%s.campaign", path);
    snprintf(text, sizeof text, format, path);
    assert_ok(file_write(around, text, strlen(text)));
    enum err err = load_campaign(around);
    mem_free(around);
    return err;
}

static enum err load_campaign_of_space(const char *path)
{
    return load_around(path, "campaign: own\ndataset: {path: a}\nspace: %s\n"
                             "search: {targets: [{name: a, macs: 1M}]}\n");
}

static enum err load_campaign_of_device(const char *path)
{
    return load_around(path, "campaign: own\ndataset: {path: a}\n"
                             "space: configs/spaces/firefly-tiny.yaml\n"
                             "search: {targets: [{name: a, device: %s, latency_ms: 20}]}\n");
}

static const struct {
    const char *text, *expected;
} roots[] = {
    {"- a\n- b\n", ":1:1: the file is a list; expected keys and values"},
    {"[[[]]]\n", ":1:1: the file is a list; expected keys and values"},
    {"hello\n", ":1:1: the file is a word; expected keys and values"},
    {"7\n", ":1:1: the file is a word; expected keys and values"},
    {"-0.5e3\n", ":1:1: the file is a word; expected keys and values"},
    {"yes\n", ":1:1: the file is a word; expected keys and values"},
    {"\"\"\n", ":1:2: the file is a word; expected keys and values"},
    {"null\n", "is missing ("},
    {"~\n", "is missing ("},
    {"# nothing but a comment\n", "is missing ("},
    {"{}\n", "is missing ("},
    {"\n", "is missing ("},
    {"", "is missing ("},
};

static void refuse_all(const char *folder, enum err (*load)(const char *path))
{
    char *path = file_join(folder, "file.yaml");
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        assert_ok(file_write(path, roots[i].text, strlen(roots[i].text)));
        enum err err = load(path);
        if (err != ERR_CONFIG || !strstr(err_text(), path) ||
            !strstr(err_text(), roots[i].expected))
            fail_msg("\"%s\": %s, %s; expected \"%s\"", roots[i].text, err_name(err),
                     err ? err_text() : "", roots[i].expected);
    }
    mem_free(path);
}

static void a_campaign_whose_root_is_no_map_is_refused(void **state)
{
    refuse_all(*state, load_campaign);
}

static void a_space_whose_root_is_no_map_is_refused(void **state)
{
    refuse_all(*state, load_space);
    refuse_all(*state, load_campaign_of_space);
}

static void a_device_whose_root_is_no_map_is_refused(void **state)
{
    refuse_all(*state, load_device);
    refuse_all(*state, load_campaign_of_device);
}

/* One mistake, one line: what was not read is not judged too. */
static void a_root_that_is_no_map_is_the_only_thing_that_is_said(void **state)
{
    char *path = file_join(*state, "file.yaml");
    assert_ok(file_write(path, "- a\n", 4));
    assert_int_equal(load_campaign(path), ERR_CONFIG);
    assert_null(strchr(err_text(), '\n'));
    mem_free(path);
}

static void rows_that_are_no_maps_are_refused_with_their_place(void **state)
{
    static const char *const rows[] = {"7", "[]", "~", "a", "[[]]"};
    char *path = file_join(*state, "file.yaml"), text[512];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text,
                 "campaign: own\ndataset: {path: a}\nspace: configs/spaces/firefly-tiny.yaml\n"
                 "search: {targets: [{name: a}, %s]}\nshrink: {rows: {kernel: %s}}\n",
                 rows[i], rows[i]);
        assert_ok(file_write(path, text, strlen(text)));
        assert_refused(load_campaign(path), ERR_CONFIG, "expected a map");
        assert_non_null(strstr(err_text(), ":4:31: key 'search.targets'"));
        assert_non_null(strstr(err_text(), ":5:25: key 'shrink.rows'"));
    }
    mem_free(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_campaign_whose_root_is_no_map_is_refused),
        TEST(a_space_whose_root_is_no_map_is_refused),
        TEST(a_device_whose_root_is_no_map_is_refused),
        TEST(a_root_that_is_no_map_is_the_only_thing_that_is_said),
        TEST(rows_that_are_no_maps_are_refused_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
