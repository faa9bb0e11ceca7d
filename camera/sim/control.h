/* The control channel without its sockets: datagrams come in with the sender's name, answers go out
 * by a function. Who controls the camera and how long, requests that come again, and answers that
 * come late. One thread. */
#ifndef CAMERA_SIM_CONTROL_H
#define CAMERA_SIM_CONTROL_H

#include "camera/sim/packet_stream.h"

struct control_peer { /* in the host's order */
    uint32_t address;
    uint16_t port;
};

struct control {
    struct sim_camera *camera; /* borrowed, like the stream */
    struct packet_stream *stream;
    void (*put)(const struct control_peer *peer, const uint8_t *bytes, size_t size, void *own);
    void *own;
    bool is_controlled;
    struct control_peer controller;
    double heard_s; /* of the controller */
    double silent_until_s;
    /* the last request that was acknowledged or will be, and how: it may come again */
    struct control_peer peer;
    struct gvcp_request request;
    uint8_t ack[GVCP_MOST_BYTES];
    size_t ack_bytes;
    double ack_s; /* when it leaves; 0: it has left */
};

enum control_origin { CONTROL_SENT_TO_US, CONTROL_BROADCAST /* only a discovery is answered */ };

/* A datagram of anybody. */
void control_take(struct control *control, const struct control_peer *peer,
                  enum control_origin origin, const uint8_t *datagram, size_t size, double now_s);
/* What time brings: a late answer, a controller that is not heard any more. */
void control_step(struct control *control, double now_s);
/* When control_step() should be called again at the latest. */
double control_due_s(const struct control *control, double now_s);

#endif
