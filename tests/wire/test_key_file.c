#include "base/fault.h"
#include "base/wire/key_file.h"
#include "base/wire/wire.h"
#include "tests/scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void a_pair_that_is_made_is_read_again_and_its_secret_is_its_owners(void **state)
{
    struct key_pair made, read;
    char public_key[WIRE_KEY_BYTES], *path = file_join(*state, "me");
    struct stat status;
    assert_int_equal(key_file_make(path, &made), ERR_OK);
    assert_int_equal(key_file_read(path, &read), ERR_OK);
    assert_int_equal(key_file_read_public(path, public_key), ERR_OK);
    assert_string_equal(read.public_key, made.public_key);
    assert_string_equal(read.secret_key, made.secret_key);
    assert_string_equal(public_key, made.public_key);
    assert_string_not_equal(made.public_key, made.secret_key);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    mem_free(path);
}

static void a_pair_that_is_there_stays(void **state)
{
    struct key_pair made, read;
    char *path = file_join(*state, "me");
    assert_int_equal(key_file_make(path, &made), ERR_OK);
    assert_int_equal(key_file_make(path, &read), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "is there already"));
    assert_int_equal(key_file_read(path, &read), ERR_OK);
    assert_string_equal(read.secret_key, made.secret_key);
    mem_free(path);
}

static void half_a_pair_is_none(void **state)
{
    struct key_pair made;
    char *path = file_join(*state, "me");
    setenv("GLOWWORM_FAULT", "file.rename:2", 1);
    fault_reset();
    assert_int_equal(key_file_make(path, &made), ERR_IO);
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    assert_int_equal(key_file_read(path, &made), ERR_NOT_FOUND);
    assert_int_equal(key_file_make(path, &made), ERR_OK);
    assert_int_equal(key_file_read(path, &made), ERR_OK);
    mem_free(path);
}

#define KEY "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7" /* of ZeroMQ's RFC 32 */

static void what_is_no_pair_of_keys_is_refused(void **state)
{
    static const char *const lines[] = {KEY,
                                        KEY " ",
                                        KEY " short",
                                        "short " KEY,
                                        KEY "," KEY,
                                        KEY " " KEY "x",
                                        KEY " " KEY " " KEY,
                                        KEY " rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf~"};
    char *path = file_join(*state, "me");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct key_pair pair = {.secret_key = "untouched"};
        assert_int_equal(file_write_private(path, lines[i], strlen(lines[i])), ERR_OK);
        assert_int_equal(key_file_read(path, &pair), ERR_CONFIG);
        assert_string_equal(pair.secret_key, "untouched");
        assert_null(strstr(err_text(), KEY));
    }
    mem_free(path);
}

static void what_others_can_read_is_no_key(void **state)
{
    struct key_pair pair;
    char *path = file_join(*state, "me");
    assert_int_equal(key_file_make(path, &pair), ERR_OK);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(key_file_read(path, &pair), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "chmod 600"));
    mem_free(path);
}

static void a_public_key_that_is_none_is_refused(void **state)
{
    char key[WIRE_KEY_BYTES], *path = file_join(*state, "me"),
                              *public = file_join(*state, "me.pub");
    assert_int_equal(key_file_read_public(path, key), ERR_NOT_FOUND);
    assert_int_equal(file_write(public, "no key\n", 7), ERR_OK);
    assert_int_equal(key_file_read_public(path, key), ERR_CONFIG);
    mem_free(path);
    mem_free(public);
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(a_pair_that_is_made_is_read_again_and_its_secret_is_its_owners),
        SCRATCH_TEST(a_pair_that_is_there_stays),
        SCRATCH_TEST(half_a_pair_is_none),
        SCRATCH_TEST(what_is_no_pair_of_keys_is_refused),
        SCRATCH_TEST(what_others_can_read_is_no_key),
        SCRATCH_TEST(a_public_key_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
