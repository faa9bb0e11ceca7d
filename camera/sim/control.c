#include "camera/sim/control.h"
#include "base/log.h"
#include "camera/sim/big_endian.h"
#include "camera/sim/sim_camera.h"
#include <math.h>

#define PENDING_S     0.1 /* what takes longer is announced as late */
#define LATENESS_MS   500 /* more than we say, on a busy machine */
#define LOOK_AROUND_S 1.0 /* at the controller, at the latest */

static bool is_same(const struct control_peer *left, const struct control_peer *right)
{
    return left->port == right->port && left->address == right->address;
}

static struct registers *registers_of(const struct control *control)
{
    return sim_camera_registers(control->camera);
}

static void release(struct control *control)
{
    control->is_controlled = false;
    packet_stream_stop(control->stream);
    sim_camera_released(control->camera);
}

/* The control channel's privilege: taken by whoever asks first, given back by a zero. */
static enum gvcp_status write_privilege(struct control *control, const struct control_peer *peer,
                                        uint32_t value, double now_s)
{
    if (control->is_controlled && !is_same(peer, &control->controller))
        return GVCP_ACCESS_DENIED;
    if (value & (CONTROL_CONTROL | CONTROL_EXCLUSIVE)) {
        control->is_controlled = true;
        control->controller = *peer;
        control->heard_s = now_s;
        registers_set_boot(registers_of(control), BOOT_CONTROL, value);
    } else {
        release(control);
    }
    return GVCP_SUCCESS;
}

struct answer {
    enum gvcp_status status;
    uint8_t payload[GVCP_DATA_MOST + 4];
    size_t bytes;
    double takes_s;
};

/* One register, or a piece of memory. */
static enum gvcp_status write_one(struct control *control, const struct control_peer *peer,
                                  const struct gvcp_request *request, int which, double now_s,
                                  double *takes_s)
{
    bool is_memory = request->command == GVCP_WRITEMEM;
    uint32_t address = is_memory ? request->address : request->addresses[which];
    uint32_t size = is_memory ? request->size : 4;
    const uint8_t *bytes = is_memory ? request->bytes : request->bytes + (size_t)which * 8 + 4;
    if (address == BOOT_CONTROL && size == 4)
        return write_privilege(control, peer, get_be32(bytes), now_s);
    if (!control->is_controlled || !is_same(peer, &control->controller))
        return GVCP_ACCESS_DENIED;
    enum gvcp_status status = sim_camera_write(control->camera, address, bytes, size, takes_s);
    if (status == GVCP_SUCCESS && address == BOOT_STREAM_PACKET &&
        get_be32(bytes) & STREAM_FIRE_TEST)
        packet_stream_test_packet(control->stream);
    if (status == GVCP_SUCCESS && address == BOOT_STREAM_PORT)
        packet_stream_stop(control->stream);
    return status;
}

/* The answer says how many registers, or bytes of memory, were written. */
static void write_all(struct control *control, const struct control_peer *peer,
                      const struct gvcp_request *request, double now_s, struct answer *answer)
{
    int count = request->command == GVCP_WRITEMEM ? 1 : request->count, done = 0;
    for (; done < count; done++) {
        double takes_s = 0;
        answer->status = write_one(control, peer, request, done, now_s, &takes_s);
        answer->takes_s += takes_s;
        if (answer->status != GVCP_SUCCESS)
            break;
    }
    bool is_memory = request->command == GVCP_WRITEMEM;
    put_be32(answer->payload, is_memory && done ? request->size : (uint32_t)done);
    answer->bytes = 4;
}

static void read_all(const struct control *control, const struct gvcp_request *request,
                     struct answer *answer)
{
    const struct registers *registers = registers_of(control);
    if (request->command == GVCP_READMEM) {
        put_be32(answer->payload, request->address);
        answer->status =
            registers_read(registers, request->address, request->size, answer->payload + 4);
        answer->bytes = 4 + (size_t)request->size;
    }
    for (int i = 0; i < request->count && answer->status == GVCP_SUCCESS; i++) {
        answer->status =
            registers_read(registers, request->addresses[i], 4, answer->payload + answer->bytes);
        answer->bytes += 4;
    }
    if (answer->status != GVCP_SUCCESS)
        answer->bytes = 0;
}

static void do_request(struct control *control, const struct control_peer *peer,
                       const struct gvcp_request *request, double now_s, struct answer *answer)
{
    const struct registers *registers = registers_of(control);
    bool is_other = control->is_controlled && !is_same(peer, &control->controller);
    if (request->command == GVCP_DISCOVERY) {
        memcpy(answer->payload, registers->bootstrap, BOOT_DISCOVERY_BYTES);
        answer->bytes = BOOT_DISCOVERY_BYTES;
    } else if (request->command == GVCP_PACKET_RESEND) {
        /* asked for from the stream's own socket */
        if (control->is_controlled && peer->address == control->controller.address)
            packet_stream_resend(control->stream, request);
    } else if (request->command == GVCP_WRITEREG || request->command == GVCP_WRITEMEM) {
        write_all(control, peer, request, now_s, answer);
    } else if (is_other && registers_boot(registers, BOOT_CONTROL) & CONTROL_EXCLUSIVE) {
        answer->status = GVCP_ACCESS_DENIED;
    } else {
        read_all(control, request, answer);
    }
}

