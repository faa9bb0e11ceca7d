#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster/descriptors.h"
#include <sys/resource.h>

static void set_limit(rlim_t soft, rlim_t hard)
{
    struct rlimit limit = {soft, hard};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static rlim_t soft_limit(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur;
}

static void many_gangs_need_many(void **state)
{
    struct campaign campaign = {.resources = {.gangs = 1, .ranks = 1}};
    (void)state;
    long one = descriptors_needed(&campaign);
    campaign.resources.gangs = 1000;
    campaign.resources.ranks = 8;
    assert_int_equal(descriptors_needed(&campaign) - one, 9000 - 2);
}

static void the_limit_is_raised_and_never_lowered(void **state)
{
    (void)state;
    set_limit(200, 900);
    descriptors_raise(500);
    assert_int_equal(soft_limit(), 500);
    descriptors_raise(300);
    assert_int_equal(soft_limit(), 500);
}

static void it_goes_as_far_as_the_system_allows(void **state)
{
    (void)state;
    set_limit(200, 600);
    descriptors_raise(10000);
    assert_int_equal(soft_limit(), 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_gangs_need_many),
        cmocka_unit_test(the_limit_is_raised_and_never_lowered),
        cmocka_unit_test(it_goes_as_far_as_the_system_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
