/* The file by which a runner finds the gangs of the one before: private, whole, and believed only
 * where it is of this very folder and of the campaign as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/rendezvous.h"
#include "tests/scratch.h"
#include <sys/stat.h>
#include <unistd.h>

static const struct rendezvous written = {.token = "0123456789abcdef",
                                          .socket_folder = "/tmp/glowworm-abcdef",
                                          .mpi_folder = "/dev/shm/glowworm-mpi-abcdef",
                                          .port = 4711};
static const struct campaign plain = {.resources = {.ranks = 2}};

/* The run's folder. */
static char *make_run(const char *scratch)
{
    char *folder = file_join(scratch, "run");
    assert_int_equal(mkdir(folder, 0700), 0);
    if (rendezvous_write(folder, &plain, &written) != ERR_OK)
        fail_msg("%s", err_text());
    return folder;
}

static void expect_refused(const char *folder, const struct campaign *campaign, const char *reason)
{
    struct rendezvous read = {.token = "untouched"};
    assert_int_equal(rendezvous_read(folder, campaign, &read), ERR_CONFIG);
    if (!strstr(err_text(), reason))
        fail_msg("\"%s\" is not in: %s", reason, err_text());
    assert_null(strstr(err_text(), written.token));
    assert_string_equal(read.token, "untouched");
}

static void what_was_written_is_read(void **state)
{
    struct rendezvous read = {.token = ""};
    struct stat status;
    char *folder = make_run(*state), *path = file_join(folder, RENDEZVOUS_NAME);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    if (rendezvous_read(folder, &plain, &read) != ERR_OK)
        fail_msg("%s", err_text());
    assert_string_equal(read.token, written.token);
    assert_string_equal(read.socket_folder, written.socket_folder);
    assert_string_equal(read.mpi_folder, written.mpi_folder);
    assert_int_equal(read.port, written.port);
    rendezvous_remove(folder);
    rendezvous_remove(folder);
    assert_int_equal(rendezvous_read(folder, &plain, &read), ERR_NOT_FOUND);
    mem_free(path);
    mem_free(folder);
}

static void what_gangs_were_told_otherwise_is_refused(void **state)
{
    struct campaign edited[] = {plain, plain, plain, plain, plain};
    char *folder = make_run(*state);
    edited[0].resources.ranks = 3;
    edited[1].resources.threads = 2;
    edited[2].checkpoint.every_seconds = 0.5;
    snprintf(edited[3].resources.isa, sizeof edited[3].resources.isa, "x86-64-v3");
    edited[4].record.tensorboard = true;
    for (int i = 0; i < 5; i++)
        expect_refused(folder, &edited[i], "edited");
    struct campaign named = plain;
    named.resources.stall_seconds = 7; /* the runner's */
    struct rendezvous read;
    assert_int_equal(rendezvous_read(folder, &named, &read), ERR_OK);
    mem_free(folder);
}

static void a_folder_that_was_moved_or_copied_is_refused(void **state)
{
    char *folder = make_run(*state), *moved = file_join(*state, "moved");
    char *from = file_join(folder, RENDEZVOUS_NAME), *to = file_join(moved, RENDEZVOUS_NAME);
    assert_int_equal(rename(folder, moved), 0);
    expect_refused(moved, &plain, "was moved, or is a copy");
    assert_int_equal(mkdir(folder, 0700), 0); /* the same path, another folder */
    assert_int_equal(rename(to, from), 0);
    expect_refused(folder, &plain, "was moved, or is a copy");
    mem_free(to);
    mem_free(from);
    mem_free(moved);
    mem_free(folder);
}

static void what_is_damaged_or_open_to_others_is_refused(void **state)
{
    static const char *const lines[] = {"",
                                        "2",
                                        "2\ta\tb\tc\td\te\t0",
                                        "2\ta\tb\t\td\te\t0",
                                        "1\ta\tb\tc\td\te\t0",
                                        "2\ta\tb\tc\td\te\t0\tf"};
    static const char *const reasons[] = {"is empty",   "is damaged",         "moved",
                                          "is damaged", "of another version", "is damaged"};
    char *folder = make_run(*state), *path = file_join(folder, RENDEZVOUS_NAME);
    assert_int_equal(chmod(path, 0640), 0);
    expect_refused(folder, &plain, "can be read by others");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(file_write_private(path, lines[i], strlen(lines[i])), ERR_OK);
        expect_refused(folder, &plain, reasons[i]);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    expect_refused(folder, &plain, "is a link");
    mem_free(path);
    mem_free(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read),
        TEST(what_gangs_were_told_otherwise_is_refused),
        TEST(a_folder_that_was_moved_or_copied_is_refused),
        TEST(what_is_damaged_or_open_to_others_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
