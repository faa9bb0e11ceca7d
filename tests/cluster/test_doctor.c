/* A check that hangs or dies is a finding, and holds up none of the others. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "cluster/doctor/doctor.h"

/* doctor.c lists them; this test calls none of them. */
void check_campaign(const struct doctor_subject *subject, struct findings *findings)
{
    (void)subject, (void)findings;
}
check_fn check_programs __attribute__((alias("check_campaign")));
check_fn check_mpi __attribute__((alias("check_campaign")));
check_fn check_gpu __attribute__((alias("check_campaign")));
check_fn check_run_folder __attribute__((alias("check_campaign")));
check_fn check_shared_memory __attribute__((alias("check_campaign")));
check_fn check_slurm __attribute__((alias("check_campaign")));
check_fn check_keys __attribute__((alias("check_campaign")));
check_fn check_clock __attribute__((alias("check_campaign")));
check_fn check_limits __attribute__((alias("check_campaign")));
check_fn check_processor __attribute__((alias("check_campaign")));
check_fn check_memory __attribute__((alias("check_campaign")));

struct seen {
    int count;
    struct finding findings[4];
};

static void on_found(void *own, const struct finding *finding)
{
    struct seen *seen = own;
    assert_true(seen->count < 4);
    seen->findings[seen->count++] = *finding;
}

static struct seen run(check_fn *check, double limit_s)
{
    struct seen seen = {0};
    struct check row = {"a check", check, limit_s};
    struct doctor_subject subject = {.run_folder = "."};
    doctor_run(&row, &subject, on_found, &seen);
    return seen;
}

static void find_two(const struct doctor_subject *subject, struct findings *findings)
{
    (void)subject;
    finding_add(findings, FINDING_OK, "", "%d is right", 7);
    finding_add(findings, FINDING_WARNING, "do better", "this is not");
}

static void find_and_hang(const struct doctor_subject *subject, struct findings *findings)
{
    find_two(subject, findings);
    for (;;)
        pause();
}

static void find_and_die(const struct doctor_subject *subject, struct findings *findings)
{
    struct rlimit none = {0, 0};
    (void)subject, (void)findings;
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static void findings_come_in_order_with_the_name_of_their_check(void **unused)
{
    (void)unused;
    struct seen seen = run(find_two, 60);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.findings[0].check, "a check");
    assert_string_equal(seen.findings[0].reason, "7 is right");
    assert_int_equal(seen.findings[1].level, FINDING_WARNING);
    assert_string_equal(seen.findings[1].cure, "do better");
}

static void a_check_that_hangs_is_a_problem_beside_what_it_found(void **unused)
{
    (void)unused;
    struct seen seen = run(find_and_hang, 0.5);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.findings[2].level, FINDING_PROBLEM);
    assert_non_null(strstr(seen.findings[2].reason, "no answer"));
}

static void a_check_that_dies_is_a_problem(void **unused)
{
    (void)unused;
    struct seen seen = run(find_and_die, 60);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.findings[0].level, FINDING_PROBLEM);
    assert_non_null(strstr(seen.findings[0].reason, "signal 11"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(findings_come_in_order_with_the_name_of_their_check),
        cmocka_unit_test(a_check_that_hangs_is_a_problem_beside_what_it_found),
        cmocka_unit_test(a_check_that_dies_is_a_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
