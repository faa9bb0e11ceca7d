/* How many scores a second the scheduler deals out, writes down and tells: gangs that measure in no
 * time, all played by the thread that runs the loop (tests/scheduler/crew.h), beside their sleeping
 * processes. Some are killed while they hold a share. usage: bench_sharing [GANGS [SCORES [KILLS]]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scheduler/crew.h"

static int gangs = 50, scores = 10000, kills = 5;

static void share(void **state)
{
    struct crew *crew = calloc(1, sizeof *crew);
    int total = 0, twice = 0;
    assert_non_null(crew);
    crew_make(crew, *state, gangs, scores);
    crew->begin_at = gangs;
    crew->kill_helpers = kills;
    expect_run(crew->set, ERR_OK);
    crew_expect_journal(crew);
    for (int i = 0; i < scores; i++) {
        total += crew->measured[i];
        twice += crew->measured[i] > 1;
    }
    double seconds = crew->known_s - crew->began_s;
    printf("gangs=%d killed=%d scores=%d known=%d measured=%d twice=%d seconds=%.2f "
           "scores_per_s=%.0f\n",
           crew->most_gangs, kills - crew->kill_helpers, scores, crew->known, total, twice, seconds,
           scores / seconds);
    crew_free(crew);
    free(crew);
}

int main(int argc, char **argv)
{
    int *numbers[] = {&gangs, &scores, &kills};
    for (int i = 1; i < argc && i <= 3; i++)
        *numbers[i - 1] = (int)strtol(argv[i], NULL, 10);
    if (gangs < 1 || gangs > CREW_MAX_GANGS / 2 || scores < 1 || scores > CREW_MAX_SCORES) {
        fprintf(stderr, "usage: bench_sharing [GANGS [SCORES [KILLS]]], at most %d and %d\n",
                CREW_MAX_GANGS / 2, CREW_MAX_SCORES);
        return 2;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(share, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
