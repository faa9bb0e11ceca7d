/* What the start of a run clears away of an earlier runner, and what it leaves alone: a journal
 * from elsewhere may name any folder as the one of its socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/loop.h"
#include "scheduler/socket_folder.h"
#include "tests/scheduler/open_journal.h"
#include "tests/scratch.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void make_folder(const char *scratch, const char *name, mode_t mode, char path[JOURNAL_PATH])
{
    assert_in_range(snprintf(path, JOURNAL_PATH, "%s/%s", scratch, name), 1, JOURNAL_PATH - 1);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void make_file(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    assert_int_equal(file_write(path, "precious", 8), ERR_OK);
    mem_free(path);
}

static void make_socket(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int size = snprintf(address.sun_path, sizeof address.sun_path, "%s/gang", folder);
    assert_in_range(size, 1, sizeof address.sun_path - 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static bool is_there(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    bool is = file_exists(path);
    mem_free(path);
    return is;
}

/* The start of a run whose journal says that an attempt here had its socket in `folder`. */
static void clear(const char *scratch, const char *folder)
{
    static const struct hash key = {{7}};
    struct attempt_record record = {.pid = 1};
    struct lease lease;
    int killed = -1;
    struct journal *journal = open_journal(scratch);
    process_place(record.host, sizeof record.host);
    snprintf(record.socket_folder, sizeof record.socket_folder, "%s", folder);
    assert_int_equal(journal_lease(journal, &key, "kernel", "", LEASE_AFRESH, &lease), ERR_OK);
    assert_int_equal(journal_started(journal, &lease, &record), ERR_OK);
    assert_int_equal(loop_clear_leftovers(&(struct loop_cfg){.journal = journal}, &killed), ERR_OK);
    assert_int_equal(killed, 0);
    journal_close(&journal);
}

static void the_socket_of_a_dead_runner_is_cleared_away(void **state)
{
    char folder[JOURNAL_PATH];
    make_folder(*state, "glowworm-dead", 0700, folder);
    make_socket(folder);
    clear(*state, folder);
    assert_false(file_exists(folder));
    clear(*state, folder); /* a second runner finds it gone */
}

static void a_folder_that_holds_more_than_a_socket_loses_nothing(void **state)
{
    char folder[JOURNAL_PATH], below[JOURNAL_PATH];
    make_folder(*state, "glowworm-photos", 0700, folder);
    make_folder(folder, "2019", 0700, below);
    make_file(folder, "gang"); /* no socket, whatever its name */
    make_file(below, "beach");
    clear(*state, folder);
    assert_true(is_there(folder, "gang"));
    assert_true(is_there(below, "beach"));
}

static void a_folder_that_others_may_enter_is_left_alone(void **state)
{
    char folder[JOURNAL_PATH];
    make_folder(*state, "glowworm-shared", 0755, folder);
    make_socket(folder);
    clear(*state, folder);
    assert_true(is_there(folder, "gang"));
    assert_int_equal(socket_folder_remove(folder), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "glowworm-shared"));
    assert_non_null(strstr(err_text(), "0755"));
}

static void a_link_to_a_folder_is_left_alone(void **state)
{
    char folder[JOURNAL_PATH], link[JOURNAL_PATH];
    make_folder(*state, "glowworm-real", 0700, folder);
    make_socket(folder);
    snprintf(link, sizeof link, "%s/glowworm-link", (const char *)*state);
    assert_int_equal(symlink(folder, link), 0);
    clear(*state, link);
    assert_true(is_there(folder, "gang"));
    assert_true(is_there(*state, "glowworm-link"));
    assert_int_equal(socket_folder_remove(link), ERR_CONFIG);
}

/* None of them is a name we make. */
static void a_path_of_another_form_is_left_alone(void **state)
{
    char folder[JOURNAL_PATH], run[JOURNAL_PATH], path[JOURNAL_PATH + 32];
    make_folder(*state, "victim", 0700, folder);
    make_folder(*state, "glowworm-run", 0700, run);
    make_socket(folder);
    snprintf(path, sizeof path, "%s/../victim", run);
    clear(*state, path);
    snprintf(path, sizeof path, "%s/glowworm-run/../victim/", (const char *)*state);
    clear(*state, path);
    clear(*state, folder);
    assert_true(is_there(folder, "gang"));
    snprintf(path, sizeof path, "%s/../glowworm-run", folder);
    clear(*state, path);
    assert_true(file_exists(run));
    assert_int_equal(socket_folder_remove("glowworm-relative"), ERR_CONFIG);
    assert_int_equal(socket_folder_remove(""), ERR_CONFIG);
}

static void what_is_made_can_be_removed(void **state)
{
    char folder[JOURNAL_PATH];
    (void)state;
    int lock = -1;
    assert_int_equal(socket_folder_make(folder, &lock), ERR_OK);
    make_socket(folder);
    assert_true(lock >= 0);
    assert_int_equal(socket_folder_lock(folder), -1); /* its runner lives */
    assert_int_equal(socket_folder_share(folder), -1);
    assert_int_equal(socket_folder_remove(folder), ERR_OK);
    assert_int_equal(socket_folder_remove(folder), ERR_OK);
    assert_false(file_exists(folder));
    close(lock);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_socket_of_a_dead_runner_is_cleared_away),
        TEST(a_folder_that_holds_more_than_a_socket_loses_nothing),
        TEST(a_folder_that_others_may_enter_is_left_alone),
        TEST(a_link_to_a_folder_is_left_alone),
        TEST(a_path_of_another_form_is_left_alone),
        TEST(what_is_made_can_be_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
