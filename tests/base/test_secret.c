#include "base/secret.h"
#include "tests/scratch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROOM 16

static char *make_file(const char *folder, const char *text, mode_t mode)
{
    char *path = file_join(folder, "token");
    assert_int_equal(file_write(path, text, strlen(text)), ERR_OK);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void expect_refused(const char *path, const char *reason)
{
    char secret[ROOM] = "";
    assert_int_equal(secret_read(path, secret, sizeof secret), ERR_CONFIG);
    if (!strstr(err_text(), reason))
        fail_msg("\"%s\" is not in: %s", reason, err_text());
    if (strstr(err_text(), "hush"))
        fail_msg("the secret is told: %s", err_text());
    assert_string_equal(secret, "");
}

static void a_line_of_a_private_file_is_the_secret(void **state)
{
    static const char *const texts[] = {"hush-15-letters", "hush-15-letters\n",
                                        "hush-15-letters\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char secret[ROOM];
        char *path = make_file(*state, texts[i], i == 0 ? 0400 : 0600);
        if (secret_read(path, secret, sizeof secret) != ERR_OK)
            fail_msg("%s", err_text());
        assert_string_equal(secret, "hush-15-letters");
        mem_free(path);
    }
}

static void what_is_written_can_be_read_by_its_owner_alone(void **state)
{
    char secret[ROOM], *path = make_file(*state, "older", 0644);
    struct stat status;
    assert_int_equal(secret_write(path, "hush-15-letters"), ERR_OK);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(secret_read(path, secret, sizeof secret), ERR_OK);
    assert_string_equal(secret, "hush-15-letters");
    mem_free(path);
}

static void what_others_can_read_is_no_secret(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0644, 0601};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char *path = make_file(*state, "hush\n", modes[i]);
        expect_refused(path, "chmod 600");
        mem_free(path);
    }
}

static void links_and_folders_are_not_followed(void **state)
{
    char *path = make_file(*state, "hush\n", 0600), *link = file_join(*state, "link");
    assert_int_equal(symlink(path, link), 0);
    expect_refused(link, "is a link");
    expect_refused(*state, "is not a file");
    mem_free(path);
    mem_free(link);
}

static void a_malformed_file_is_refused_without_telling_what_it_holds(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {{"", "is empty"},
                 {"\nhush\n", "is empty"},
                 {"hush\nhush\n", "more than one line"},
                 {"hush-of-16-bytes\n", "too long"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = make_file(*state, cases[i].text, 0600);
        expect_refused(path, cases[i].reason);
        mem_free(path);
    }
}

static void a_missing_file_is_said_so(void **state)
{
    char secret[ROOM];
    char *path = file_join(*state, "nothing");
    assert_int_equal(secret_read(path, secret, sizeof secret), ERR_NOT_FOUND);
    mem_free(path);
}

static void a_drawn_secret_is_new_every_time(void **state)
{
    char first[SECRET_HEX_BYTES], second[SECRET_HEX_BYTES];
    (void)state;
    assert_int_equal(secret_draw(first), ERR_OK);
    assert_int_equal(secret_draw(second), ERR_OK);
    assert_int_equal(strspn(first, "0123456789abcdef"), SECRET_HEX_BYTES - 1);
    assert_string_not_equal(first, second);
}

static void only_the_secret_itself_is_equal(void **state)
{
    (void)state;
    assert_true(secret_equal("hush", "hush"));
    static const char *const others[] = {"", "hus", "husH", "hushhush", "Hush", "hush "};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (secret_equal("hush", others[i]))
            fail_msg("\"%s\" was taken for it", others[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_of_a_private_file_is_the_secret),
        TEST(what_is_written_can_be_read_by_its_owner_alone),
        TEST(what_others_can_read_is_no_secret),
        TEST(links_and_folders_are_not_followed),
        TEST(a_malformed_file_is_refused_without_telling_what_it_holds),
        TEST(a_missing_file_is_said_so),
        TEST(a_drawn_secret_is_new_every_time),
        TEST(only_the_secret_itself_is_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
