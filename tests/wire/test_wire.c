/* The wire between real sockets, against a peer that misbehaves, and its frame reader against
 * noise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/wire/wire.h"
#include "tests/wire/raw_peer.h"

#define FORMAT 7
#define LIMIT  4096

struct place {
    char folder[64], endpoint[128], path[96];
};

static int make_place(void **state)
{
    struct place *place = mem_alloc(sizeof *place);
    snprintf(place->folder, sizeof place->folder, "/tmp/gw-wire-XXXXXX");
    if (!mkdtemp(place->folder))
        return -1;
    snprintf(place->path, sizeof place->path, "%s/s", place->folder);
    snprintf(place->endpoint, sizeof place->endpoint, "ipc://%s", place->path);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    assert_int_equal(file_remove_folder(place->folder), ERR_OK);
    mem_free(place);
    return 0;
}

static struct wire_cfg plain(enum wire_role role, const char *endpoint)
{
    return (struct wire_cfg){.role = role,
                             .endpoint = endpoint,
                             .format = FORMAT,
                             .max_payload_bytes = LIMIT,
                             .wake_fd = -1};
}

static struct wire *open_wire(struct wire_cfg cfg)
{
    struct wire *wire = NULL;
    if (wire_open(&cfg, &wire) != ERR_OK)
        fail_msg("wire_open: %s", err_text());
    return wire;
}

static void expect_text(struct wire *wire, const char *text, struct wire_peer *peer)
{
    struct wire_message message;
    if (wire_receive(wire, 5000, &message) != ERR_OK)
        fail_msg("expected \"%s\": %s", text, err_text());
    assert_int_equal(message.size_bytes, strlen(text));
    assert_memory_equal(message.payload, text, message.size_bytes);
    if (peer)
        *peer = message.peer;
}

static void send_text(struct wire *wire, const struct wire_peer *peer, const char *text)
{
    if (wire_send(wire, peer, text, strlen(text)) != ERR_OK)
        fail_msg("send \"%s\": %s", text, err_text());
}

static void a_question_and_its_answer_cross_the_wire(void **state)
{
    struct place *place = *state;
    struct wire *client = open_wire(plain(WIRE_CLIENT, place->endpoint)); /* before its server */
    send_text(client, NULL, "question");
    struct wire *server = open_wire(plain(WIRE_SERVER, place->endpoint));
    struct wire_peer peer;
    expect_text(server, "question", &peer);
    send_text(server, &peer, "answer");
    expect_text(client, "answer", NULL);
    assert_int_equal(wire_connections(server), 1);
    wire_close(&client);
    wire_close(&server);
    assert_null(server);
}

static void a_server_on_any_free_port_says_which(void **state)
{
    (void)state;
    struct wire *server = open_wire(plain(WIRE_SERVER, "tcp://127.0.0.1:*"));
    assert_null(strchr(wire_endpoint(server), '*'));
    struct wire *client = open_wire(plain(WIRE_CLIENT, wire_endpoint(server)));
    send_text(client, NULL, "here");
    expect_text(server, "here", NULL);
    wire_close(&client);
    wire_close(&server);
}

static void nothing_to_read_is_try_again_after_the_timeout(void **state)
{
    struct place *place = *state;
    struct wire *server = open_wire(plain(WIRE_SERVER, place->endpoint));
    struct wire_message message;
    double start = clock_seconds();
    assert_int_equal(wire_receive(server, 60, &message), ERR_AGAIN);
    double waited = clock_seconds() - start;
    if (waited < 0.05)
        fail_msg("waited %.3f s instead of 0.06 s", waited);
    wire_close(&server);
}

static void a_wake_descriptor_ends_the_waiting(void **state)
{
    struct place *place = *state;
    struct wire_cfg cfg = plain(WIRE_SERVER, place->endpoint);
    cfg.wake_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* readable from the start */
    struct wire *server = open_wire(cfg);
    struct wire_message message;
    double start = clock_seconds();
    assert_int_equal(wire_receive(server, 30000, &message), ERR_AGAIN);
    assert_true(clock_seconds() - start < 10);
    wire_close(&server);
    close(cfg.wake_fd);
}

static void a_peer_that_left_is_an_error_not_a_silence(void **state)
{
    struct place *place = *state;
    struct wire *server = open_wire(plain(WIRE_SERVER, place->endpoint));
    struct wire *client = open_wire(plain(WIRE_CLIENT, place->endpoint));
    struct wire_peer peer;
    send_text(client, NULL, "hello");
    expect_text(server, "hello", &peer);
    wire_close(&client);
    struct wire_message message;
    for (double end = clock_seconds() + 5; wire_connections(server) > 0 && clock_seconds() < end;)
        assert_int_equal(wire_receive(server, 20, &message), ERR_AGAIN);
    assert_int_equal(wire_connections(server), 0);
    assert_int_equal(wire_send(server, &peer, "x", 1), ERR_PEER);
    wire_close(&server);
}

