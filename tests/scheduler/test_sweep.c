/* Which folders of killed runs are removed, and which of anybody's are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "scheduler/launch.h"
#include "scheduler/mpi_folder.h"
#include "scheduler/process.h"
#include "scheduler/socket_folder.h"
#include "scheduler/sweep.h"
#include "tests/scratch.h"
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int set_up(void **state)
{
    int failure = scratch_make(state);
    if (failure == 0)
        setenv("TMPDIR", *state, 1);
    return failure;
}

static int tear_down(void **state)
{
    unsetenv("TMPDIR");
    return scratch_remove(state);
}

static void put_file(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    assert_int_equal(file_write(path, "bytes", 5), ERR_OK);
    mem_free(path);
}

/* As a runner that was killed leaves it. */
static void leave_mpi_folder(char folder[JOURNAL_PATH])
{
    int lock = -1;
    assert_int_equal(mpi_folder_make(folder, &lock), ERR_OK);
    put_file(folder, "vader_segment.abacus.0.1.0");
    char *sessions = file_join(folder, "ompi.abacus.0/pid.77/0");
    assert_int_equal(file_make_folders(sessions), ERR_OK);
    put_file(sessions, "contact.txt");
    mem_free(sessions);
    close(lock);
}

static void what_no_runner_holds_is_removed(void **state)
{
    char sockets[JOURNAL_PATH], segments[JOURNAL_PATH];
    int lock = -1;
    (void)state;
    assert_int_equal(socket_folder_make(sockets, &lock), ERR_OK);
    close(lock);
    leave_mpi_folder(segments);
    assert_true(sweep_leftovers() >= 2); /* others' tests may have left some, too */
    assert_false(file_exists(sockets));
    assert_false(file_exists(segments));
}

static void what_a_runner_holds_is_left(void **state)
{
    char sockets[JOURNAL_PATH], segments[JOURNAL_PATH];
    int locks[2];
    (void)state;
    assert_int_equal(socket_folder_make(sockets, &locks[0]), ERR_OK);
    assert_int_equal(mpi_folder_make(segments, &locks[1]), ERR_OK);
    (void)sweep_leftovers();
    assert_true(file_exists(sockets));
    assert_true(file_exists(segments));
    mpi_folder_clear(segments);
    assert_true(file_exists(segments));
    assert_int_equal(mpi_folder_remove(segments), ERR_OK);
    close(locks[0]);
    close(locks[1]);
}

static void what_a_living_gang_uses_is_left(void **state)
{
    char segments[JOURNAL_PATH], mark[JOURNAL_PATH + 64];
    struct process gang = {0};
    leave_mpi_folder(segments);
    snprintf(mark, sizeof mark, MPI_FOLDER_SESSIONS "%s", segments);
    char *log = file_join(*state, "log");
    const char *argv[] = {"sleep", "600", NULL}, *environment[] = {mark, NULL};
    struct process_cfg cfg = {.argv = argv, .environment = environment, .log_path = log};
    assert_int_equal(process_start(&cfg, &gang), ERR_OK);
    (void)sweep_leftovers();
    assert_true(file_exists(segments));
    for (double end = clock_seconds() + 20; process_signal(&gang, SIGKILL) > 0;) {
        assert_true(clock_seconds() < end);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    assert_true(process_poll(&gang).has_ended);
    (void)sweep_leftovers();
    assert_false(file_exists(segments));
    mem_free(log);
}

/* The folder's name stands in the gang's environment as its runner wrote it. */
static void a_slash_behind_tmpdir_does_not_hide_a_living_gang(void **state)
{
    char sockets[JOURNAL_PATH], mark[JOURNAL_PATH + 64], endpoint[JOURNAL_PATH + 16];
    struct process gang = {0};
    int lock = -1;
    char *root = file_join(*state, ""), *log = file_join(*state, "log");
    setenv("TMPDIR", root, 1);
    assert_int_equal(socket_folder_make(sockets, &lock), ERR_OK);
    close(lock);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/" SOCKET_NAME, sockets);
    launch_mark(endpoint, mark, sizeof mark);
    const char *argv[] = {"sleep", "600", NULL}, *environment[] = {mark, NULL};
    struct process_cfg cfg = {.argv = argv, .environment = environment, .log_path = log};
    assert_int_equal(process_start(&cfg, &gang), ERR_OK);
    (void)sweep_leftovers();
    assert_true(file_exists(sockets));
    process_signal(&gang, SIGKILL);
    mem_free(root);
    mem_free(log);
}

static void what_is_not_as_we_make_it_is_left(void **state)
{
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = {{"glowworm-abcdef", 0755},
                   {"glowworm-abcde", 0700},
                   {"glowworm-test-abcdef", 0700},
                   {"glowworm-ab.def", 0700},
                   {"fireflies-abcdef", 0700}};
    char *full = file_join(*state, "glowworm-fedcba"), *link = file_join(*state, "glowworm-linked");
    assert_int_equal(mkdir(full, 0700), 0);
    put_file(full, "precious");
    assert_int_equal(symlink("glowworm-fedcba", link), 0);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char *path = file_join(*state, folders[i].name);
        assert_int_equal(mkdir(path, folders[i].mode), 0);
        mem_free(path);
    }
    (void)sweep_leftovers();
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char *path = file_join(*state, folders[i].name);
        if (!file_exists(path))
            fail_msg("%s was removed", path);
        mem_free(path);
    }
    assert_true(file_exists(full)); /* something of somebody's lies in it */
    assert_true(file_exists(link));
    mem_free(full);
    mem_free(link);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_no_runner_holds_is_removed),
        TEST(what_a_runner_holds_is_left),
        TEST(what_a_living_gang_uses_is_left),
        TEST(a_slash_behind_tmpdir_does_not_hide_a_living_gang),
        TEST(what_is_not_as_we_make_it_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
