/* The stream channel: the images that were handed over, on their way as packets, and the last few
 * of them kept for those that are asked for again. One thread. */
#ifndef CAMERA_SIM_PACKET_STREAM_H
#define CAMERA_SIM_PACKET_STREAM_H

#include "camera/sim/faults.h"
#include "camera/sim/gvcp.h"
#include "camera/sim/gvsp.h"

#define PACKET_STREAM_BURST_S 0.001 /* between two bursts of packets */
enum { STREAM_KEPT = 8 };           /* 60 images a second: who asks within 0.1 s gets it */

struct sent_block {
    struct gvsp_block block; /* its bytes are ours */
    size_t room;
    uint32_t packet_size;
};

struct packet_stream {
    int socket; /* datagrams leave from it; borrowed */
    const struct faults *faults;
    const struct registers *registers; /* where to, and in which pieces */
    uint64_t seed, packets;            /* so far: what the faults' draws are of */
    struct sent_block kept[STREAM_KEPT];
    int newest;
    bool is_sending;
    uint32_t next, last; /* packets of the newest one */
    double next_s;       /* not before */
};

void packet_stream_fini(struct packet_stream *stream);
/* Nothing is on its way: another image may be pushed. */
bool packet_stream_has_room(const struct packet_stream *stream);
/* Copies the image. Where no application listens, it is gone. */
void packet_stream_push(struct packet_stream *stream, const struct gvsp_block *block);
/* Sends some of what is on its way; a full socket buffer leaves the rest for later. */
void packet_stream_send(struct packet_stream *stream, double now_s);
/* When packet_stream_send() should be called again; INFINITY: nothing is on its way. */
double packet_stream_due_s(const struct packet_stream *stream);
void packet_stream_resend(struct packet_stream *stream, const struct gvcp_request *request);
void packet_stream_test_packet(struct packet_stream *stream);
/* What is on its way is not sent any more, and nothing can be asked for again. */
void packet_stream_stop(struct packet_stream *stream);

#endif
