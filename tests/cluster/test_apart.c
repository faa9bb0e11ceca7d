/* What the end of a child says of the pages it read: only a wild read speaks against them. */
#include "cluster/apart.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static enum err die(void *own)
{
    const int *number = own;
    signal(*number, SIG_DFL);
    kill(getpid(), *number);
    pause();
    return ERR_OK;
}

static void expect(int number, enum err expected, const char *words)
{
    enum err err = apart(die, &number, "some/store");
    if (err != expected)
        fail_msg("signal %d: %s (%s)", number, err_name(err), err_text());
    if (!strstr(err_text(), words) || !strstr(err_text(), "some/store"))
        fail_msg("signal %d: \"%s\" lacks \"%s\"", number, err_text(), words);
}

static void a_wild_read_is_damage(void **state)
{
    (void)state;
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        expect(numbers[i], ERR_DATA, "damaged");
}

static void a_killed_reader_is_not_blamed_on_the_data(void **state)
{
    (void)state;
    static const int numbers[] = {SIGKILL, SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        expect(numbers[i], ERR_FAILED, "says nothing of the data");
}

/* As behind "| head". */
static void a_closed_pipe_ends_the_command_too(void **state)
{
    (void)state;
    static int number = SIGPIPE;
    int status = 0;
    pid_t command = fork();
    if (command == 0) {
        signal(SIGPIPE, SIG_DFL);
        _exit(apart(die, &number, "some/store") == ERR_OK ? 1 : 2);
    }
    assert_int_equal(waitpid(command, &status, 0), command);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGPIPE);
}

static enum err refuse(void *own)
{
    return err_set(ERR_AGAIN, "%s is busy", (const char *)own);
}

static void what_the_child_returns_comes_back_with_its_text(void **state)
{
    (void)state;
    assert_int_equal(apart(refuse, "the store", "some/store"), ERR_AGAIN);
    assert_string_equal(err_text(), "the store is busy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wild_read_is_damage),
        cmocka_unit_test(a_killed_reader_is_not_blamed_on_the_data),
        cmocka_unit_test(a_closed_pipe_ends_the_command_too),
        cmocka_unit_test(what_the_child_returns_comes_back_with_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
