/* Programs whose parent closed standard input, output and error: nothing else gets their numbers,
 * or what is printed would be written into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/scratch.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The program reads a campaign from the pipe and thereby waits for us. */
static pid_t start(const char *const *words)
{
    pid_t child = fork();
    if (child == 0) {
        for (int file = 0; file < 3; file++)
            close(file);
        execv(words[0], (char *const *)words);
        _exit(127);
    }
    return child;
}

static bool is_null(pid_t pid, int file)
{
    char path[64], target[64] = "";
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, file);
    return readlink(path, target, sizeof target - 1) > 0 && strcmp(target, "/dev/null") == 0;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* The pipe's other end, once the program reads it. */
static int open_pipe(const char *path)
{
    int pipe = -1;
    for (double end = clock_seconds() + 60; pipe < 0 && clock_seconds() < end; nap())
        pipe = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    return pipe;
}

static void expect_null(const char *folder, const char *const *words)
{
    char *pipe_path = file_join(folder, "campaign.yaml");
    int status = 0;
    pid_t program = start(words);
    int pipe = open_pipe(pipe_path);
    bool are_null = is_null(program, 0) && is_null(program, 1) && is_null(program, 2);
    if (pipe >= 0)
        close(pipe); /* an empty campaign */
    assert_int_equal(waitpid(program, &status, 0), program);
    assert_true(pipe >= 0);
    assert_int_equal(WEXITSTATUS(status), 78);
    assert_true(are_null);
    mem_free(pipe_path);
}

static void closed_streams_are_opened_on_nothing(void **state)
{
    char *path = file_join(*state, "campaign.yaml");
    const char *command[] = {GLOWWORM, "plan", path, NULL};
    const char *worker[] = {WORKER, "--campaign", path, "--stage", "teacher", NULL};
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_null(*state, command);
    expect_null(*state, worker);
    mem_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(closed_streams_are_opened_on_nothing, scratch_make,
                                        scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