/* It has come before: its acknowledgement was lost, or is still to come. */
static bool is_repeated(const struct control *control, const struct control_peer *peer,
                        const struct gvcp_request *request)
{
    return control->ack_bytes && is_same(peer, &control->peer) &&
           request->id == control->request.id && request->command == control->request.command;
}

static void tell_pending(struct control *control, double now_s)
{
    uint8_t pending[GVCP_MOST_BYTES];
    uint32_t wait_ms = (uint32_t)fmin(ceil((control->ack_s - now_s) * 1e3) + LATENESS_MS, 65535);
    control->put(&control->peer, pending, gvcp_pending_ack(&control->request, wait_ms, pending),
                 control->own);
}

static void repeat(struct control *control, double now_s)
{
    if (control->ack_s > 0)
        tell_pending(control, now_s);
    else
        control->put(&control->peer, control->ack, control->ack_bytes, control->own);
}

/* For when it comes again. */
static void remember(struct control *control, const struct control_peer *peer,
                     const struct gvcp_request *request, const struct answer *answer)
{
    control->peer = *peer;
    control->request = *request;
    control->ack_bytes =
        gvcp_ack(request, answer->status, answer->payload, answer->bytes, control->ack);
}

/* At once, or when what was asked for has taken its time. */
static void acknowledge(struct control *control, const struct control_peer *peer,
                        const struct gvcp_request *request, const struct answer *answer,
                        double now_s)
{
    remember(control, peer, request, answer);
    if (answer->takes_s > 0)
        control->ack_s = now_s + answer->takes_s;
    if (answer->takes_s > PENDING_S || answer->takes_s <= 0)
        repeat(control, now_s);
}

/* A dropped connection begins with the request that met it, which was done. */
static bool falls_silent(struct control *control, double now_s)
{
    double silence_s = sim_camera_silence(control->camera);
    if (silence_s <= 0)
        return false;
    log_info("silent for %g s", silence_s);
    control->silent_until_s = now_s + silence_s;
    release(control);
    return true;
}

static void take_request(struct control *control, const struct control_peer *peer,
                         const struct gvcp_request *request, struct answer *answer, double now_s)
{
    bool is_late = control->ack_s > 0, is_discovery = request->command == GVCP_DISCOVERY;
    if (control->is_controlled && is_same(peer, &control->controller))
        control->heard_s = now_s;
    if (is_repeated(control, peer, request)) {
        repeat(control, now_s);
        return;
    }
    if (is_late && !is_discovery)
        answer->status = GVCP_BUSY;
    if (answer->status == GVCP_SUCCESS)
        do_request(control, peer, request, now_s, answer);
    if (falls_silent(control, now_s))
        remember(control, peer, request, answer);
    else if (!request->wants_ack)
        return;
    else if (!is_late && !is_discovery) {
        acknowledge(control, peer, request, answer, now_s);
    } else {
        uint8_t ack[GVCP_MOST_BYTES];
        size_t size = gvcp_ack(request, answer->status, answer->payload, answer->bytes, ack);
        control->put(peer, ack, size, control->own);
    }
}

void control_take(struct control *control, const struct control_peer *peer,
                  enum control_origin origin, const uint8_t *datagram, size_t size, double now_s)
{
    struct gvcp_request request;
    struct answer answer = {.status = GVCP_SUCCESS};
    /* a broadcast may come from another machine, whose camera we are not */
    if (peer->address >> 24 != 127 || now_s < control->silent_until_s ||
        !gvcp_decode(datagram, size, &request, &answer.status) ||
        (origin == CONTROL_BROADCAST && request.command != GVCP_DISCOVERY))
        return;
    take_request(control, peer, &request, &answer, now_s);
}

void control_step(struct control *control, double now_s)
{
    double limit_s = registers_boot(registers_of(control), BOOT_HEARTBEAT_MS) / 1e3;
    if (control->ack_s > 0 && now_s >= control->ack_s) {
        control->ack_s = 0;
        control->heard_s = now_s;
        repeat(control, now_s);
    }
    if (control->is_controlled && now_s > control->heard_s + limit_s && control->ack_s <= 0) {
        log_info("the controlling application is silent for %g s: released", limit_s);
        release(control);
    }
    if (now_s < control->silent_until_s)
        packet_stream_stop(control->stream);
}

double control_due_s(const struct control *control, double now_s)
{
    return control->ack_s > 0 ? control->ack_s : now_s + LOOK_AROUND_S;
}
