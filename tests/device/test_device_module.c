/* Devices that are modules: found, loaded, and refused with what is wrong, where, and the cure. */
#include "base/file.h"
#include "base/mem.h"
#include "kernels/device_module.h"
#include "trainer/gang/comm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct device *open_device(const char *name)
{
    struct device *device = NULL;
    struct device_cfg cfg = {name, 1, ISA_AUTO, PRECISION_FP32};
    if (device_open(&cfg, &device) != ERR_OK)
        fail_msg("%s", err_text());
    return device;
}

static void check_refused(const char *name, const char *what, const char *cure)
{
    struct device *device = NULL;
    struct device_cfg cfg = {name, 1, ISA_AUTO, PRECISION_FP32};
    assert_int_equal(device_open(&cfg, &device), ERR_UNAVAILABLE);
    assert_null(device);
    print_message("%s\n", err_text());
    if (!strstr(err_text(), what) || !strstr(err_text(), cure))
        fail_msg("neither \"%s\" nor \"%s\" may be missing in: %s", what, cure, err_text());
}

static int name_folder(void **state)
{
    (void)state;
    return setenv("GLOWWORM_DEVICES", "/nowhere:" MODULES, 1);
}

static void a_module_is_found_by_its_name_and_opened(void **state)
{
    (void)state;
    float host[4] = {1, 2, 3, 4}, back[4] = {0};
    void *memory = NULL;
    struct device *device = open_device("plain");
    const struct device_ops *ops = device->ops;
    assert_string_equal(device->module->name, "plain");
    assert_int_equal(ops->alloc(device, sizeof host, &memory), ERR_OK);
    ops->upload(device, memory, host, sizeof host);
    assert_int_equal(ops->download(device, back, memory, sizeof back), ERR_OK);
    assert_memory_equal(host, back, sizeof host);
    ops->free(device, memory);
    device_close(&device);
    assert_null(device);
}

static void the_cpu_device_is_no_module(void **state)
{
    (void)state;
    struct device *device = open_device("cpu");
    assert_null(device->module);
    device_close(&device);
}

static void a_name_without_a_module_says_where_it_was_looked_for(void **state)
{
    (void)state;
    check_refused("abacus", "no glowworm-device-abacus.so lies in /nowhere, " MODULES ", ",
                  "name its folder in GLOWWORM_DEVICES");
    assert_non_null(strstr(err_text(), "bin/../lib/glowworm; "));
}

static void the_folder_beside_the_programs_is_looked_through_without_an_environment(void **state)
{
    (void)state;
    unsetenv("GLOWWORM_DEVICES");
    check_refused("plain", "bin/../lib/glowworm; ", "install that module");
    assert_null(strstr(err_text(), "nowhere"));
}

static void what_is_no_name_is_never_a_path(void **state)
{
    (void)state;
    check_refused("../modules/plain", "\"../modules/plain\" is no device's name", "auto, cpu or");
    check_refused("", "\"\" is no device's name", "auto, cpu or");
}

static void a_module_of_another_border_is_refused(void **state)
{
    (void)state;
    check_refused("otherabi", "modules/glowworm-device-otherabi.so was built for ABI 0x",
                  "install both from one build");
}

static void what_is_no_module_is_refused(void **state)
{
    (void)state;
    check_refused("mute", "glowworm-device-mute.so is no device module", "remove it");
    check_refused("misnamed", "is the module of device \"someone\", not of \"misnamed\"",
                  "rename it to glowworm-device-someone.so");
    check_refused("hollow", "glowworm-device-hollow.so opened no device", "rebuild or remove");
}

static void a_module_that_cannot_be_loaded_says_what_it_lacks(void **state)
{
    (void)state;
    check_refused("unfit", "nobody_has_this", "install the libraries it needs");
}

static void a_file_that_is_no_shared_object_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/gw-module-XXXXXX", path[80];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/glowworm-device-letter.so", folder);
    assert_int_equal(file_write(path, "Dear device", 11), ERR_OK);
    setenv("GLOWWORM_DEVICES", folder, 1);
    check_refused("letter", path, "install the libraries it needs");
    assert_int_equal(file_remove_folder(folder), ERR_OK);
}

