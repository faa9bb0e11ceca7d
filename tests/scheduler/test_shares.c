/* What waits, who holds it, and what becomes of it: every score that was asked for is known in the
 * end, whatever happens to the gangs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/text.h"
#include "scheduler/shares.h"

enum { EVALUATE = 3, SEARCH = 4 }; /* stages */

static int set_up(void **state)
{
    *state = shares_create();
    return 0;
}

static int tear_down(void **state)
{
    shares_destroy((struct shares **)state);
    return 0;
}

static struct score make_score(int number, int detail)
{
    static char subnets[16][16];
    char *subnet = subnets[number % 16];
    struct score score = {.subnet = subnet, .split = 1, .detail = detail};
    snprintf(subnet, sizeof subnets[0], "net%d", number);
    memcpy(score.key.bytes, &number, sizeof number);
    return score;
}

static void want(struct shares *shares, int stage, int number, int detail)
{
    struct score score = make_score(number, detail);
    shares_want(shares, stage, &score);
}

static void want_some(struct shares *shares, int stage, int first, int count)
{
    for (int i = first; i < first + count; i++)
        want(shares, stage, i, 0);
}

/* "net1 net2 " */
static void expect_dealt(struct shares *shares, int stage, uint64_t lease, uint64_t share, int room,
                         const char *expected)
{
    struct score dealt[SHARE_MAX_SCORES];
    struct text list;
    text_init(&list);
    int count = shares_deal(shares, stage, lease, share, room, dealt);
    for (int i = 0; i < count; i++)
        text_add(&list, "%s ", dealt[i].subnet);
    assert_string_equal(text_get(&list), expected);
    text_fini(&list);
}

static void count_told(void *own, int stage)
{
    int *told = own;
    told[stage]++;
}

static void know(struct shares *shares, int number, int detail, int *told)
{
    struct score score = make_score(number, detail);
    shares_known(shares, &score.key, detail, count_told, told);
}

static void scores_are_dealt_once_in_the_order_they_were_asked_for(void **state)
{
    struct shares *shares = *state;
    want_some(shares, SEARCH, 0, 4);
    want_some(shares, SEARCH, 2, 3); /* asked for again, and one more */
    assert_int_equal(shares_waiting(shares, SEARCH), 5);
    expect_dealt(shares, EVALUATE, 7, 1, 4, "");
    expect_dealt(shares, SEARCH, 7, 1, 2, "net0 net1 ");
    expect_dealt(shares, SEARCH, 8, 1, 9, "net2 net3 net4 ");
    expect_dealt(shares, SEARCH, 7, 2, 9, "");
    want_some(shares, SEARCH, 0, 5); /* held: nothing new */
    assert_int_equal(shares_waiting(shares, SEARCH), 0);
}

static void what_a_lost_gang_held_waits_again_in_front(void **state)
{
    struct shares *shares = *state;
    int told[8] = {0};
    want_some(shares, SEARCH, 0, 6);
    expect_dealt(shares, SEARCH, 7, 1, 3, "net0 net1 net2 ");
    expect_dealt(shares, SEARCH, 8, 1, 1, "net3 ");
    know(shares, 1, 0, told);
    shares_lose(shares, 7);
    expect_dealt(shares, SEARCH, 9, 1, 9, "net0 net2 net4 net5 ");
    shares_lose(shares, 7);
    expect_dealt(shares, SEARCH, 9, 2, 9, "");
}

static void a_share_can_be_said_again(void **state)
{
    struct shares *shares = *state;
    struct score left[4];
    int told[8] = {0};
    want_some(shares, SEARCH, 0, 5);
    expect_dealt(shares, SEARCH, 7, 1, 2, "net0 net1 ");
    expect_dealt(shares, SEARCH, 7, 2, 2, "net2 net3 ");
    know(shares, 2, 0, told);
    assert_int_equal(shares_of(shares, SEARCH, 7, 2, 4, left), 1);
    assert_string_equal(left[0].subnet, "net3");
    assert_int_equal(shares_of(shares, SEARCH, 8, 2, 4, left), 0);
}

static void all_stages_that_asked_are_told_once(void **state)
{
    struct shares *shares = *state;
    int told[8] = {0};
    want(shares, SEARCH, 1, 0);
    want(shares, EVALUATE, 1, 0);
    expect_dealt(shares, EVALUATE, 7, 1, 1, "net1 ");
    know(shares, 1, 0, told);
    know(shares, 1, 0, told); /* the report was repeated */
    know(shares, 9, 0, told); /* nobody asked */
    assert_int_equal(told[SEARCH], 1);
    assert_int_equal(told[EVALUATE], 1);
    expect_dealt(shares, SEARCH, 7, 1, 1, "");
}

