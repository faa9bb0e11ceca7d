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

struct keys { /* of a server and its one client */
    char server_public[WIRE_KEY_BYTES], server_secret[WIRE_KEY_BYTES];
    char client_public[WIRE_KEY_BYTES], client_secret[WIRE_KEY_BYTES];
    const char *allowed[1];
    struct wire_curve server, client;
};

static void make_keys(struct keys *keys)
{
    assert_int_equal(wire_make_keys(keys->server_public, keys->server_secret), ERR_OK);
    assert_int_equal(wire_make_keys(keys->client_public, keys->client_secret), ERR_OK);
    keys->allowed[0] = keys->client_public;
    keys->server = (struct wire_curve){.public_key = keys->server_public,
                                       .secret_key = keys->server_secret,
                                       .allowed = keys->allowed,
                                       .allowed_count = 1};
    keys->client = (struct wire_curve){.public_key = keys->client_public,
                                       .secret_key = keys->client_secret,
                                       .server_key = keys->server_public};
}

static struct wire *open_encrypted(enum wire_role role, const char *endpoint,
                                   const struct wire_curve *curve)
{
    struct wire_cfg cfg = plain(role, endpoint);
    cfg.curve = curve;
    return open_wire(cfg);
}

static void a_server_on_any_free_port_says_which(void **state)
{
    (void)state;
    struct keys keys;
    make_keys(&keys);
    struct wire *server = open_encrypted(WIRE_SERVER, "tcp://127.0.0.1:*", &keys.server);
    assert_null(strchr(wire_endpoint(server), '*'));
    struct wire *client = open_encrypted(WIRE_CLIENT, wire_endpoint(server), &keys.client);
    send_text(client, NULL, "here");
    expect_text(server, "here", NULL);
    wire_close(&client);
    wire_close(&server);
}

static void nothing_leaves_the_machine_unencrypted(void **state)
{
    struct place *place = *state;
    static const char *const endpoints[] = {"tcp://127.0.0.1:*", "tcp://127.0.0.1:27199",
                                            "ws://h:1",          "udp://127.0.0.1:27199",
                                            " ipc:///x",         "ipc://@x"};
    struct wire *wire = NULL;
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++)
        for (int role = WIRE_SERVER; role <= WIRE_CLIENT; role++) {
            struct wire_cfg cfg = plain((enum wire_role)role, endpoints[i]);
            assert_int_equal(wire_open(&cfg, &wire), ERR_CONFIG);
            assert_non_null(strstr(err_text(), "CURVE"));
        }
    wire = open_wire(plain(WIRE_SERVER, place->endpoint));
    wire_close(&wire);
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

#define FRAMES 10000

static void a_message_of_very_many_frames_is_refused_piece_by_piece(void **state)
{
    struct place *place = *state;
    struct wire *server = open_wire(plain(WIRE_SERVER, place->endpoint));
    struct wire_message message;
    uint8_t good[WIRE_HEADER_BYTES + 2] = {0};
    int pieces = 0;
    enum err err = ERR_DATA;
    wire_frame_write(FORMAT, 2, good);
    int fd = connect_raw(place);
    for (int i = 0; i < FRAMES; i++)
        assert_true(raw_send_frame(fd, RAW_MORE, sizeof good, good, sizeof good));
    assert_true(raw_send_frame(fd, RAW_LAST, sizeof good, good, sizeof good));
    assert_true(raw_send_frame(fd, RAW_LAST, sizeof good, good, sizeof good));
    for (; (err = wire_receive(server, 5000, &message)) == ERR_DATA; pieces++)
        continue;
    assert_int_equal(err, ERR_OK);
    assert_int_equal(message.size_bytes, 2);
    if (pieces < FRAMES / 100) /* each takes no longer than a hundred messages */
        fail_msg("%d pieces", pieces);
    assert_int_equal(wire_receive(server, 0, &message), ERR_AGAIN); /* none was taken for another */
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

/* Once it is refused there is nowhere to send to. */
static void send_as_stranger(struct wire *stranger)
{
    enum err err = wire_send(stranger, NULL, "stranger", strlen("stranger"));
    assert_true(err == ERR_OK || err == ERR_AGAIN);
}

static void curve_lets_in_the_listed_key_and_nobody_else(void **state)
{
    struct place *place = *state;
    struct keys keys, others;
    make_keys(&keys);
    make_keys(&others);
    others.client.server_key = keys.server_public;
    struct wire *server = open_encrypted(WIRE_SERVER, place->endpoint, &keys.server);
    struct wire *stranger = open_encrypted(WIRE_CLIENT, place->endpoint, &others.client);
    struct wire *friendly = open_encrypted(WIRE_CLIENT, place->endpoint, &keys.client);
    struct wire *open = open_wire(plain(WIRE_CLIENT, place->endpoint));
    send_as_stranger(stranger);
    send_as_stranger(open);
    send_text(friendly, NULL, "friend");
    expect_text(server, "friend", NULL);
    struct wire_message message;
    assert_int_equal(wire_receive(server, 300, &message), ERR_AGAIN);
    wire_close(&stranger);
    wire_close(&open);
    wire_close(&friendly);
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
        TEST(nothing_leaves_the_machine_unencrypted),
        TEST(nothing_to_read_is_try_again_after_the_timeout),
        TEST(a_wake_descriptor_ends_the_waiting),
        TEST(a_peer_that_left_is_an_error_not_a_silence),
        TEST(a_payload_above_the_limit_is_not_sent),
        TEST(another_format_is_refused_and_the_next_message_is_read),
        TEST(malformed_messages_are_refused_and_the_server_lives),
        TEST(a_message_of_very_many_frames_is_refused_piece_by_piece),
        TEST(an_oversized_frame_costs_the_peer_its_connection),
        TEST(a_stranger_that_speaks_something_else_is_not_heard),
        TEST(the_frame_reader_accepts_only_exact_frames),
        TEST(curve_lets_in_the_listed_key_and_nobody_else),
        TEST(bad_endpoints_and_keys_are_configuration_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
