/* What a gang wants, has measured and is ready for, against a scheduler that the test plays: it
 * forgets messages, says them twice and in another order, falls silent and sends the gang away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/worker/scripted_scheduler.h"
#include "worker/link_exchange.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define PATIENCE_S 20.0
#define SUBNET     "r=28 k=7 e=4 d=3"
enum { MANY = 900 };

static struct hash key_of(int i)
{
    struct hash key = {{(uint8_t)i, (uint8_t)(i >> 8), 77}};
    return key;
}

static int number_of(const struct hash *key)
{
    return key->bytes[0] + 256 * key->bytes[1];
}

static void begin(struct script *script, uint64_t lease_epoch, const char *stage)
{
    struct assignment assignment;
    script_assign(script, lease_epoch, stage);
    if (link_take(script->link, &assignment) != ERR_OK)
        fail_msg("%s", err_text());
}

static void want(struct exchange *exchange, enum exchange_aim aim, int count)
{
    struct exchange_score *scores = mem_array((size_t)count, sizeof *scores);
    for (int i = 0; i < count; i++)
        scores[i] = (struct exchange_score){.key = key_of(i), .subnet = SUBNET};
    exchange->want(exchange, aim, scores, count);
    mem_free(scores);
}

static void keep(struct exchange *exchange, int i, size_t size_bytes)
{
    void *bytes = mem_alloc(size_bytes);
    struct exchange_record record = {.key = key_of(i), .bytes = bytes, .size_bytes = size_bytes};
    exchange->keep(exchange, &record);
    mem_free(bytes);
}

static struct exchange_event must_next(struct exchange *exchange)
{
    struct exchange_event event;
    for (double end = clock_seconds() + PATIENCE_S; clock_seconds() < end;)
        if (exchange->next(exchange, &event) == ERR_OK)
            return event;
    fail_msg("nothing came");
    return event;
}

static void expect_record(struct exchange *exchange, int i, const char *text)
{
    struct exchange_event event = must_next(exchange);
    assert_int_equal(event.kind, EXCHANGE_RECORD);
    assert_int_equal(number_of(&event.record.key), i);
    assert_int_equal(event.record.size_bytes, strlen(text));
    if (text[0])
        assert_memory_equal(event.record.bytes, text, strlen(text));
}

/* The record of number i, when it is said the next time. */
static uint64_t hear_measured(struct script *script, int i)
{
    for (double end = clock_seconds() + PATIENCE_S; clock_seconds() < end;) {
        const struct heard *heard = script_hear(script, GW__FROM_WORKER__BODY_MEASURED);
        for (int at = 0; at < heard->count; at++)
            if (number_of(&heard->keys[at]) == i)
                return heard->sequence;
    }
    fail_msg("record %d is not said", i);
    return 0;
}

/* What was said before an acknowledgement that came has come too. */
static void expect_nothing(struct script *script, struct exchange *exchange)
{
    struct exchange_event event;
    keep(exchange, MANY, 600);
    script_accept(script, hear_measured(script, MANY));
    link_finish_measuring(script->link);
    assert_int_equal(exchange->next(exchange, &event), ERR_AGAIN);
}

static const struct heard *hear_wanted(struct script *script, int count)
{
    const struct heard *heard = NULL;
    for (double end = clock_seconds() + PATIENCE_S; clock_seconds() < end;) {
        heard = script_hear(script, GW__FROM_WORKER__BODY_WANTED);
        if (heard->count == count)
            return heard;
    }
    fail_msg("%d are wanted, not %d", heard ? heard->count : 0, count);
    return NULL;
}