static void what_a_module_says_reaches_the_program(void **state)
{
    (void)state;
    check_refused("refuses", "glowworm-device-refuses.so: no board for 1 threads", "plug one in");
}

static void note(void *own, bool is_missing, const char *text)
{
    char *said = own;
    snprintf(said + strlen(said), 64, "%s%s.", is_missing ? "missing: " : "", text);
}

static void what_a_module_says_of_its_hardware_is_heard_and_some_say_nothing(void **state)
{
    (void)state;
    char said[128] = "";
    assert_int_equal(device_module_survey("misnamed", note, said), ERR_UNAVAILABLE);
    assert_int_equal(device_module_survey("refuses", note, said), ERR_OK);
    assert_string_equal(said, "");
    assert_int_equal(device_module_survey("plain", note, said), ERR_OK);
    assert_string_equal(said, "a plain board.missing: no wire; buy one.");
}

static void a_gang_that_a_module_has_no_exchanges_for_gets_staged_ones(void **state)
{
    (void)state;
    struct comm comm;
    struct device_comm *far = NULL, *staged = NULL;
    struct device *plain = open_device("plain"), *cpu = open_device("cpu");
    comm_alone(&comm);
    snprintf(comm.node, sizeof comm.node, "far");
    assert_int_equal(comm_on_device(&comm, plain, &far), ERR_OK);
    assert_int_equal(comm_on_device(&comm, cpu, &staged), ERR_OK);
    assert_ptr_equal(far->device, plain);
    assert_ptr_equal(far->exchange, staged->exchange);
    device_comm_close(&far);
    device_comm_close(&staged);
    device_close(&plain);
    device_close(&cpu);
}

static void a_module_s_own_exchanges_are_used_where_it_has_some(void **state)
{
    (void)state;
    struct comm comm;
    struct device_comm *own = NULL, *staged = NULL;
    struct device *plain = open_device("plain"), *cpu = open_device("cpu");
    comm_alone(&comm);
    assert_int_equal(comm_on_device(&comm, plain, &own), ERR_OK);
    assert_int_equal(comm_on_device(&comm, cpu, &staged), ERR_OK);
    assert_ptr_equal(own->device, plain);
    assert_ptr_equal(staged->device, cpu);
    assert_ptr_not_equal(own->exchange, staged->exchange);
    device_comm_close(&own);
    device_comm_close(&staged);
    device_close(&plain);
    device_close(&cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_module_is_found_by_its_name_and_opened, name_folder),
        cmocka_unit_test_setup(the_cpu_device_is_no_module, name_folder),
        cmocka_unit_test_setup(a_name_without_a_module_says_where_it_was_looked_for, name_folder),
        cmocka_unit_test(the_folder_beside_the_programs_is_looked_through_without_an_environment),
        cmocka_unit_test_setup(what_is_no_name_is_never_a_path, name_folder),
        cmocka_unit_test_setup(a_module_of_another_border_is_refused, name_folder),
        cmocka_unit_test_setup(what_is_no_module_is_refused, name_folder),
        cmocka_unit_test_setup(a_module_that_cannot_be_loaded_says_what_it_lacks, name_folder),
        cmocka_unit_test(a_file_that_is_no_shared_object_is_refused),
        cmocka_unit_test_setup(what_a_module_says_reaches_the_program, name_folder),
        cmocka_unit_test_setup(a_module_s_own_exchanges_are_used_where_it_has_some, name_folder),
        cmocka_unit_test_setup(what_a_module_says_of_its_hardware_is_heard_and_some_say_nothing,
                               name_folder),
        cmocka_unit_test_setup(a_gang_that_a_module_has_no_exchanges_for_gets_staged_ones,
                               name_folder),
    };
    return cmocka_run_group_tests_name("device_module", tests, NULL, NULL);
}
