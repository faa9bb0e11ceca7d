/* USB cameras that may not be opened, by what the system says of its devices. */
#include "base/file.h"
#include "base/mem.h"
#include "camera/usb_access.h"
#include "tests/scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void put(const char *folder, const char *name, const char *text)
{
    char *path = file_join(folder, name);
    assert_int_equal(file_write(path, text, strlen(text)), ERR_OK);
    mem_free(path);
}

/* As /sys/bus/usb/devices has one. */
static void plug_in(const char *root, const char *name, const char *maker, const char *number)
{
    char *folder = file_join(root, name);
    assert_int_equal(file_make_folders(folder), ERR_OK);
    put(folder, "idVendor", maker);
    put(folder, "busnum", "2\n");
    put(folder, "devnum", number);
    mem_free(folder);
}

static bool is_denied(const char *root, char path[256])
{
    char *devices = file_join(root, "dev");
    bool is = usb_access_denied(root, devices, path, 256);
    mem_free(devices);
    return is;
}

static void only_a_camera_of_the_maker_that_cannot_be_written_is_denied(void **state)
{
    char path[256];
    char *bus = file_join(*state, "dev/002");
    plug_in(*state, "2-1", "046d\n", "7\n"); /* somebody else's mouse */
    assert_false(is_denied(*state, path));
    plug_in(*state, "2-2", "1e10\n", "11\n");
    assert_true(is_denied(*state, path)); /* its file is not there for us */
    assert_non_null(strstr(path, "dev/002/011"));
    assert_int_equal(file_make_folders(bus), ERR_OK);
    put(bus, "011", "");
    assert_false(is_denied(*state, path));
    mem_free(bus);
}

static void what_is_no_list_of_devices_denies_nothing(void **state)
{
    char path[256];
    assert_false(usb_access_denied("/nowhere", "/dev", path, sizeof path));
    plug_in(*state, "2-1", "1e10", "many\n");
    plug_in(*state, "2-3", "1e10", "");
    assert_false(is_denied(*state, path));
}

static void the_rule_is_the_one_that_is_shipped(void **state)
{
    char *bytes = NULL;
    size_t size = 0;
    (void)state;
    assert_int_equal(file_read("configs/udev/99-firefly-dl.rules", 4096, &bytes, &size), ERR_OK);
    assert_non_null(strstr(bytes, usb_access_rule));
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_a_camera_of_the_maker_that_cannot_be_written_is_denied,
                                        scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(what_is_no_list_of_devices_denies_nothing, scratch_make,
                                        scratch_remove),
        cmocka_unit_test(the_rule_is_the_one_that_is_shipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
