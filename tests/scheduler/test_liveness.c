/* Ranks that stop, hang, wait and are merely slow, in a time of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/gang.h"

#define LIMIT_S 30.0

static struct liveness gang;

static int set_up(void **unused)
{
    (void)unused;
    liveness_init(&gang, 2);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    liveness_fini(&gang);
    return 0;
}

static void say_word(struct rank_word word, double now_s)
{
    word.host = "abacus";
    word.pid = 100 + word.rank;
    liveness_hear(&gang, &word, now_s);
}

static void expect_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void say(int rank, uint64_t work, bool is_waiting, double now_s)
{
    say_word((struct rank_word){.rank = rank, .work = work, .is_waiting = is_waiting}, now_s);
}

/* It waits for another rank. */
static void say_polls(int rank, uint64_t work, double now_s)
{
    say_word((struct rank_word){.rank = rank, .work = work, .polls = (uint64_t)now_s}, now_s);
}

/* Both ranks, once a second, one batch in `batch_s`; returns the time. */
static double work(double from_s, double seconds, double batch_s)
{
    double now_s = from_s;
    for (; now_s < from_s + seconds; now_s++)
        for (int rank = 0; rank < 2; rank++)
            say(rank, (uint64_t)(1 + now_s / batch_s), false, now_s);
    return now_s - 1;
}

static void expect(int rank, double now_s, const char *words)
{
    char why[256] = "";
    int found = liveness_find_stalled(&gang, LIMIT_S, now_s, why, sizeof why);
    if (found != rank || !strstr(why, words))
        fail_msg("at %.0f s: rank %d, \"%s\"; expected rank %d, \"%s\"", now_s, found, why, rank,
                 words);
}

static void a_gang_that_says_nothing_of_its_ranks_is_not_watched(void **unused)
{
    (void)unused;
    expect(-1, 1e6, "");
}

static void a_silent_rank_is_named_not_the_one_that_waits_for_it(void **unused)
{
    (void)unused;
    double stopped_s = work(0, 100, 0.5);
    for (int i = 1; i <= 31; i++) {
        expect(-1, stopped_s + i - 1, "");
        say_polls(0, 1000, stopped_s + i);
    }
    expect(1, stopped_s + 31, "rank 1 (process 101 on abacus) has been silent for 31 s");
}

static void a_rank_that_never_spoke_is_noticed_too(void **unused)
{
    (void)unused;
    for (int i = 0; i <= 31; i++)
        say_polls(0, 1, i);
    expect(1, 31, "rank 1 has said nothing for 31 s");
}

static void a_rank_that_stands_still_is_named_not_the_one_that_waits_for_it(void **unused)
{
    (void)unused;
    double hung_s = work(0, 100, 0.5);
    for (int i = 1; i <= 31; i++) {
        say_polls(0, 1000, hung_s + i);
        say(1, 1 + (uint64_t)(hung_s / 0.5), false, hung_s + i);
    }
    expect(1, hung_s + 31, "rank 1 (process 101 on abacus) has stood still for 31 s");
}

static void a_rank_that_hangs_while_it_waits_for_others_is_named_too(void **unused)
{
    (void)unused;
    double hung_s = work(0, 100, 0.5);
    say_word((struct rank_word){.rank = 1, .work = 1000, .polls = 1}, hung_s);
    for (int i = 1; i <= 31; i++) {
        say_polls(0, 1000, hung_s + i);
        say_word((struct rank_word){.rank = 1, .work = 1000, .polls = 1}, hung_s + i);
    }
    expect(1, hung_s + 31, "has stood still for 31 s");
}

static void a_wait_that_ends_is_not_standing_still(void **unused)
{
    (void)unused;
    double now_s = work(0, 10, 0.5);
    for (int i = 1; i <= 200; i++)
        say(0, 20, true, now_s + i); /* for a disk */
    say(1, 20, true, now_s + 200);
    say(0, 20, false, now_s + 201);
    expect(-1, now_s + 201, "");
}

static void batches_that_take_long_are_given_three_times_as_much(void **unused)
{
    (void)unused;
    double last_s = 400; /* batches of 40 s: the latest began at 400 */
    (void)work(0, 401, 40);
    for (int i = 1; i <= 121; i++)
        for (int rank = 0; rank < 2; rank++) {
            expect(-1, last_s + i - 1, "");
            say(rank, 11, false, last_s + i);
        }
    expect(0, last_s + 121, "its longest batch of late took 40 s");
}

