/* A command's end, its words, and that nothing of one that takes too long stays. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cluster/timed_command.h"

static struct timed_result result;
static volatile sig_atomic_t interrupts;

static void on_signal(int number)
{
    (void)number;
    interrupts++;
}

static void run_shell(const char *script, double most_s)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct timed_limit limit = {.most_s = most_s, .interrupts = &interrupts};
    const char *const environment[] = {"GLOWWORM_TEST=a word; not two", NULL};
    assert_int_equal(timed_command(argv, environment, &limit, &result), ERR_OK);
}

static void what_it_said_and_how_it_ended_is_kept(void **unused)
{
    (void)unused;
    run_shell("echo out; echo err >&2; exit 3", 60);
    assert_false(result.is_over);
    assert_int_equal(result.code, 3);
    assert_string_equal(result.output, "out\nerr\n");
    run_shell("kill -KILL $$", 60);
    assert_int_equal(result.signal, SIGKILL);
    run_shell("printf '%s' \"$GLOWWORM_TEST\"; printf '\\033[2J'", 60);
    assert_string_equal(result.output, "a word; not two?[2J");
}

static void arguments_are_words_whatever_they_hold(void **unused)
{
    (void)unused;
    const char *const argv[] = {"printf", "%s", "$(exit 1); `a` \"b\" 'c'\n", NULL};
    assert_int_equal(timed_command(argv, NULL, &(struct timed_limit){.most_s = 60}, &result),
                     ERR_OK);
    assert_string_equal(result.output, "$(exit 1); `a` \"b\" 'c'\n");
}

static void one_that_takes_too_long_is_killed_with_what_it_started(void **unused)
{
    (void)unused;
    long child = 0;
    run_shell("sleep 1000 & echo $!; sleep 1000", 0.5);
    assert_true(result.is_over);
    assert_int_equal(sscanf(result.output, "%ld", &child), 1);
    for (int i = 0; i < 6000 && process_started_ticks(child) != 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_true(process_started_ticks(child) == 0);
}

static void an_interrupt_ends_it(void **unused)
{
    (void)unused;
    signal(SIGUSR1, on_signal);
    run_shell("kill -USR1 $PPID; sleep 1000", 600);
    assert_true(result.is_over);
    assert_int_equal(interrupts, 1);
    run_shell("exit 0", 60); /* one that came before ends nothing */
    assert_false(result.is_over);
}

static void one_that_is_not_there_is_an_error(void **unused)
{
    (void)unused;
    const char *const argv[] = {"glowworm-no-such-program", NULL};
    assert_int_equal(timed_command(argv, NULL, &(struct timed_limit){.most_s = 60}, &result),
                     ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(), "glowworm-no-such-program"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_said_and_how_it_ended_is_kept),
        cmocka_unit_test(arguments_are_words_whatever_they_hold),
        cmocka_unit_test(one_that_takes_too_long_is_killed_with_what_it_started),
        cmocka_unit_test(an_interrupt_ends_it),
        cmocka_unit_test(one_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
