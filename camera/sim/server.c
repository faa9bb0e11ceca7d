#include "camera/sim/server.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "camera/sim/control.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_BUFFER (4 << 20)
#define DATAGRAMS   16 /* taken between two looks at the stream */

struct server {
    struct sim_camera *camera; /* borrowed */
    int own, broadcast, data;  /* sockets: of our address, of everybody's, of the stream */
    struct packet_stream stream;
    struct control control;
};

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
                       "another program listens on %s:%u already; give this one another --address, "
                       "such as 127.0.0.%u",
                       inet_ntoa(at.sin_addr), port, (address & 0xff) % 250 + 1);
    return err_set(ERR_IO, "cannot listen on %s:%u: %s", inet_ntoa(at.sin_addr), port,
                   strerror(error));
}

static void put(const struct control_peer *peer, const uint8_t *bytes, size_t size, void *own)
{
    const struct server *server = own;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(peer->port),
                             .sin_addr.s_addr = htonl(peer->address)};
    /* an answer that is lost is asked for again */
    ssize_t sent =
        sendto(server->own, bytes, size, MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof to);
    (void)sent;
}

enum err server_open(struct sim_camera *camera, const struct sim_camera_cfg *cfg,
                     struct server **server)
{
    enum err err = ERR_OK;
    int buffer = SEND_BUFFER;
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    struct server *made = mem_alloc(sizeof *made);
    struct registers *registers = sim_camera_registers(camera);
    made->camera = camera;
    made->own = made->broadcast = made->data = -1;
    TRY(open_socket(cfg->identity.address, GVCP_PORT, false, &made->own));
    if (open_socket(INADDR_BROADCAST, GVCP_PORT, true, &made->broadcast) != ERR_OK)
        log_warn("this camera is found by its address alone, not by those who look for cameras: "
                 "another program has 255.255.255.255:%d",
                 GVCP_PORT);
    TRY(open_socket(cfg->identity.address, 0, false, &made->data));
    setsockopt(made->data, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    getsockname(made->data, (struct sockaddr *)&at, &size);
    registers_set_boot(registers, BOOT_STREAM_SOURCE, ntohs(at.sin_port));
    made->stream = (struct packet_stream){
        .socket = made->data, .faults = &cfg->faults, .registers = registers, .seed = cfg->seed};
    made->control =
        (struct control){.camera = camera, .stream = &made->stream, .put = put, .own = made};
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
    int sockets[] = {gone->own, gone->broadcast, gone->data};
    for (int i = 0; i < 3; i++)
        if (sockets[i] >= 0)
            close(sockets[i]);
    packet_stream_fini(&gone->stream);
    mem_free(gone);
    *server = NULL;
}

/* Whatever lies in a socket, or some of it. */
static void take_datagrams(struct server *server, int socket, enum control_origin origin,
                           double now_s)
{
    for (int i = 0; i < DATAGRAMS; i++) {
        uint8_t datagram[GVCP_MOST_BYTES + 1]; /* a longer one is seen to be too long */
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t got =
            recvfrom(socket, datagram, sizeof datagram, 0, (struct sockaddr *)&from, &size);
        if (got < 0)
            return;
        struct control_peer peer = {ntohl(from.sin_addr.s_addr), ntohs(from.sin_port)};
        control_take(&server->control, &peer, origin, datagram, (size_t)got, now_s);
    }
}

static void step(struct server *server, double now_s)
{
    struct gvsp_block block;
    if (sim_camera_step(server->camera, now_s, packet_stream_has_room(&server->stream), &block))
        packet_stream_push(&server->stream, &block);
    control_step(&server->control, now_s);
    packet_stream_send(&server->stream, now_s);
}

/* Until when nothing has to be done by itself. */
static double due_s(const struct server *server, double now_s)
{
    double due = fmin(sim_camera_due_s(server->camera), control_due_s(&server->control, now_s));
    return fmin(due, packet_stream_due_s(&server->stream));
}

enum err server_run(struct server *server, const volatile int *stop)
{
    enum err err = ERR_OK;
    struct pollfd polls[] = {{server->own, POLLIN, 0},
                             {server->broadcast, POLLIN, 0},
                             {sim_camera_descriptor(server->camera), POLLIN, 0}};
    sigset_t none;
    sigemptyset(&none);
    while (!*stop) {
        double now_s = clock_seconds(), wait_s = fmax(0, due_s(server, now_s) - now_s);
        struct timespec wait = {(time_t)wait_s, (long)(fmod(wait_s, 1) * 1e9)};
        if (ppoll(polls, 3, &wait, &none) < 0 && errno != EINTR)
            TRY(err_set(ERR_IO, "waiting for datagrams failed: %s", strerror(errno)));
        now_s = clock_seconds();
        take_datagrams(server, server->own, CONTROL_SENT_TO_US, now_s);
        if (server->broadcast >= 0)
            take_datagrams(server, server->broadcast, CONTROL_BROADCAST, now_s);
        step(server, now_s);
    }
out:
    return err;
}