static void loading_may_take_long_and_is_forgotten_later(void **unused)
{
    (void)unused;
    for (int i = 0; i < 300; i++)
        for (int rank = 0; rank < 2; rank++)
            say(rank, 0, false, i);
    expect(-1, 299, ""); /* nothing has moved yet */
    double hung_s = work(300, 30, 0.5);
    for (int i = 1; i <= 60; i++)
        for (int rank = 0; rank < 2; rank++)
            say(rank, (uint64_t)(1 + hung_s / 0.5), false, hung_s + i);
    expect(-1, hung_s + 60, ""); /* the first batch came late: so may another */
    hung_s = work(hung_s + 61, 200, 0.5);
    for (int i = 1; i <= 31; i++)
        for (int rank = 0; rank < 2; rank++)
            say(rank, (uint64_t)(1 + hung_s / 0.5), false, hung_s + i);
    expect(0, hung_s + 31, "has stood still");
}

static void words_of_a_rank_the_gang_does_not_have_are_not_heard(void **unused)
{
    (void)unused;
    say(2, 1, false, 0);
    say(-1, 1, false, 0);
    expect(-1, 1000, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A gang of both ranks that was started at 1 s; each second of [from_s, to_s) the scheduler turns.
 */
static void turn(struct gang *started, double from_s, double to_s)
{
    const struct gang_limits limits = gang_limits_default();
    for (double now_s = from_s; now_s < to_s; now_s++)
        gang_watch(started, &limits, now_s);
}

static void say_all(struct gang *started, uint64_t work, double now_s)
{
    Gw__RankAlive alive = GW__RANK_ALIVE__INIT;
    alive.work = work;
    alive.host = "abacus";
    gang_heard(started, now_s);
    for (alive.rank = 0; alive.rank < 2; alive.rank++)
        gang_hear_rank(started, &alive, now_s);
}

static struct gang start_gang(void)
{
    struct gang started = {
        .is_running = true, .has_peer = true, .started_s = 1, .heard_s = 1, .moved_s = 1};
    liveness_init(&started.liveness, 2);
    for (int i = 1; i <= 10; i++) {
        say_all(&started, (uint64_t)i, i);
        turn(&started, i, i + 1);
    }
    return started;
}

static void while_the_machine_sleeps_no_gang_is_silent(void **unused)
{
    (void)unused;
    struct gang started = start_gang();
    turn(&started, 7210, 7240);
    assert_false(started.is_killed);
    turn(&started, 7240, 7242);
    assert_true(started.is_killed);
    expect_text(started.reason, "has been silent for 3");
    liveness_fini(&started.liveness);
}

static void while_the_machine_sleeps_no_rank_stands_still(void **unused)
{
    (void)unused;
    struct gang started = start_gang();
    say_all(&started, 11, 7210); /* heard before anything else */
    for (int i = 7211; i <= 7240; i++) {
        say_all(&started, 11, i);
        turn(&started, i, i + 1);
        assert_false(started.is_killed);
    }
    say_all(&started, 11, 7241);
    turn(&started, 7241, 7242);
    assert_true(started.is_killed);
    expect_text(started.reason, "has stood still for 31 s");
    liveness_fini(&started.liveness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_gang_that_says_nothing_of_its_ranks_is_not_watched),
        TEST(a_silent_rank_is_named_not_the_one_that_waits_for_it),
        TEST(a_rank_that_never_spoke_is_noticed_too),
        TEST(a_rank_that_stands_still_is_named_not_the_one_that_waits_for_it),
        TEST(a_rank_that_hangs_while_it_waits_for_others_is_named_too),
        TEST(a_wait_that_ends_is_not_standing_still),
        TEST(batches_that_take_long_are_given_three_times_as_much),
        TEST(loading_may_take_long_and_is_forgotten_later),
        TEST(words_of_a_rank_the_gang_does_not_have_are_not_heard),
        TEST(while_the_machine_sleeps_no_gang_is_silent),
        TEST(while_the_machine_sleeps_no_rank_stands_still),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