static void a_payload_above_the_limit_is_not_sent(void **state)
{
    struct place *place = *state;
    struct wire *client = open_wire(plain(WIRE_CLIENT, place->endpoint));
    static char big[LIMIT + 1];
    assert_int_equal(wire_send(client, NULL, big, sizeof big), ERR_DATA);
    assert_int_equal(wire_send(client, NULL, big, LIMIT), ERR_OK);
    wire_close(&client);
}

static void another_format_is_refused_and_the_next_message_is_read(void **state)
{
    struct place *place = *state;
    struct wire *server = open_wire(plain(WIRE_SERVER, place->endpoint));
    struct wire_cfg cfg = plain(WIRE_CLIENT, place->endpoint);
    cfg.format = FORMAT + 1;
    cfg.linger_ms = 1000;
    struct wire *newer = open_wire(cfg), *client = open_wire(plain(WIRE_CLIENT, place->endpoint));
    struct wire_message message;
    send_text(newer, NULL, "from the future");
    assert_int_equal(wire_receive(server, 5000, &message), ERR_DATA);
    assert_non_null(strstr(err_text(), "format 8"));
    send_text(client, NULL, "from today");
    expect_text(server, "from today", NULL);
    wire_close(&newer);
    wire_close(&client);
    wire_close(&server);
}

static int connect_raw(const struct place *place)
{
    int fd = raw_connect(place->path);
    assert_true(fd >= 0);
    if (!raw_shake_hands(fd))
        fail_msg("no handshake");
    return fd;
}

static void malformed_messages_are_refused_and_the_server_lives(void **state)
{
    struct place *place = *state;
    struct wire *server = open_wire(plain(WIRE_SERVER, place->endpoint));
    struct wire_message message;
    uint8_t good[WIRE_HEADER_BYTES + 2] = {0}, lying[WIRE_HEADER_BYTES + 2] = {0};
    wire_frame_write(FORMAT, 2, good);
    wire_frame_write(FORMAT, 200, lying);
    int fd = connect_raw(place);
    assert_true(raw_send_frame(fd, RAW_LAST, 0, "", 0));
    assert_int_equal(wire_receive(server, 5000, &message), ERR_DATA);
    assert_true(raw_send_frame(fd, RAW_LAST, 5, "GLOWx", 5));
    assert_int_equal(wire_receive(server, 5000, &message), ERR_DATA);
    assert_true(raw_send_frame(fd, RAW_LAST, sizeof lying, lying, sizeof lying));
    assert_int_equal(wire_receive(server, 5000, &message), ERR_DATA);
    for (int i = 0; i < 5; i++) /* six frames, each a sound message, together not one */
        assert_true(raw_send_frame(fd, RAW_MORE, sizeof good, good, sizeof good));
    assert_true(raw_send_frame(fd, RAW_LAST, sizeof good, good, sizeof good));
    assert_int_equal(wire_receive(server, 5000, &message), ERR_DATA);
    assert_true(raw_send_frame(fd, RAW_LAST, sizeof good, good, sizeof good));
    assert_int_equal(wire_receive(server, 5000, &message), ERR_OK);
    assert_int_equal(message.size_bytes, 2);
    close(fd);
    wire_close(&server);
}

static void an_oversized_frame_costs_the_peer_its_connection(void **state)
{
    struct place *place = *state;
    struct wire *server = open_wire(plain(WIRE_SERVER, place->endpoint));
    int fd = connect_raw(place);
    raw_send_frame(fd, RAW_LONG, (size_t)1 << 40, "x", 1); /* a terabyte is promised */
    if (!raw_is_closed(fd))
        fail_msg("the connection is still open");
    close(fd);
    wire_close(&server);
}

/* ZeroMQ takes bytes that are not its own for its oldest protocol, which had no greeting: noise may
 * keep its connection and even arrive as messages, but none that is accepted. */
static void a_stranger_that_speaks_something_else_is_not_heard(void **state)
{
    struct place *place = *state;
    struct wire *server = open_wire(plain(WIRE_SERVER, place->endpoint));
    struct wire_message message;
    int fd = raw_connect(place->path);
    char noise[256];
    memset(noise, 'A', sizeof noise);
    assert_true(raw_send(fd, noise, sizeof noise));
    struct wire *client = open_wire(plain(WIRE_CLIENT, place->endpoint));
    send_text(client, NULL, "still there?");
    enum err err = ERR_DATA;
    while (err == ERR_DATA) /* the rest of the noise */
        err = wire_receive(server, 5000, &message);
    assert_int_equal(err, ERR_OK);
    assert_int_equal(message.size_bytes, 12);
    assert_memory_equal(message.payload, "still there?", 12);
    close(fd);
    for (double end = clock_seconds() + 5; wire_connections(server) != 1 && clock_seconds() < end;)
        err = wire_receive(server, 20, &message);
    assert_int_equal(wire_connections(server), 1);
    wire_close(&client);
    wire_close(&server);
}