static void a_question_is_repeated_until_all_of_it_is_answered(void **state)
{
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    struct hash keys[] = {key_of(0), key_of(1), key_of(2)};
    begin(script, 1, "search");
    want(&exchange, EXCHANGE_ASK, 3);
    const struct heard *heard = hear_wanted(script, 3);
    assert_true(heard->is_question);
    assert_string_equal(heard->stage, "search");
    assert_int_equal(heard->lease_epoch, 1);
    script_known(script, 1, &keys[2], 1, "a record");
    expect_record(&exchange, 2, "a record");
    script_known(script, 1, &keys[0], 1, "");
    expect_record(&exchange, 0, "");
    heard = hear_wanted(script, 1);
    assert_int_equal(number_of(&heard->keys[0]), 1);
    script_known(script, 1, keys, 3, "said again");
    expect_record(&exchange, 1, "said again");
    script_known(script, 1, keys, 3, "and again");
    expect_nothing(script, &exchange);
}

static void a_wish_waits_until_somebody_knows_it(void **state)
{
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    struct hash keys[] = {key_of(0), key_of(1)}, other = key_of(9);
    begin(script, 1, "search");
    want(&exchange, EXCHANGE_WANT, 2);
    assert_false(hear_wanted(script, 2)->is_question);
    script_known(script, 1, keys, 2, "");
    script_known(script, 1, &other, 1, "never asked for");
    script_known(script, 7, keys, 2, "of another lease");
    expect_nothing(script, &exchange);
    hear_wanted(script, 2);
    script_known(script, 1, keys, 2, "a record");
    expect_record(&exchange, 0, "a record");
    expect_record(&exchange, 1, "a record");
}

static void a_long_list_goes_in_several_messages(void **state)
{
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    bool is_heard[MANY] = {false};
    int messages = 0, left = MANY;
    begin(script, 1, "search");
    want(&exchange, EXCHANGE_ASK, MANY);
    for (; left > 0; messages++) {
        const struct heard *heard = script_hear(script, GW__FROM_WORKER__BODY_WANTED);
        for (int i = 0; i < heard->count; i++) {
            int number = number_of(&heard->keys[i]);
            left -= !is_heard[number];
            is_heard[number] = true;
        }
        script_known(script, 1, heard->keys, heard->count, "");
    }
    assert_true(messages >= 4);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(must_next(&exchange).record.size_bytes, 0);
}

struct call {
    struct link *link;
    atomic_bool is_done;
};

static void *finish(void *own)
{
    struct call *call = own;
    link_finish_measuring(call->link);
    atomic_store(&call->is_done, true);
    return NULL;
}

static void expect_end(pthread_t thread)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)PATIENCE_S;
    if (pthread_timedjoin_np(thread, NULL, &end) != 0)
        fail_msg("it waits still");
}

static void a_record_is_said_until_it_is_accepted(void **state)
{
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    struct call call = {.link = script->link};
    pthread_t thread;
    begin(script, 1, "search");
    keep(&exchange, 0, 600);
    uint64_t sequence = hear_measured(script, 0);
    assert_int_equal(script->heard.lease_epoch, 1);
    assert_string_equal(script->heard.stage, "search");
    assert_int_equal(script->heard.record_bytes[0], 600);
    assert_int_equal(hear_measured(script, 0), sequence);
    keep(&exchange, 1, 700);
    uint64_t next = hear_measured(script, 1);
    assert_int_not_equal(next, sequence);
    assert_int_equal(pthread_create(&thread, NULL, finish, &call), 0);
    script_accept(script, sequence);
    script_accept(script, sequence);
    assert_int_equal(hear_measured(script, 1), next);
    assert_false(atomic_load(&call.is_done));
    script_accept(script, next);
    expect_end(thread);
}

/* Many at once, and large ones, which fill a message each. */
static void every_record_comes_whatever_their_number_and_size(void **state)
{
    enum { COUNT = 100, LARGE = 150000 };
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    bool is_heard[COUNT] = {false};
    begin(script, 1, "search");
    for (int i = 0; i < COUNT; i++)
        keep(&exchange, i, i % 10 == 0 ? LARGE : 600);
    for (int left = COUNT, message = 0; left > 0; message++) {
        const struct heard *heard = script_hear(script, GW__FROM_WORKER__BODY_MEASURED);
        if (message % 3 == 1) /* lost */
            continue;
        for (int i = 0; i < heard->count; i++) {
            int number = number_of(&heard->keys[i]);
            assert_int_equal(heard->record_bytes[i], number % 10 == 0 ? LARGE : 600);
            left -= !is_heard[number];
            is_heard[number] = true;
        }
        script_accept(script, heard->sequence);
    }
    link_finish_measuring(script->link);
}

