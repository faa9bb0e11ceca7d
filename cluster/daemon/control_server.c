#include "cluster/daemon/control_server.h"
#include "base/clock.h"
#include "base/log.h"
#include <string.h>

#define TURN_S    0.1 /* of requests, however many there are */
#define LINGER_MS 1000

struct control_server {
    struct control_server_cfg cfg;
    bool has_keys;
    struct wire *wire;
    struct arena *arena;
    struct log_rate refused, strangers;
    unsigned long long strangers_seen;
};

enum err control_server_open(const struct control_server_cfg *cfg, struct control_server **server)
{
    enum err err = ERR_OK;
    struct control_server *made = mem_alloc(sizeof *made);
    struct wire_cfg wire = {.role = WIRE_SERVER,
                            .endpoint = cfg->endpoint,
                            .format = CONTROL_FORMAT,
                            .max_payload_bytes = CONTROL_MAX_BYTES,
                            .linger_ms = LINGER_MS,
                            .wake_fd = -1,
                            .curve = cfg->curve};
    made->cfg = *cfg;
    made->has_keys = cfg->curve != NULL;
    made->cfg.curve = NULL; /* the caller's */
    made->arena = arena_create();
    TRY(wire_open(&wire, &made->wire));
    *server = made;
    made = NULL;
out:
    control_server_close(&made);
    return err;
}

void control_server_close(struct control_server **server)
{
    struct control_server *closing = *server;
    if (!closing)
        return;
    wire_close(&closing->wire);
    arena_destroy(closing->arena);
    mem_free(closing);
    *server = NULL;
}

const char *control_server_endpoint(const struct control_server *server)
{
    return wire_endpoint(server->wire);
}

void control_refuse(enum err err, Gwd__Reply *reply, struct arena *arena)
{
    reply->error = arena_string(arena, err_name(err));
    reply->text = arena_string(arena, err_text());
}

Gwd__Request *control_read_request(const void *bytes, size_t size)
{
    Gwd__Request *request = gwd__request__unpack(NULL, size, bytes);
    if (request && request->body_case != GWD__REQUEST__BODY__NOT_SET)
        return request;
    if (request)
        gwd__request__free_unpacked(request, NULL);
    return NULL;
}

/* Whoever asked may have gone meanwhile. */
static void send_reply(struct control_server *server, const struct wire_peer *peer,
                       const Gwd__Reply *reply)
{
    size_t size = gwd__reply__get_packed_size(reply);
    uint8_t *bytes = arena_alloc(server->arena, size + 1);
    gwd__reply__pack(reply, bytes);
    if (wire_send(server->wire, peer, bytes, size) != ERR_OK)
        log_warn_rate(&server->refused, "a request was not answered: %s", err_text());
}

static void answer(struct control_server *server, const struct wire_message *received)
{
    Gwd__Reply reply = GWD__REPLY__INIT;
    Gwd__Request *request = control_read_request(received->payload, received->size_bytes);
    if (!request) {
        log_warn_rate(&server->refused, "a message of %zu bytes was refused: it is no request",
                      received->size_bytes);
        return;
    }
    const struct wire_peer peer = received->peer;
    reply.number = request->number;
    server->cfg.answer(server->cfg.own, request, &reply, server->arena);
    send_reply(server, &peer, &reply);
    gwd__request__free_unpacked(request, NULL);
    arena_reset(server->arena);
}

/* False: there was none. */
static bool take_one(struct control_server *server, int timeout_ms)
{
    struct wire_message received;
    enum err err = wire_receive(server->wire, timeout_ms, &received);
    if (err == ERR_OK)
        answer(server, &received);
    else if (err != ERR_AGAIN)
        log_warn_rate(&server->refused, "a message was refused: %s", err_text());
    return err != ERR_AGAIN;
}

static void tell_strangers(struct control_server *server)
{
    unsigned long long strangers = wire_strangers(server->wire);
    if (strangers != server->strangers_seen && server->has_keys)
        log_warn_rate(&server->strangers,
                      "connections to %s were refused, %llu so far: they do not have a key that is "
                      "allowed",
                      wire_endpoint(server->wire), strangers);
    server->strangers_seen = strangers;
}

void control_server_turn(struct control_server *server, int timeout_ms)
{
    bool is_taken = take_one(server, timeout_ms);
    double end_s = clock_seconds() + TURN_S;
    while (is_taken && clock_seconds() < end_s)
        is_taken = take_one(server, 0);
    tell_strangers(server);
}
