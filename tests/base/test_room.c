/* A disk that is filled and emptied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the four above */

#include "base/room.h"
#include "tests/scratch.h"
#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static void room_is_there_or_not(void **state)
{
    const char *folder = *state;
    if (mount("none", folder, "tmpfs", 0, "size=2m") != 0) {
        print_message("no tmpfs here (%s): no disk is filled\n", strerror(errno));
        skip();
    }
    struct statvfs before, after;
    statvfs(folder, &before);
    enum err some = room_check(folder, ROOM_BYTES), more = room_check(folder, 3 * ROOM_BYTES);
    char text[200];
    snprintf(text, sizeof text, "%s", err_text());
    statvfs(folder, &after);
    umount2(folder, MNT_DETACH); /* before anything can fail */
    assert_int_equal(some, ERR_OK);
    assert_int_equal(more, ERR_FULL);
    assert_non_null(strstr(text, folder));
    assert_int_equal(after.f_bavail, before.f_bavail);
}

static void where_it_cannot_be_tried_nobody_knows(void **state)
{
    (void)state;
    assert_int_equal(room_check("/no/such/folder", ROOM_BYTES), ERR_OK);
    assert_int_equal(room_check("/proc", ROOM_BYTES), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(room_is_there_or_not, scratch_make, scratch_remove),
        cmocka_unit_test(where_it_cannot_be_tried_nobody_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