static void hear_ready(struct script *script, uint64_t share)
{
    do
        script_hear(script, GW__FROM_WORKER__BODY_READY);
    while (script->heard.share != share);
}

static void expect_share(struct exchange *exchange, int i)
{
    struct exchange_event event = must_next(exchange);
    assert_int_equal(event.kind, EXCHANGE_SHARE);
    assert_int_equal(event.count, 1);
    assert_int_equal(number_of(&event.scores[0].key), i);
    assert_string_equal(event.scores[0].subnet, SUBNET);
    assert_int_equal(event.scores[0].split, SPLIT_TEST);
}

static void a_share_is_taken_once_and_by_a_gang_that_is_ready(void **state)
{
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    struct hash keys[] = {key_of(0), key_of(1), key_of(2)};
    begin(script, 1, "search");
    script_share(script, 1, 1, &keys[0], SUBNET);
    expect_nothing(script, &exchange); /* it has not asked for one */
    exchange.ready(&exchange);
    hear_ready(script, 0);
    hear_ready(script, 0);
    script_share(script, 9, 1, &keys[2], SUBNET); /* of another lease */
    script_share(script, 1, 1, &keys[0], SUBNET);
    script_share(script, 1, 1, &keys[0], SUBNET);
    expect_share(&exchange, 0);
    expect_nothing(script, &exchange);
    exchange.ready(&exchange);
    hear_ready(script, 1);
    script_share(script, 1, 1, &keys[0], SUBNET);
    script_share(script, 1, 2, &keys[1], SUBNET);
    expect_share(&exchange, 1);
}

/* It came before the gang had looked, and the gang says again that it is ready. */
static void a_share_that_has_come_is_not_dropped(void **state)
{
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    struct hash key = key_of(0);
    begin(script, 1, "search");
    exchange.ready(&exchange);
    exchange.ready(&exchange);
    hear_ready(script, 0);
    script_share(script, 1, 1, &key, SUBNET);
    keep(&exchange, MANY, 600);
    script_accept(script, hear_measured(script, MANY));
    link_finish_measuring(script->link); /* the share has come too */
    exchange.ready(&exchange);
    expect_share(&exchange, 0);
    exchange.ready(&exchange);
    hear_ready(script, 1);
}

static void another_lease_begins_with_nothing(void **state)
{
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    struct hash key = key_of(0);
    begin(script, 1, "evaluate");
    want(&exchange, EXCHANGE_WANT, 1);
    exchange.ready(&exchange);
    hear_ready(script, 0);
    script_share(script, 1, 5, &key, SUBNET);
    expect_share(&exchange, 0);
    begin(script, 2, "search");
    script_known(script, 2, &key, 1, "of the stage before");
    expect_nothing(script, &exchange);
    exchange.ready(&exchange);
    hear_ready(script, 0);
    assert_int_equal(script->heard.lease_epoch, 2);
    assert_string_equal(script->heard.stage, "search");
    script_share(script, 2, 1, &key, SUBNET);
    expect_share(&exchange, 0);
}

/* Measuring on would only add to what a full disk keeps from counting; other ranks wait for this
 * one, so that it must not wait. */
static void while_very_many_do_not_count_no_share_comes(void **state)
{
    enum { VERY_MANY = 4096 };
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    struct exchange_event event;
    struct hash key = key_of(0);
    begin(script, 1, "search");
    exchange.ready(&exchange);
    hear_ready(script, 0);
    for (int i = 0; i < VERY_MANY; i++)
        keep(&exchange, i + 1, 8);
    script_share(script, 1, 1, &key, SUBNET);
    uint64_t sequence = hear_measured(script, 1);
    hear_measured(script, 1); /* the share has come too */
    assert_int_equal(exchange.next(&exchange, &event), ERR_AGAIN);
    for (int i = VERY_MANY; i < 3 * VERY_MANY; i++)
        keep(&exchange, i + 1, 8);
    script_accept(script, sequence);
    while (exchange.next(&exchange, &event) == ERR_AGAIN)
        script_accept(script, script_hear(script, GW__FROM_WORKER__BODY_MEASURED)->sequence);
    assert_int_equal(event.kind, EXCHANGE_SHARE);
}

