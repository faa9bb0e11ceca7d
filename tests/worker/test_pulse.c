/* The sign of life of a rank, as the scheduler gets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/wire/wire.h"
#include "scheduler/protocol.h"
#include "scheduler/protocol.pb-c.h"
#include "tests/scratch.h"
#include "worker/pulse.h"
#include <unistd.h>

static struct wire *open_scheduler(const char *folder, char endpoint[WIRE_ENDPOINT])
{
    struct wire *wire = NULL;
    snprintf(endpoint, WIRE_ENDPOINT, "ipc://%s/gang", folder);
    struct wire_cfg cfg = {.role = WIRE_SERVER,
                           .endpoint = endpoint,
                           .format = PROTOCOL_FORMAT,
                           .max_payload_bytes = PROTOCOL_MAX_BYTES,
                           .wake_fd = -1};
    assert_int_equal(wire_open(&cfg, &wire), ERR_OK);
    return wire;
}

/* The next one. */
static Gw__FromWorker *hear(struct wire *wire)
{
    struct wire_message received;
    for (double end = clock_seconds() + 60; wire_receive(wire, 100, &received) != ERR_OK;)
        assert_true(clock_seconds() < end);
    Gw__FromWorker *message = gw__from_worker__unpack(NULL, received.size_bytes, received.payload);
    assert_non_null(message);
    assert_int_equal(message->body_case, GW__FROM_WORKER__BODY_RANK_ALIVE);
    return message;
}

/* Waits for one with this much work. */
static void expect(struct wire *wire, uint64_t work, bool is_waiting)
{
    for (double end = clock_seconds() + 60;;) {
        assert_true(clock_seconds() < end);
        Gw__FromWorker *message = hear(wire);
        const Gw__RankAlive alive = *message->rank_alive;
        gw__from_worker__free_unpacked(message, NULL);
        if (alive.work == work && alive.polls == 2 * work && (bool)alive.is_waiting == is_waiting)
            return;
    }
}

static void a_rank_says_who_it_is_and_how_far_it_has_got(void **state)
{
    char endpoint[WIRE_ENDPOINT];
    struct wire *wire = open_scheduler(*state, endpoint);
    struct rank_work work = {0};
    struct pulse *pulse = NULL;
    struct pulse_cfg cfg = {
        .endpoint = endpoint, .token = "secret", .lease_epoch = 7, .rank = 3, .work = &work};
    assert_int_equal(pulse_open(&cfg, &pulse), ERR_OK);
    Gw__FromWorker *message = hear(wire);
    assert_string_equal(message->token, "secret");
    assert_int_equal(message->lease_epoch, 7);
    assert_int_equal(message->rank_alive->rank, 3);
    assert_int_equal(message->rank_alive->pid, getpid());
    assert_true(message->rank_alive->host[0] != '\0');
    gw__from_worker__free_unpacked(message, NULL);
    atomic_fetch_add(&work.done, 5);
    atomic_fetch_add(&work.polls, 10);
    expect(wire, 5, false);
    atomic_store(&work.is_waiting, true);
    expect(wire, 5, true);
    pulse_close(&pulse);
    assert_null(pulse);
    pulse_close(&pulse);
    wire_close(&wire);
}

static void a_scheduler_that_is_not_there_delays_nobody(void **state)
{
    char endpoint[WIRE_ENDPOINT];
    struct rank_work work = {0};
    struct pulse *pulse = NULL;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/gang", (const char *)*state);
    struct pulse_cfg cfg = {.endpoint = endpoint, .token = "secret", .work = &work};
    assert_int_equal(pulse_open(&cfg, &pulse), ERR_OK);
    pulse_close(&pulse);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rank_says_who_it_is_and_how_far_it_has_got),
        TEST(a_scheduler_that_is_not_there_delays_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
