#include "base/fault.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h> /* needs the four above */

static int disarm(void **state)
{
    (void)state;
    unsetenv("GLOWWORM_FAULT");
    fault_reset();
    return 0;
}

static void arm(const char *rules)
{
    setenv("GLOWWORM_FAULT", rules, 1);
    fault_reset();
}

static void without_rules_nothing_fails(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(FAULT("a.point"), ERR_OK);
}

static void only_the_named_call_of_the_named_point_fails(void **state)
{
    (void)state;
    arm("a.point:3");
    assert_int_equal(FAULT("a.point"), ERR_OK);
    assert_int_equal(FAULT("another.point"), ERR_OK);
    assert_int_equal(FAULT("a.point"), ERR_OK);
    assert_int_equal(FAULT("a.point"), ERR_IO);
    assert_non_null(strstr(err_text(), "a.point"));
    assert_int_equal(FAULT("a.point"), ERR_OK);
}

static void several_rules_count_apart(void **state)
{
    (void)state;
    arm("a:1:full,b:2,a:3");
    assert_int_equal(FAULT("a"), ERR_FULL);
    assert_int_equal(FAULT("b"), ERR_OK);
    assert_int_equal(FAULT("a"), ERR_OK);
    assert_int_equal(FAULT("b"), ERR_IO);
    assert_int_equal(FAULT("a"), ERR_IO);
}

/* The signal that ends a child which arms `rules` and calls the point twice; 0: it ended by itself.
 */
static int signal_of_child(const char *rules)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        arm(rules);
        enum err first = FAULT("a.point"), second = FAULT("a.point");
        _exit(first != ERR_OK || second != ERR_OK);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_kill_rule_kills(void **state)
{
    (void)state;
    assert_int_equal(signal_of_child("a.point:2:kill"), SIGKILL);
    assert_int_equal(signal_of_child("a.point:3:kill"), 0);
}

static void a_stop_rule_stops_until_it_is_continued(void **state)
{
    (void)state;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        arm("a.point:1:stop");
        _exit(FAULT("a.point") == ERR_OK ? 7 : 1);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void a_rule_that_cannot_be_read_aborts(void **state)
{
    (void)state;
    assert_int_equal(signal_of_child("a.point"), SIGABRT);
    assert_int_equal(signal_of_child("a.point:0"), SIGABRT);
    assert_int_equal(signal_of_child("a.point:1:explode"), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_rules_nothing_fails, disarm),
        cmocka_unit_test_teardown(only_the_named_call_of_the_named_point_fails, disarm),
        cmocka_unit_test_teardown(several_rules_count_apart, disarm),
        cmocka_unit_test_teardown(a_kill_rule_kills, disarm),
        cmocka_unit_test_teardown(a_stop_rule_stops_until_it_is_continued, disarm),
        cmocka_unit_test_teardown(a_rule_that_cannot_be_read_aborts, disarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
