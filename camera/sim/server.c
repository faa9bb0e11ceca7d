#include "camera/sim/server.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "camera/sim/big_endian.h"
#include "camera/sim/stream.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define PENDING_S   0.1 /* what takes longer is announced as late */
#define SEND_BUFFER (4 << 20)
#define BURST_S     0.001 /* between two bursts of packets */
#define DATAGRAMS   16    /* taken between two looks at the stream */

struct server {
    struct device *device;
    struct registers *registers; /* the device's */
    const struct device_cfg *cfg;
    int control, broadcast, data; /* sockets */
    struct stream stream;
    bool is_controlled;
    struct sockaddr_in controller;
    double heard_s; /* of the controller */
    double silent_until_s;
    /* the last request that was acknowledged or will be, and how: it may come again */
    struct sockaddr_in peer;
    struct gvcp_request request;
    uint8_t ack[GVCP_MOST_BYTES];
    size_t ack_bytes;
    double ack_s; /* when it leaves; 0: it has left */
};

static bool is_same(const struct sockaddr_in *left, const struct sockaddr_in *right)
{
    return left->sin_port == right->sin_port && left->sin_addr.s_addr == right->sin_addr.s_addr;
}

static enum err open_socket(uint32_t address, uint16_t port, bool is_shared, int *fd)
{
    int yes = 1, made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    if (made >= 0 && is_shared) /* every simulated camera hears a discovery */
        setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (made >= 0 && bind(made, (struct sockaddr *)&at, sizeof at) == 0) {
        *fd = made;
        return ERR_OK;
    }
    int error = errno;
    if (made >= 0)
        close(made);
    if (error == EADDRINUSE)
        return err_set(ERR_AGAIN,
                       "a camera listens on %s:%u already; give this one another --address, such "
                       "as 127.0.0.%u",
                       inet_ntoa(at.sin_addr), port, (address & 0xff) % 250 + 1);
    return err_set(ERR_IO, "cannot listen on %s:%u: %s", inet_ntoa(at.sin_addr), port,
                   strerror(error));
}

