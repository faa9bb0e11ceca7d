/* The stream channel: the images that were handed over, on their way as packets, and the last few
 * of them kept for those that are asked for again. One thread. */
#ifndef CAMERA_SIM_STREAM_H
#define CAMERA_SIM_STREAM_H

#include "camera/sim/faults.h"
#include "camera/sim/gvcp.h"
#include "camera/sim/gvsp.h"

enum { STREAM_KEPT = 8 }; /* 60 images a second: who asks within 0.1 s gets it */

struct sent_block {
    struct gvsp_block block; /* its bytes are ours */
    size_t room;
    uint32_t packet_size;
};

struct stream {
    int socket; /* datagrams leave from it; borrowed */
    const struct faults *faults;
    const struct registers *registers; /* where to, and in which pieces */
    uint64_t seed, packets;            /* so far: what the faults' draws are of */
    struct sent_block kept[STREAM_KEPT];
    int newest;
    bool is_sending;
    uint32_t next, last; /* packets of the newest one */
    double next_s;       /* where packets keep a distance */
};

void stream_fini(struct stream *stream);
/* Nothing is on its way: another image may be pushed. */
bool stream_has_room(const struct stream *stream);
/* Copies the image. Where no application listens, it is gone. */
void stream_push(struct stream *stream, const struct gvsp_block *block);
/* Sends some of what is on its way; a full socket buffer leaves the rest for later. */
void stream_send(struct stream *stream, double now_s);
/* When stream_send() should be called again; INFINITY: nothing is on its way. */
double stream_due_s(const struct stream *stream);
void stream_resend(struct stream *stream, const struct gvcp_request *request);
void stream_test_packet(struct stream *stream);
/* What is on its way is not sent any more. */
void stream_stop(struct stream *stream);

#endif
