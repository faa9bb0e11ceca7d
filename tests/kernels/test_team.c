#include "kernels/cpu/team.h"
#include "tests/kernels/check.h"
#include <string.h>

enum { JOBS = 1000 };

struct tally {
    int done[JOBS];
    int out_of_range;
};

static void count_job(void *context, int i, int thread)
{
    struct tally *tally = context;
    tally->done[i]++; /* no atomic: a job that two threads took is a race TSan shows */
    if (thread < 0 || thread > 2)
        tally->out_of_range = 1;
}

static void every_job_is_done_exactly_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        struct team *team = NULL;
        assert_int_equal(team_create(threads, &team), ERR_OK);
        assert_int_equal(team_threads(team), threads);
        for (int round = 0; round < 300; round++) {
            struct tally tally = {{0}, 0};
            int jobs = round * 7 % JOBS;
            team_run(team, jobs, count_job, &tally);
            for (int i = 0; i < JOBS; i++)
                assert_int_equal(tally.done[i], i < jobs);
            assert_int_equal(tally.out_of_range, 0);
        }
        team_destroy(&team);
        assert_null(team);
    }
}

static void a_team_without_work_stops(void **state)
{
    (void)state;
    struct team *team = NULL;
    assert_int_equal(team_create(3, &team), ERR_OK);
    team_destroy(&team);
    team_destroy(&team);
    team_destroy(NULL);
}

static int run_group(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_is_done_exactly_once),
        cmocka_unit_test(a_team_without_work_stops),
    };
    return cmocka_run_group_tests_name("team", tests, NULL, NULL);
}

int main(void)
{
    return run_group();
}
