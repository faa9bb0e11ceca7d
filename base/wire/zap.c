/* One thread, one REP socket; a second socket pair tells it to end. */
#include "base/wire/zap.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <zmq.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_STOP     "inproc://wire-zap-stop"
#define KEY_BYTES    32
#define MAX_PARTS    8
#define MAX_PART     256

struct zap {
    pthread_t thread;
    bool has_thread;
    void *reply, *stop_here, *stop_there;
    uint8_t (*allowed)[KEY_BYTES];
    int allowed_count;
};

struct zap_request { /* version, request id, domain, address, identity, mechanism, credentials */
    int count;
    size_t size[MAX_PARTS];
    uint8_t part[MAX_PARTS][MAX_PART];
};

static bool read_request(void *socket, struct zap_request *request)
{
    int more = 1;
    size_t more_size = sizeof more;
    bool is_sound = true;
    request->count = 0;
    while (more) {
        uint8_t spare[MAX_PART];
        bool has_room = request->count < MAX_PARTS;
        int size = zmq_recv(socket, has_room ? request->part[request->count] : spare, MAX_PART, 0);
        if (size < 0)
            return false;
        is_sound = is_sound && has_room && size <= MAX_PART;
        if (has_room)
            request->size[request->count++] = (size_t)size;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size) != 0)
            return false;
    }
    return is_sound;
}

static bool is_allowed(const struct zap *zap, const struct zap_request *request)
{
    if (request->count != 7 || request->size[5] != 5 || memcmp(request->part[5], "CURVE", 5) != 0 ||
        request->size[6] != KEY_BYTES)
        return false;
    for (int i = 0; i < zap->allowed_count; i++)
        if (memcmp(zap->allowed[i], request->part[6], KEY_BYTES) == 0)
            return true;
    return false;
}

static void answer(const struct zap *zap, const struct zap_request *request, bool is_sound)
{
    bool may_enter = is_sound && is_allowed(zap, request);
    bool has_id = request->count > 1 && request->size[1] <= MAX_PART;
    zmq_send(zap->reply, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(zap->reply, request->part[1], has_id ? request->size[1] : 0, ZMQ_SNDMORE);
    zmq_send(zap->reply, may_enter ? "200" : "400", 3, ZMQ_SNDMORE);
    zmq_send(zap->reply, may_enter ? "OK" : "no", 2, ZMQ_SNDMORE);
    zmq_send(zap->reply, "", 0, ZMQ_SNDMORE); /* user id */
    zmq_send(zap->reply, "", 0, 0);           /* metadata */
}

static void *keep_door(void *argument)
{
    struct zap *zap = argument;
    struct zap_request *request = mem_alloc(sizeof *request);
    for (;;) {
        zmq_pollitem_t items[2] = {{.socket = zap->reply, .events = ZMQ_POLLIN},
                                   {.socket = zap->stop_there, .events = ZMQ_POLLIN}};
        if (zmq_poll(items, 2, -1) < 0)
            continue;
        if (items[1].revents)
            break;
        if (items[0].revents)
            answer(zap, request, read_request(zap->reply, request));
    }
    mem_free(request);
    return NULL;
}

static enum err open_sockets(struct zap *zap, void *context)
{
    zap->reply = zmq_socket(context, ZMQ_REP);
    zap->stop_here = zmq_socket(context, ZMQ_PAIR);
    zap->stop_there = zmq_socket(context, ZMQ_PAIR);
    if (!zap->reply || !zap->stop_here || !zap->stop_there ||
        zmq_bind(zap->reply, ZAP_ENDPOINT) != 0 || zmq_bind(zap->stop_here, ZAP_STOP) != 0 ||
        zmq_connect(zap->stop_there, ZAP_STOP) != 0)
        return err_set(ERR_IO, "ZeroMQ's doorkeeper: %s", zmq_strerror(zmq_errno()));
    return ERR_OK;
}

enum err zap_create(void *context, const struct wire_curve *curve, struct zap **zap)
{
    enum err err = ERR_OK;
    struct zap *made = mem_alloc(sizeof *made);
    made->allowed = mem_array((size_t)curve->allowed_count + 1, KEY_BYTES);
    made->allowed_count = curve->allowed_count;
    for (int i = 0; i < curve->allowed_count; i++)
        if (strlen(curve->allowed[i]) != WIRE_KEY_BYTES - 1 ||
            !zmq_z85_decode(made->allowed[i], curve->allowed[i]))
            TRY(err_set(ERR_CONFIG, "allowed key %d is not a CURVE key (40 characters of Z85)",
                        i + 1));
    TRY(open_sockets(made, context));
    if (pthread_create(&made->thread, NULL, keep_door, made) != 0)
        TRY(err_set(ERR_IO, "no thread for ZeroMQ's doorkeeper"));
    made->has_thread = true;
    *zap = made;
    made = NULL;
out:
    zap_destroy(&made);
    return err;
}

void zap_destroy(struct zap **zap)
{
    struct zap *going = *zap;
    if (!going)
        return;
    if (going->has_thread) {
        zmq_send(going->stop_here, "", 0, 0);
        pthread_join(going->thread, NULL);
    }
    void *sockets[] = {going->reply, going->stop_here, going->stop_there};
    for (int i = 0; i < 3; i++)
        if (sockets[i]) {
            int none = 0;
            zmq_setsockopt(sockets[i], ZMQ_LINGER, &none, sizeof none);
            zmq_close(sockets[i]);
        }
    mem_free(going->allowed);
    mem_free(going);
    *zap = NULL;
}