enum err server_open(struct device *device, const struct device_cfg *cfg, struct server **server)
{
    enum err err = ERR_OK;
    int buffer = SEND_BUFFER;
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    struct server *made = mem_alloc(sizeof *made);
    made->device = device;
    made->registers = device_registers(device);
    made->cfg = cfg;
    made->control = made->broadcast = made->data = -1;
    TRY(open_socket(cfg->identity.address, GVCP_PORT, false, &made->control));
    TRY(open_socket(INADDR_BROADCAST, GVCP_PORT, true, &made->broadcast));
    TRY(open_socket(cfg->identity.address, 0, false, &made->data));
    setsockopt(made->data, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    getsockname(made->data, (struct sockaddr *)&at, &size);
    registers_set_boot(made->registers, BOOT_STREAM_SOURCE, ntohs(at.sin_port));
    made->stream = (struct stream){.socket = made->data,
                                   .faults = &cfg->faults,
                                   .registers = made->registers,
                                   .seed = cfg->seed};
    *server = made;
    made = NULL;
out:
    server_close(&made);
    return err;
}

void server_close(struct server **server)
{
    struct server *gone = *server;
    if (!gone)
        return;
    int sockets[] = {gone->control, gone->broadcast, gone->data};
    for (int i = 0; i < 3; i++)
        if (sockets[i] >= 0)
            close(sockets[i]);
    stream_fini(&gone->stream);
    mem_free(gone);
    *server = NULL;
}

static void release(struct server *server)
{
    server->is_controlled = false;
    stream_stop(&server->stream);
    device_released(server->device);
}

static void put(struct server *server, const struct sockaddr_in *peer, const uint8_t *bytes,
                size_t size)
{
    /* an acknowledgement that is lost is asked for again */
    ssize_t sent = sendto(server->control, bytes, size, MSG_DONTWAIT, (const struct sockaddr *)peer,
                          sizeof *peer);
    (void)sent;
}

/* The control channel's privilege: taken by whoever asks first, given back by a zero. */
static enum gvcp_status write_control(struct server *server, const struct sockaddr_in *peer,
                                      uint32_t value)
{
    if (server->is_controlled && !is_same(peer, &server->controller))
        return GVCP_ACCESS_DENIED;
    if (value & (CONTROL_CONTROL | CONTROL_EXCLUSIVE)) {
        server->is_controlled = true;
        server->controller = *peer;
        server->heard_s = clock_seconds();
        registers_set_boot(server->registers, BOOT_CONTROL, value);
    } else {
        release(server);
    }
    return GVCP_SUCCESS;
}

static enum gvcp_status write_one(struct server *server, const struct sockaddr_in *peer,
                                  uint32_t address, const uint8_t *bytes, uint32_t size,
                                  double *takes_s)
{
    if (address == BOOT_CONTROL && size == 4)
        return write_control(server, peer, get_be32(bytes));
    if (!server->is_controlled || !is_same(peer, &server->controller))
        return GVCP_ACCESS_DENIED;
    enum gvcp_status status = device_write(server->device, address, bytes, size, takes_s);
    if (status == GVCP_SUCCESS && address == BOOT_STREAM_PACKET &&
        get_be32(bytes) & STREAM_FIRE_TEST)
        stream_test_packet(&server->stream);
    if (status == GVCP_SUCCESS && address == BOOT_STREAM_PORT)
        stream_stop(&server->stream);
    return status;
}

struct answer {
    enum gvcp_status status;
    uint8_t payload[GVCP_DATA_MOST + 4];
    size_t bytes;
    double takes_s;
};

static void write_all(struct server *server, const struct sockaddr_in *peer,
                      const struct gvcp_request *request, struct answer *answer)
{
    int done = 0;
    if (request->command == GVCP_WRITEMEM) {
        answer->status = write_one(server, peer, request->address, request->bytes, request->size,
                                   &answer->takes_s);
        done = answer->status == GVCP_SUCCESS ? (int)request->size : 0;
    }
    for (int i = 0; i < request->count && answer->status == GVCP_SUCCESS; i++) {
        double takes_s = 0;
        answer->status = write_one(server, peer, request->addresses[i],
                                   request->bytes + (size_t)i * 8 + 4, 4, &takes_s);
        answer->takes_s += takes_s;
        done += answer->status == GVCP_SUCCESS;
    }
    put_be32(answer->payload, (uint32_t)done);
    answer->bytes = 4;
}

static void read_all(const struct server *server, const struct gvcp_request *request,
                     struct answer *answer)
{
    if (request->command == GVCP_READMEM) {
        put_be32(answer->payload, request->address);
        answer->status =
            registers_read(server->registers, request->address, request->size, answer->payload + 4);
        answer->bytes = 4 + (size_t)request->size;
    }
    for (int i = 0; i < request->count && answer->status == GVCP_SUCCESS; i++) {
        answer->status = registers_read(server->registers, request->addresses[i], 4,
                                        answer->payload + answer->bytes);
        answer->bytes += 4;
    }
    if (answer->status != GVCP_SUCCESS)
        answer->bytes = 0;
}

static void do_request(struct server *server, const struct sockaddr_in *peer,
                       const struct gvcp_request *request, struct answer *answer)
{
    bool is_other = server->is_controlled && !is_same(peer, &server->controller);
    bool is_exclusive = registers_boot(server->registers, BOOT_CONTROL) & CONTROL_EXCLUSIVE;
    if (request->command == GVCP_DISCOVERY) {
        memcpy(answer->payload, server->registers->bootstrap, BOOT_DISCOVERY_BYTES);
        answer->bytes = BOOT_DISCOVERY_BYTES;
    } else if (request->command == GVCP_PACKET_RESEND) {
        /* asked for from the stream's own socket */
        if (peer->sin_addr.s_addr == server->controller.sin_addr.s_addr)
            stream_resend(&server->stream, request);
    } else if (request->command == GVCP_WRITEREG || request->command == GVCP_WRITEMEM) {
        write_all(server, peer, request, answer);
    } else if (is_other && is_exclusive) {
        answer->status = GVCP_ACCESS_DENIED;
    } else {
        read_all(server, request, answer);
    }
}

/* It has come before: its acknowledgement was lost, or is still to come. */
static bool is_repeated(const struct server *server, const struct sockaddr_in *peer,
                        const struct gvcp_request *request)
{
    return server->ack_bytes && is_same(peer, &server->peer) && request->id == server->request.id &&
           request->command == server->request.command;
}

static void tell_pending(struct server *server, double now_s)
{
    uint8_t pending[GVCP_MOST_BYTES];
    uint32_t wait_ms = (uint32_t)ceil((server->ack_s - now_s) * 1e3) + 500; /* on a busy machine */
    put(server, &server->peer, pending, gvcp_pending_ack(&server->request, wait_ms, pending));
}

static void acknowledge(struct server *server, const struct answer *answer, double now_s)
{
    server->ack_bytes =
        gvcp_ack(&server->request, answer->status, answer->payload, answer->bytes, server->ack);
    if (answer->takes_s > 0)
        server->ack_s = now_s + answer->takes_s;
    if (answer->takes_s > PENDING_S)
        tell_pending(server, now_s);
    if (answer->takes_s <= 0)
        put(server, &server->peer, server->ack, server->ack_bytes);
}

static void take_request(struct server *server, const struct sockaddr_in *peer,
                         const struct gvcp_request *request, enum gvcp_status status, double now_s)
{
    struct answer answer = {.status = status};
    bool is_late = server->ack_s > 0;
    if (server->is_controlled && is_same(peer, &server->controller))
        server->heard_s = now_s;
    if (is_repeated(server, peer, request)) {
        if (is_late)
            tell_pending(server, now_s);
        else
            put(server, peer, server->ack, server->ack_bytes);
        return;
    }
    if (is_late && request->command != GVCP_DISCOVERY)
        answer.status = GVCP_BUSY;
    if (answer.status == GVCP_SUCCESS)
        do_request(server, peer, request, &answer);
    double silence_s = device_silence(server->device);
    if (silence_s > 0) {
        log_info("silent for %g s", silence_s);
        server->silent_until_s = now_s + silence_s;
    }
    bool is_answered = request->wants_ack && silence_s <= 0;
    if (is_answered && !is_late && request->command != GVCP_DISCOVERY) {
        server->peer = *peer;
        server->request = *request;
        acknowledge(server, &answer, now_s);
    } else if (is_answered) {
        uint8_t ack[GVCP_MOST_BYTES];
        put(server, peer, ack, gvcp_ack(request, answer.status, answer.payload, answer.bytes, ack));
    }
}

/* Whatever lies in a socket, or some of it. */
static void take_datagrams(struct server *server, int socket, double now_s)
{
    for (int i = 0; i < DATAGRAMS; i++) {
        uint8_t datagram[GVCP_MOST_BYTES + 1];
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        struct gvcp_request request;
        enum gvcp_status status;
        ssize_t got =
            recvfrom(socket, datagram, sizeof datagram, 0, (struct sockaddr *)&peer, &size);
        if (got < 0)
            return;
        /* a broadcast may come from another machine, whose camera we are not */
        bool is_ours = ntohl(peer.sin_addr.s_addr) >> 24 == 127;
        if (is_ours && now_s >= server->silent_until_s &&
            gvcp_decode(datagram, (size_t)got, &request, &status) &&
            (socket == server->control || request.command == GVCP_DISCOVERY))
            take_request(server, &peer, &request, status, now_s);
    }
}

static void check_control(struct server *server, double now_s)
{
    double limit_s = registers_boot(server->registers, BOOT_HEARTBEAT_MS) / 1e3;
    if (server->is_controlled && now_s > server->heard_s + limit_s && server->ack_s <= 0) {
        log_info("the controlling application is silent for %g s: released", limit_s);
        release(server);
    }
}

static void step(struct server *server, double now_s)
{
    struct gvsp_block block;
    if (server->ack_s > 0 && now_s >= server->ack_s) {
        server->ack_s = 0;
        server->heard_s = now_s;
        put(server, &server->peer, server->ack, server->ack_bytes);
    }
    check_control(server, now_s);
    if (device_step(server->device, now_s, stream_has_room(&server->stream), &block))
        stream_push(&server->stream, &block);
    if (now_s < server->silent_until_s)
        stream_stop(&server->stream);
    stream_send(&server->stream, now_s);
}

/* Until when nothing has to be done by itself. */
static double due_s(const struct server *server, double now_s)
{
    double due = fmin(device_due_s(server->device), now_s + 1);
    if (server->stream.is_sending)
        due = fmin(due, fmax(stream_due_s(&server->stream), now_s + BURST_S));
    return server->ack_s > 0 ? fmin(due, server->ack_s) : due;
}

enum err server_run(struct server *server, const volatile int *stop)
{
    enum err err = ERR_OK;
    struct pollfd polls[] = {{server->control, POLLIN, 0},
                             {server->broadcast, POLLIN, 0},
                             {device_descriptor(server->device), POLLIN, 0}};
    sigset_t none;
    sigemptyset(&none);
    while (!*stop) {
        double now_s = clock_seconds(), wait_s = fmax(0, due_s(server, now_s) - now_s);
        struct timespec wait = {(time_t)wait_s, (long)(fmod(wait_s, 1) * 1e9)};
        if (ppoll(polls, 3, &wait, &none) < 0 && errno != EINTR)
            TRY(err_set(ERR_IO, "waiting for datagrams failed: %s", strerror(errno)));
        now_s = clock_seconds();
        take_datagrams(server, server->control, now_s);
        take_datagrams(server, server->broadcast, now_s);
        step(server, now_s);
    }
out:
    return err;
}