static void less_detail_than_was_asked_for_is_measured_again(void **state)
{
    struct shares *shares = *state;
    struct score dealt[1];
    struct score asked = make_score(1, 0);
    int told[8] = {0};
    want(shares, SEARCH, 1, 0);
    assert_int_equal(shares_deal(shares, SEARCH, 7, 1, 1, dealt), 1);
    want(shares, SEARCH, 1, 1); /* while it is measured */
    assert_true(shares_wants(shares, SEARCH, &asked.key, 1));
    know(shares, 1, 0, told);
    assert_int_equal(told[SEARCH], 0);
    assert_int_equal(shares_deal(shares, SEARCH, 8, 1, 1, dealt), 1);
    assert_int_equal(dealt[0].detail, 1);
    know(shares, 1, 1, told);
    assert_int_equal(told[SEARCH], 1);
    assert_false(shares_wants(shares, SEARCH, &asked.key, 0));
}

static void a_stage_that_ended_asks_for_nothing(void **state)
{
    struct shares *shares = *state;
    want_some(shares, SEARCH, 0, 4);
    want_some(shares, EVALUATE, 2, 1);
    expect_dealt(shares, SEARCH, 7, 1, 2, "net0 net1 ");
    shares_drop(shares, SEARCH);
    expect_dealt(shares, SEARCH, 7, 2, 9, "");
    shares_lose(shares, 7);
    expect_dealt(shares, SEARCH, 7, 3, 9, "");
    expect_dealt(shares, EVALUATE, 7, 4, 9, "net2 ");
}

/* ---- all of it at random, beside a count by hand */

enum { SCORES = 300, GANGS = 6 };

struct life { /* of the gangs: what each holds */
    struct shares *shares;
    int holds[GANGS][SHARE_MAX_SCORES], count[GANGS];
    uint64_t lease[GANGS], share;
    int told[8];
    bool is_known[SCORES];
};

static void deal_to(struct life *life, int gang)
{
    struct score dealt[SHARE_MAX_SCORES];
    int count =
        shares_deal(life->shares, SEARCH, life->lease[gang], ++life->share, 1 + gang % 3, dealt);
    for (int i = 0; i < count; i++) {
        int number;
        memcpy(&number, dealt[i].key.bytes, sizeof number);
        assert_false(life->is_known[number]);
        for (int other = 0; other < GANGS; other++)
            for (int j = 0; j < life->count[other]; j++)
                assert_int_not_equal(life->holds[other][j], number);
        life->holds[gang][i] = number;
    }
    life->count[gang] = count;
}

static void measure_at(struct life *life, int gang)
{
    while (life->count[gang] > 0) {
        int number = life->holds[gang][--life->count[gang]];
        know(life->shares, number, 0, life->told);
        life->is_known[number] = true;
    }
}

static void lose(struct life *life, int gang)
{
    shares_lose(life->shares, life->lease[gang]);
    life->lease[gang] += GANGS;
    life->count[gang] = 0;
}

static void every_score_is_known_once_whatever_happens_to_gangs(void **state)
{
    struct life life = {.shares = *state};
    for (int gang = 0; gang < GANGS; gang++)
        life.lease[gang] = 1 + (uint64_t)gang;
    want_some(life.shares, SEARCH, 0, SCORES);
    for (uint64_t turn = 0; life.told[SEARCH] < SCORES; turn++) {
        uint32_t draw = rng_below(rng(1, 1, turn, 0, 0), GANGS * 4);
        int gang = (int)draw / 4;
        assert_true(turn < 100000);
        if (draw % 4 == 0)
            lose(&life, gang);
        else if (life.count[gang] == 0)
            deal_to(&life, gang);
        else
            measure_at(&life, gang);
    }
    for (int i = 0; i < SCORES; i++)
        assert_true(life.is_known[i]);
    assert_int_equal(life.told[SEARCH], SCORES);
    assert_int_equal(shares_waiting(life.shares, SEARCH), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scores_are_dealt_once_in_the_order_they_were_asked_for,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_lost_gang_held_waits_again_in_front, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_share_can_be_said_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_stages_that_asked_are_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(less_detail_than_was_asked_for_is_measured_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_stage_that_ended_asks_for_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_score_is_known_once_whatever_happens_to_gangs, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
