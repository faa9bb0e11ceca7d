/* ROUTER and DEALER with what their defaults lack: a bound on sizes, no waiting on close, an error
 * for a peer that has gone, a count of connections. */
#include "base/wire/wire.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/wire/zap.h"
#include <errno.h>
#include <string.h>
#include <zmq.h>

#define QUEUE_LENGTH   1000
#define HANDSHAKE_MS   5000
#define SKIP_FRAMES    64 /* of a malformed message, in one receive */
#define LOOKS          64 /* for a message, without a look at the monitor */
#define MONITOR_SOCKET "inproc://wire-monitor"
#define HANDSHAKE_FAILED                                                                           \
    (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |                  \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

static const uint8_t magic[4] = {'G', 'L', 'O', 'W'};

struct wire {
    enum wire_role role;
    uint32_t format;
    size_t max_payload_bytes;
    int wake_fd;
    void *context, *socket, *monitor;
    struct zap *zap;
    zmq_msg_t frame; /* the message last received: what its payload is borrowed from */
    uint8_t *outgoing;
    bool is_skipping; /* the rest of a malformed message */
    int connections;
    unsigned long long strangers;
    unsigned looks;
    char endpoint[WIRE_ENDPOINT];
};

/* Translates a ZeroMQ return code; the text names the call. */
#define ZMQ(call) zmq_check((call), #call)
static enum err zmq_check(int rc, const char *call)
{
    if (rc >= 0)
        return ERR_OK;
    return err_set(ERR_IO, "%.40s: %s", call, zmq_strerror(zmq_errno()));
}

void wire_frame_write(uint32_t format, size_t payload_bytes, uint8_t frame[WIRE_HEADER_BYTES])
{
    memcpy(frame, magic, sizeof magic);
    for (int i = 0; i < 4; i++) {
        frame[4 + i] = (uint8_t)(format >> (8 * i));
        frame[8 + i] = (uint8_t)(payload_bytes >> (8 * i));
    }
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

enum err wire_frame_read(const void *frame, size_t frame_bytes, uint32_t format,
                         const void **payload, size_t *payload_bytes)
{
    const uint8_t *bytes = frame;
    if (frame_bytes < WIRE_HEADER_BYTES)
        return err_set(ERR_DATA, "message of %zu bytes is shorter than its header", frame_bytes);
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return err_set(ERR_DATA, "message does not start with Glowworm's mark");
    uint32_t theirs = read_u32(bytes + 4), size = read_u32(bytes + 8);
    if (theirs != format)
        return err_set(ERR_DATA,
                       "message has format %u, this program speaks format %u; "
                       "use the same version of Glowworm on both sides",
                       theirs, format);
    if (size != frame_bytes - WIRE_HEADER_BYTES)
        return err_set(ERR_DATA, "message says %u bytes of payload and carries %zu", size,
                       frame_bytes - WIRE_HEADER_BYTES);
    *payload = bytes + WIRE_HEADER_BYTES;
    *payload_bytes = size;
    return ERR_OK;
}

static enum err set_int(void *socket, int option, int value)
{
    return ZMQ(zmq_setsockopt(socket, option, &value, sizeof value));
}

static enum err set_limits(struct wire *wire, const struct wire_cfg *cfg)
{
    enum err err = ERR_OK;
    int64_t max_frame = (int64_t)(cfg->max_payload_bytes + WIRE_HEADER_BYTES);
    TRY(set_int(wire->socket, ZMQ_LINGER, cfg->linger_ms));
    TRY(set_int(wire->socket, ZMQ_IPV6, 1)); /* and IPv4 */
    TRY(set_int(wire->socket, ZMQ_SNDHWM, QUEUE_LENGTH));
    TRY(set_int(wire->socket, ZMQ_RCVHWM, QUEUE_LENGTH));
    TRY(set_int(wire->socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS));
    TRY(ZMQ(zmq_setsockopt(wire->socket, ZMQ_MAXMSGSIZE, &max_frame, sizeof max_frame)));
    /* without it a ROUTER drops what it cannot deliver and says nothing */
    if (cfg->role == WIRE_SERVER)
        TRY(set_int(wire->socket, ZMQ_ROUTER_MANDATORY, 1));
out:
    return err;
}

static enum err set_key(void *socket, int option, const char *key, const char *what)
{
    if (!key || strlen(key) != WIRE_KEY_BYTES - 1 || zmq_setsockopt(socket, option, key, 40) != 0)
        return err_set(ERR_CONFIG, "the %s is not a CURVE key (40 characters of Z85)", what);
    return ERR_OK;
}

static enum err set_curve(struct wire *wire, const struct wire_curve *curve)
{
    enum err err = ERR_OK;
    TRY(set_key(wire->socket, ZMQ_CURVE_PUBLICKEY, curve->public_key, "public key"));
    TRY(set_key(wire->socket, ZMQ_CURVE_SECRETKEY, curve->secret_key, "secret key"));
    if (wire->role == WIRE_CLIENT) {
        TRY(set_key(wire->socket, ZMQ_CURVE_SERVERKEY, curve->server_key, "server's key"));
    } else {
        TRY(zap_create(wire->context, curve, &wire->zap));
        TRY(set_int(wire->socket, ZMQ_CURVE_SERVER, 1));
        TRY(ZMQ(zmq_setsockopt(wire->socket, ZMQ_ZAP_DOMAIN, "glowworm", 8)));
    }
out:
    return err;
}

static enum err start_monitor(struct wire *wire)
{
    enum err err = ERR_OK;
    int events =
        ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED | HANDSHAKE_FAILED;
    TRY(ZMQ(zmq_socket_monitor(wire->socket, MONITOR_SOCKET, events)));
    wire->monitor = zmq_socket(wire->context, ZMQ_PAIR);
    if (!wire->monitor)
        TRY(err_set(ERR_IO, "monitor socket: %s", zmq_strerror(zmq_errno())));
    TRY(set_int(wire->monitor, ZMQ_LINGER, 0));
    TRY(ZMQ(zmq_connect(wire->monitor, MONITOR_SOCKET)));
out:
    return err;
}

/* Only what stays on the machine, in a folder or a process of ours, may go unencrypted. Behind
 * ipc://@ there is no folder: every user of the machine may connect. */
static enum err check_secrecy(const struct wire_cfg *cfg)
{
    bool is_file = strncmp(cfg->endpoint, "ipc://", 6) == 0 && cfg->endpoint[6] != '@';
    if (cfg->curve || is_file || strncmp(cfg->endpoint, "inproc://", 9) == 0)
        return ERR_OK;
    return err_set(ERR_CONFIG, "%s: without keys (CURVE) only ipc:// in a folder is spoken",
                   cfg->endpoint);
}

static enum err attach(struct wire *wire, const char *endpoint)
{
    int rc = wire->role == WIRE_SERVER ? zmq_bind(wire->socket, endpoint)
                                       : zmq_connect(wire->socket, endpoint);
    if (rc != 0) {
        int code = zmq_errno();
        bool is_malformed = code == EINVAL || code == EPROTONOSUPPORT || code == ENAMETOOLONG;
        return err_set(is_malformed ? ERR_CONFIG : ERR_UNAVAILABLE, "%s: %s", endpoint,
                       zmq_strerror(code));
    }
    size_t size = sizeof wire->endpoint;
    if (zmq_getsockopt(wire->socket, ZMQ_LAST_ENDPOINT, wire->endpoint, &size) != 0)
        return err_set(ERR_IO, "%s: %s", endpoint, zmq_strerror(zmq_errno()));
    return ERR_OK;
}

enum err wire_open(const struct wire_cfg *cfg, struct wire **wire)
{
    enum err err = ERR_OK;
    struct wire *made = mem_alloc(sizeof *made);
    made->role = cfg->role;
    made->format = cfg->format;
    made->max_payload_bytes = cfg->max_payload_bytes;
    made->wake_fd = cfg->wake_fd;
    zmq_msg_init(&made->frame);
    made->outgoing = mem_alloc(WIRE_HEADER_BYTES + cfg->max_payload_bytes);
    TRY(FAULT("wire.open"));
    TRY(check_secrecy(cfg));
    made->context = zmq_ctx_new();
    if (!made->context)
        TRY(err_set(ERR_IO, "ZeroMQ: %s", zmq_strerror(zmq_errno())));
    made->socket = zmq_socket(made->context, cfg->role == WIRE_SERVER ? ZMQ_ROUTER : ZMQ_DEALER);
    if (!made->socket)
        TRY(err_set(ERR_IO, "ZeroMQ socket: %s", zmq_strerror(zmq_errno())));
    TRY(set_limits(made, cfg));
    if (cfg->curve)
        TRY(set_curve(made, cfg->curve));
    TRY(start_monitor(made));
    TRY(attach(made, cfg->endpoint));
    *wire = made;
    made = NULL;
out:
    wire_close(&made);
    return err;
}

void wire_close(struct wire **wire)
{
    struct wire *closing = *wire;
    if (!closing)
        return;
    zmq_msg_close(&closing->frame);
    if (closing->socket) {
        zmq_socket_monitor(closing->socket, NULL, 0);
        zmq_close(closing->socket);
    }
    if (closing->monitor)
        zmq_close(closing->monitor);
    zap_destroy(&closing->zap);
    /* waits for linger_ms at most; a signal may interrupt it */
    while (closing->context && zmq_ctx_term(closing->context) != 0 && zmq_errno() == EINTR)
        continue;
    mem_free(closing->outgoing);
    mem_free(closing);
    *wire = NULL;
}

const char *wire_endpoint(const struct wire *wire)
{
    return wire->endpoint;
}

int wire_connections(const struct wire *wire)
{
    return wire->connections;
}

unsigned long long wire_strangers(const struct wire *wire)
{
    return wire->strangers;
}

enum err wire_send(struct wire *wire, const struct wire_peer *peer, const void *payload,
                   size_t size_bytes)
{
    enum err err = ERR_OK;
    if (size_bytes > wire->max_payload_bytes)
        return err_set(ERR_DATA, "message of %zu bytes, the limit is %zu", size_bytes,
                       wire->max_payload_bytes);
    TRY(FAULT("wire.send"));
    wire_frame_write(wire->format, size_bytes, wire->outgoing);
    memcpy(wire->outgoing + WIRE_HEADER_BYTES, payload, size_bytes);
    int rc = 0;
    if (wire->role == WIRE_SERVER)
        rc = zmq_send(wire->socket, peer->bytes, peer->size, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    if (rc >= 0)
        rc = zmq_send(wire->socket, wire->outgoing, WIRE_HEADER_BYTES + size_bytes, ZMQ_DONTWAIT);
    if (rc < 0 && zmq_errno() == EHOSTUNREACH)
        TRY(err_set(ERR_PEER, "the other side has gone"));
    if (rc < 0 && zmq_errno() == EAGAIN)
        TRY(err_set(ERR_AGAIN, "the queue to the other side is full"));
    TRY(ZMQ(rc));
out:
    return err;
}

static void count_event(struct wire *wire, uint16_t event)
{
    if (event == ZMQ_EVENT_ACCEPTED || event == ZMQ_EVENT_CONNECTED)
        wire->connections++;
    else if (event == ZMQ_EVENT_DISCONNECTED && wire->connections > 0)
        wire->connections--;
    else if (event & HANDSHAKE_FAILED)
        wire->strangers++;
}

/* Drains the monitor's events into the counts. */
static void read_monitor(struct wire *wire)
{
    zmq_msg_t part;
    zmq_msg_init(&part);
    while (zmq_msg_recv(&part, wire->monitor, ZMQ_DONTWAIT) >= 0) {
        uint16_t event = 0;
        if (zmq_msg_size(&part) >= sizeof event)
            memcpy(&event, zmq_msg_data(&part), sizeof event);
        count_event(wire, event);
        while (zmq_msg_more(&part) && zmq_msg_recv(&part, wire->monitor, 0) >= 0)
            continue; /* the address */
    }
    zmq_msg_close(&part);
}

/* Waits until the socket has something. False: nothing came, or something more urgent did. */
static bool wait_readable(struct wire *wire, int timeout_ms)
{
    double end = clock_seconds() + timeout_ms / 1000.0;
    for (;;) {
        zmq_pollitem_t items[3] = {{.socket = wire->socket, .events = ZMQ_POLLIN},
                                   {.socket = wire->monitor, .events = ZMQ_POLLIN},
                                   {.fd = wire->wake_fd, .events = ZMQ_POLLIN}};
        double left_ms = (end - clock_seconds()) * 1000.0;
        int rc = zmq_poll(items, wire->wake_fd >= 0 ? 3 : 2, left_ms > 0 ? (long)(left_ms + 1) : 0);
        if (items[1].revents)
            read_monitor(wire);
        if (rc < 0 || items[0].revents)
            return rc >= 0;
        if (items[2].revents || left_ms <= 0)
            return false;
    }
}

/* What is left of a malformed message, so that the next receive starts at one; of a long one a
 * piece at a time, since a peer decides how long it is. */
static void skip_frames(struct wire *wire)
{
    wire->is_skipping = zmq_msg_more(&wire->frame);
    for (int i = 0; i < SKIP_FRAMES && wire->is_skipping; i++)
        wire->is_skipping = zmq_msg_recv(&wire->frame, wire->socket, ZMQ_DONTWAIT) >= 0 &&
                            zmq_msg_more(&wire->frame);
}

/* The next one, if it is there. */
static enum err take_frame(struct wire *wire)
{
    int rc = zmq_msg_recv(&wire->frame, wire->socket, ZMQ_DONTWAIT);
    return rc < 0 && zmq_errno() == EAGAIN ? ERR_AGAIN : zmq_check(rc, "zmq_msg_recv");
}

/* Reads the frames of one message: [peer] frame, nothing more. ERR_AGAIN: there is none. */
static enum err read_frames(struct wire *wire, struct wire_message *message)
{
    enum err err = ERR_OK;
    if (wire->is_skipping)
        TRY(err_set(ERR_DATA, "message of very many frames"));
    if (wire->role == WIRE_SERVER) {
        TRY(take_frame(wire));
        size_t size = zmq_msg_size(&wire->frame);
        if (size == 0 || size > WIRE_PEER_BYTES)
            TRY(err_set(ERR_DATA, "peer with a name of %zu bytes", size));
        message->peer.size = (uint8_t)size;
        memcpy(message->peer.bytes, zmq_msg_data(&wire->frame), size);
    }
    TRY(take_frame(wire));
    if (zmq_msg_more(&wire->frame))
        TRY(err_set(ERR_DATA, "message of several frames"));
    TRY(wire_frame_read(zmq_msg_data(&wire->frame), zmq_msg_size(&wire->frame), wire->format,
                        &message->payload, &message->size_bytes));
out:
    if (err == ERR_DATA)
        skip_frames(wire);
    return err;
}

/* Where messages come in numbers, the next one is there without asking the system. Now and then
 * the monitor is looked at all the same; the rest of a malformed one is waited for. */
static bool may_look(struct wire *wire)
{
    return !wire->is_skipping && ++wire->looks % LOOKS != 0;
}

enum err wire_receive(struct wire *wire, int timeout_ms, struct wire_message *message)
{
    enum err err = ERR_OK;
    struct wire_message received = {0};
    TRY(FAULT("wire.receive"));
    err = may_look(wire) ? read_frames(wire, &received) : ERR_AGAIN;
    if (err == ERR_AGAIN) {
        if (!wait_readable(wire, timeout_ms))
            return ERR_AGAIN;
        err = read_frames(wire, &received);
    }
    TRY(err);
    *message = received;
out:
    return err;
}

bool wire_peer_equal(const struct wire_peer *left, const struct wire_peer *right)
{
    return left->size == right->size && memcmp(left->bytes, right->bytes, left->size) == 0;
}

enum err wire_make_keys(char public_key[WIRE_KEY_BYTES], char secret_key[WIRE_KEY_BYTES])
{
    if (zmq_curve_keypair(public_key, secret_key) != 0)
        return err_set(ERR_UNAVAILABLE, "this ZeroMQ cannot encrypt (CURVE): %s",
                       zmq_strerror(zmq_errno()));
    return ERR_OK;
}
