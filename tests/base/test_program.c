/* The program that runs finds itself, and what lies beside it. */
#include "base/program.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char called[PATH_MAX]; /* from / */

static void it_is_found_from_anywhere(void **state)
{
    (void)state;
    char path[PATH_MAX];
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(program_path(path, sizeof path), ERR_OK);
    assert_string_equal(path, called);
}

static void one_beside_it_is_found(void **state)
{
    (void)state;
    char path[PATH_MAX];
    assert_int_equal(program_find(strrchr(called, '/') + 1, path, sizeof path), ERR_OK);
    assert_string_equal(path, called);
}

static void one_that_is_missing_is_named(void **state)
{
    (void)state;
    char path[PATH_MAX];
    assert_int_equal(program_beside("no-such-program", path, sizeof path), ERR_OK);
    assert_int_equal(program_find("no-such-program", path, sizeof path), ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(), path));
}

static void a_path_that_has_no_room_is_an_error(void **state)
{
    (void)state;
    char path[PATH_MAX];
    for (size_t room = 1; room <= strlen(called); room++)
        assert_int_equal(program_path(path, room), ERR_UNAVAILABLE);
    char longer[PATH_MAX];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(program_beside(longer, path, sizeof path), ERR_UNAVAILABLE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_found_from_anywhere),
        cmocka_unit_test(one_beside_it_is_found),
        cmocka_unit_test(one_that_is_missing_is_named),
        cmocka_unit_test(a_path_that_has_no_room_is_an_error),
    };
    if (argc < 1 || !realpath(argv[0], called))
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
