/* FIFOs, sockets and devices among the images: opening one may wait for ever, so none is opened.
 * What must not hang runs in a child with an alarm; libvips, which has threads, starts only there.
 */
#include "tests/data/fixture.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_SECONDS 20

static void make_fifo(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    assert_int_equal(mkfifo(path, 0600), 0);
    mem_free(path);
}

static void make_link(const char *folder, const char *name, const char *target)
{
    char *path = file_join(folder, name);
    assert_int_equal(symlink(target, path), 0);
    mem_free(path);
}

static void make_socket(const char *folder, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *path = file_join(folder, name);
    int handle = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(snprintf(address.sun_path, sizeof address.sun_path, "%s", path) <
                (int)sizeof address.sun_path);
    assert_int_equal(bind(handle, (struct sockaddr *)&address, sizeof address), 0);
    close(handle);
    mem_free(path);
}

/* In a child: ends with what `run` returns, or with the alarm's signal. */
static void expect_in_time(int (*run)(const struct scene *scene), const struct scene *scene)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(DEADLINE_SECONDS);
        _exit(run(scene));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        fail_msg("%s after %d seconds", WTERMSIG(status) == SIGALRM ? "it hung" : "it was killed",
                 DEADLINE_SECONDS);
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* How many of the special files are not skipped with the reason; 100: the import failed. */
static int import_folder(const struct scene *scene)
{
    static const char *const names[] = {"a/fifo", "a/link", "a/device", "a/socket"};
    struct import_report report;
    write_picture(scene->source, "a/1.png", 20, 20, 1, 1);
    if (dataset_import(&scene->cfg, &report) != ERR_OK || report.train_count != 1)
        return 100;
    int wrong = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *reason = skip_reason(&report, names[i], SKIP_WRONG_TYPE);
        wrong += !reason || !strstr(reason, "no regular file");
    }
    import_report_fini(&report);
    return wrong;
}

static void what_is_no_regular_file_is_skipped_and_never_waited_for(void **state)
{
    struct scene *scene = *state;
    char *class = file_join(scene->source, "a");
    assert_int_equal(file_make_folders(class), ERR_OK);
    make_fifo(class, "fifo");
    make_link(class, "link", "fifo");
    make_link(class, "device", "/dev/zero");
    make_socket(class, "socket");
    expect_in_time(import_folder, scene);
    mem_free(class);
}

static int import_idx(const struct scene *scene)
{
    struct import_report report;
    enum err err = dataset_import(&scene->cfg, &report);
    import_report_fini(&report);
    return err == ERR_DATA && strstr(err_text(), "a FIFO, not a regular file") ? 0 : 1;
}

static void an_idx_file_that_is_a_fifo_is_refused(void **state)
{
    struct scene *scene = *state;
    write_idx(scene->source, 12, 0, 6, PLAIN);
    char *path = file_join(scene->source, "train-images-idx3-ubyte");
    assert_int_equal(unlink(path), 0);
    make_fifo(scene->source, "train-images-idx3-ubyte");
    expect_in_time(import_idx, scene);
    mem_free(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_regular_file_is_skipped_and_never_waited_for),
        TEST(an_idx_file_that_is_a_fifo_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
