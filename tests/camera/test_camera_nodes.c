/* Nodes of a camera by their names: what is set is read back. */
#include "tests/camera/memory_camera.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MODEL "Firefly FFY-U3-16S2M-DL"

static int open_memory(void **state)
{
    static struct memory_camera memory;
    memory_camera_open(&memory, MODEL);
    *state = &memory;
    return 0;
}

static int close_memory(void **state)
{
    memory_camera_close(*state);
    return 0;
}

static void a_number_goes_into_nodes_of_every_kind_that_hold_it(void **state)
{
    struct memory_camera *memory = *state;
    struct camera *camera = &memory->camera;
    double width = 0;
    assert_int_equal(camera_set_number(camera, "Width", 224), ERR_OK);
    assert_int_equal(camera_get_number(camera, "Width", &width), ERR_OK);
    assert_int_equal((int)width, 224);
    assert_int_equal(camera_set_flag(camera, "InferenceEnable", true), ERR_OK);
    assert_int_equal(memory_value(memory, "InferenceEnable")->integer, 1);
    assert_int_equal(camera_set_number(camera, "Width", 224.5), ERR_FAILED);
    assert_int_equal(camera_set_number(camera, "InferenceEnable", 2), ERR_FAILED);
    assert_int_equal(camera_set_text(camera, "Width", "wide"), ERR_FAILED);
    assert_int_equal(camera_set_number(camera, "Width", NAN), ERR_FAILED);
}

static void a_node_that_keeps_its_value_is_an_error_with_both(void **state)
{
    struct memory_camera *memory = *state;
    memory->fault.stuck = "TestPattern";
    assert_int_equal(camera_set_text(&memory->camera, "TestPattern", "InjectedImage"), ERR_FAILED);
    assert_non_null(strstr(err_text(), "TestPattern = InjectedImage, it stays Off"));
}

static void what_is_so_already_is_not_written(void **state)
{
    struct memory_camera *memory = *state;
    assert_int_equal(camera_set_number(&memory->camera, "Width", 720), ERR_OK);
    assert_int_equal(memory->changes, 0);
}

static void an_error_names_its_node(void **state)
{
    struct memory_camera *memory = *state;
    struct camera_value value;
    assert_int_equal(camera_get(&memory->camera, "NoSuchNode", &value), ERR_FAILED);
    assert_non_null(strstr(err_text(), "NoSuchNode"));
    assert_int_equal(camera_set_text(&memory->camera, "TestPattern", "Bars"), ERR_FAILED);
    assert_non_null(strstr(err_text(), "TestPattern"));
}

static void text_of_a_camera_is_made_fit_to_be_shown(void **state)
{
    char text[CAMERA_TEXT], longest[4 * CAMERA_TEXT];
    (void)state;
    camera_take_text(text, "a\x1b[2Jb\xff"
                           "c\xc3\xa9");
    assert_string_equal(text, "a?[2Jb?c\xc3\xa9");
    camera_take_text(text, "a\nb\rc\td\xc2\x85"
                           "e\xc2\xa0");
    assert_string_equal(text, "a?b?c?d?e\xc2\xa0");
    memset(longest, 'x', sizeof longest);
    longest[CAMERA_TEXT - 2] = '\xc3'; /* a character that would be cut in two */
    longest[CAMERA_TEXT - 1] = '\xa9';
    longest[sizeof longest - 1] = '\0';
    camera_take_text(text, longest);
    assert_int_equal(strlen(text), CAMERA_TEXT - 2);
}

#define ON_MEMORY(test) cmocka_unit_test_setup_teardown(test, open_memory, close_memory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MEMORY(a_number_goes_into_nodes_of_every_kind_that_hold_it),
        ON_MEMORY(a_node_that_keeps_its_value_is_an_error_with_both),
        ON_MEMORY(what_is_so_already_is_not_written),
        ON_MEMORY(an_error_names_its_node),
        ON_MEMORY(text_of_a_camera_is_made_fit_to_be_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
