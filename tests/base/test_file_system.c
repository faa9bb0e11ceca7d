/* The kinds of file systems that every Linux has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file_system.h"

static void memory_is_told_from_what_nobody_knows(void **unused)
{
    (void)unused;
    struct file_system found;
    assert_int_equal(file_system_of("/dev/shm", &found), ERR_OK);
    assert_int_equal(found.kind, FILE_SYSTEM_MEMORY);
    assert_string_equal(found.name, "tmpfs");
    assert_true(found.free_bytes > 0);
    assert_int_equal(file_system_of("/proc", &found), ERR_OK);
    assert_int_equal(found.kind, FILE_SYSTEM_UNKNOWN);
    assert_string_equal(found.name, "type 0x9fa0");
}

static void a_path_that_is_not_there_is_an_error(void **unused)
{
    (void)unused;
    struct file_system found;
    assert_int_equal(file_system_of("/dev/shm/none/of/these", &found), ERR_IO);
    assert_non_null(strstr(err_text(), "/dev/shm/none/of/these"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_told_from_what_nobody_knows),
        cmocka_unit_test(a_path_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