static void wait_for_stop(struct link *link)
{
    for (double end = clock_seconds() + PATIENCE_S; !link_stop_requested(link);) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        assert_true(clock_seconds() < end);
    }
}

static void a_gang_that_is_sent_away_waits_for_no_record(void **state)
{
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    struct exchange_event event;
    struct call call = {.link = script->link};
    pthread_t thread;
    begin(script, 1, "search");
    want(&exchange, EXCHANGE_WANT, 1);
    keep(&exchange, 0, 600);
    hear_measured(script, 0);
    assert_int_equal(pthread_create(&thread, NULL, finish, &call), 0);
    script_bye(script, 1);
    expect_end(thread);
    wait_for_stop(script->link);
    assert_true(link_is_sent_away(script->link));
    assert_int_equal(exchange.next(&exchange, &event), ERR_AGAIN);
    keep(&exchange, 1, 600);
    link_finish_measuring(script->link);
}

/* What was measured until then is not lost. */
static void a_gang_that_is_asked_to_stop_says_what_it_has_measured(void **state)
{
    struct script *script = *state;
    struct exchange exchange = link_exchange(script->link);
    struct call call = {.link = script->link};
    pthread_t thread;
    begin(script, 1, "search");
    want(&exchange, EXCHANGE_WANT, 1);
    script_stop(script);
    wait_for_stop(script->link);
    keep(&exchange, 0, 600);
    assert_int_equal(pthread_create(&thread, NULL, finish, &call), 0);
    hear_measured(script, 0);
    assert_false(atomic_load(&call.is_done));
    script_accept(script, hear_measured(script, 0));
    expect_end(thread);
}

static void a_gang_that_waits_for_a_dead_scheduler_stops(void **state)
{
    struct script script = {0};
    struct exchange_event event;
    struct assignment assignment;
    (void)state;
    script_listen(&script);
    struct link_cfg cfg = {.endpoint = script.endpoint,
                           .token = SCRIPT_TOKEN,
                           .lease_epoch = 1,
                           .ranks = 1,
                           .silence_s = 3};
    assert_int_equal(link_open(&cfg, &script.link), ERR_OK);
    script_hear(&script, GW__FROM_WORKER__BODY_HELLO);
    script_assign(&script, 1, "search");
    assert_int_equal(link_take(script.link, &assignment), ERR_OK);
    struct exchange exchange = link_exchange(script.link);
    want(&exchange, EXCHANGE_WANT, 3);
    exchange.ready(&exchange);
    wire_close(&script.wire);
    wait_for_stop(script.link);
    assert_true(link_is_lost(script.link));
    assert_int_equal(exchange.next(&exchange, &event), ERR_AGAIN);
    keep(&exchange, 0, 600);
    link_finish_measuring(script.link);
    link_close(&script.link);
    script_end(&script);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_open, script_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_question_is_repeated_until_all_of_it_is_answered),
        TEST(a_wish_waits_until_somebody_knows_it),
        TEST(a_long_list_goes_in_several_messages),
        TEST(a_record_is_said_until_it_is_accepted),
        TEST(every_record_comes_whatever_their_number_and_size),
        TEST(a_share_is_taken_once_and_by_a_gang_that_is_ready),
        TEST(a_share_that_has_come_is_not_dropped),
        TEST(while_very_many_do_not_count_no_share_comes),
        TEST(another_lease_begins_with_nothing),
        TEST(a_gang_that_is_sent_away_waits_for_no_record),
        TEST(a_gang_that_is_asked_to_stop_says_what_it_has_measured),
        cmocka_unit_test(a_gang_that_waits_for_a_dead_scheduler_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