/* Frames made of noise, of headers with a flipped bit, and of every length: only the exact one is
 * read. */
static void the_frame_reader_accepts_only_exact_frames(void **state)
{
    (void)state;
    uint8_t frame[64];
    const void *payload = NULL;
    size_t size = 0;
    for (uint64_t round = 0; round < 20000; round++) {
        size_t length = rng_below(rng(1, RNG_TEST, 0, round, 0), sizeof frame + 1);
        for (size_t i = 0; i < length; i++)
            frame[i] = (uint8_t)rng(1, RNG_TEST, 1, round, i);
        uint8_t *copy = malloc(length ? length : 1); /* exact, for the sanitizer */
        memcpy(copy, frame, length);
        assert_int_equal(wire_frame_read(copy, length, FORMAT, &payload, &size), ERR_DATA);
        free(copy);
    }
    wire_frame_write(FORMAT, 20, frame);
    for (size_t length = 0; length <= sizeof frame; length++)
        assert_int_equal(wire_frame_read(frame, length, FORMAT, &payload, &size),
                         length == WIRE_HEADER_BYTES + 20 ? ERR_OK : ERR_DATA);
    for (int bit = 0; bit < WIRE_HEADER_BYTES * 8; bit++) {
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (wire_frame_read(frame, WIRE_HEADER_BYTES + 20, FORMAT, &payload, &size) != ERR_DATA)
            fail_msg("bit %d flipped and still accepted", bit);
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void curve_lets_in_the_listed_key_and_nobody_else(void **state)
{
    (void)state;
    char server_public[WIRE_KEY_BYTES], server_secret[WIRE_KEY_BYTES];
    char friend_public[WIRE_KEY_BYTES], friend_secret[WIRE_KEY_BYTES];
    char stranger_public[WIRE_KEY_BYTES], stranger_secret[WIRE_KEY_BYTES];
    assert_int_equal(wire_make_keys(server_public, server_secret), ERR_OK);
    assert_int_equal(wire_make_keys(friend_public, friend_secret), ERR_OK);
    assert_int_equal(wire_make_keys(stranger_public, stranger_secret), ERR_OK);
    const char *allowed[] = {friend_public};
    struct wire_curve door = {.public_key = server_public,
                              .secret_key = server_secret,
                              .allowed = allowed,
                              .allowed_count = 1};
    struct wire_cfg cfg = plain(WIRE_SERVER, "tcp://127.0.0.1:*");
    cfg.curve = &door;
    struct wire *server = open_wire(cfg);
    struct wire_curve keys[2] = {{.public_key = stranger_public, .secret_key = stranger_secret},
                                 {.public_key = friend_public, .secret_key = friend_secret}};
    struct wire *clients[3];
    for (int i = 0; i < 3; i++) {
        struct wire_cfg client = plain(WIRE_CLIENT, wire_endpoint(server));
        if (i < 2) {
            keys[i].server_key = server_public;
            client.curve = &keys[i];
        } /* the third does not encrypt at all */
        clients[i] = open_wire(client);
        send_text(clients[i], NULL, i == 1 ? "friend" : "stranger");
    }
    expect_text(server, "friend", NULL);
    struct wire_message message;
    assert_int_equal(wire_receive(server, 300, &message), ERR_AGAIN);
    for (int i = 0; i < 3; i++)
        wire_close(&clients[i]);
    wire_close(&server);
}

static void bad_endpoints_and_keys_are_configuration_errors(void **state)
{
    (void)state;
    struct wire *wire = NULL;
    struct wire_cfg cfg = plain(WIRE_SERVER, "nonsense");
    assert_int_equal(wire_open(&cfg, &wire), ERR_CONFIG);
    cfg.endpoint = "ipc:///nowhere/at/all/socket";
    assert_int_equal(wire_open(&cfg, &wire), ERR_UNAVAILABLE);
    struct wire_curve curve = {.public_key = "short", .secret_key = "short"};
    cfg = plain(WIRE_SERVER, "tcp://127.0.0.1:*");
    cfg.curve = &curve;
    assert_int_equal(wire_open(&cfg, &wire), ERR_CONFIG);
    assert_null(wire);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_question_and_its_answer_cross_the_wire),
        TEST(a_server_on_any_free_port_says_which),
        TEST(nothing_to_read_is_try_again_after_the_timeout),
        TEST(a_wake_descriptor_ends_the_waiting),
        TEST(a_peer_that_left_is_an_error_not_a_silence),
        TEST(a_payload_above_the_limit_is_not_sent),
        TEST(another_format_is_refused_and_the_next_message_is_read),
        TEST(malformed_messages_are_refused_and_the_server_lives),
        TEST(an_oversized_frame_costs_the_peer_its_connection),
        TEST(a_stranger_that_speaks_something_else_is_not_heard),
        TEST(the_frame_reader_accepts_only_exact_frames),
        TEST(curve_lets_in_the_listed_key_and_nobody_else),
        TEST(bad_endpoints_and_keys_are_configuration_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
