/* Where the files are found that a campaign names. */
#include "base/file.h"
#include "tests/spec/spec_test.h"
#include "trainer/spec/lookup.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/gw-lookup-XXXXXX";
static char home[1024];

/* data/configs/spaces/own.yaml, campaigns/own.yaml and campaigns/beside.yaml; we stand elsewhere */
static int make_folder(void **state)
{
    (void)state;
    static const char *const files[] = {"data/configs/spaces", "campaigns", "elsewhere"};
    static const char *const texts[] = {"data/configs/spaces/own.yaml",
                                        "data/configs/spaces/far.yaml", "campaigns/beside.yaml"};
    if (!getcwd(home, sizeof home) || !mkdtemp(folder) || chdir(folder) != 0)
        return 1;
    for (size_t i = 0; i < 3; i++)
        if (file_make_folders(files[i]) != ERR_OK || file_write(texts[i], "x", 1) != ERR_OK)
            return 1;
    char data[64];
    snprintf(data, sizeof data, "%s/data", folder);
    return setenv("GLOWWORM_DATA", data, 1) != 0 || chdir("elsewhere") != 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return chdir(home) != 0 || file_remove_folder(folder) != ERR_OK;
}

static void check_found(const char *name, const char *beside, const char *expected)
{
    char found[256], whole[256];
    bool is_relative = expected[0] == '.';
    snprintf(whole, sizeof whole, "%s%s%s", is_relative ? "" : folder, is_relative ? "" : "/",
             expected);
    assert_ok(lookup_find(name, "spaces", beside, found, sizeof found));
    assert_string_equal(found, whole);
}

static void names_and_paths_are_found_beside_the_campaign_and_in_the_data_folder(void **state)
{
    (void)state;
    check_found("own", NULL, "data/configs/spaces/own.yaml");
    check_found("configs/spaces/far.yaml", "../campaigns/c.yaml", "data/configs/spaces/far.yaml");
    check_found("beside.yaml", "../campaigns/c.yaml", "../campaigns/beside.yaml");
    check_found("beside", "../campaigns/c.yaml", "../campaigns/beside.yaml");
    check_found("../campaigns/beside.yaml", NULL, "../campaigns/beside.yaml");
}

static void a_file_that_is_nowhere_is_said_with_the_places_tried(void **state)
{
    (void)state;
    char found[256] = "kept", small[8];
    assert_refused(lookup_find("none", "spaces", "../campaigns/c.yaml", found, sizeof found),
                   ERR_NOT_FOUND,
                   "'none' is not there; looked for configs/spaces/none.yaml, "
                   "../campaigns/configs/spaces/none.yaml, ../campaigns/none.yaml, ");
    assert_non_null(strstr(err_text(), "data/configs/spaces/none.yaml; there are far, own"));
    assert_refused(lookup_find("/none.yaml", "spaces", NULL, found, sizeof found), ERR_NOT_FOUND,
                   "'/none.yaml' is not there; looked for /none.yaml");
    assert_string_equal(found, "kept");
    assert_int_equal(lookup_find("own", "spaces", NULL, small, sizeof small), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_paths_are_found_beside_the_campaign_and_in_the_data_folder),
        cmocka_unit_test(a_file_that_is_nowhere_is_said_with_the_places_tried),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
