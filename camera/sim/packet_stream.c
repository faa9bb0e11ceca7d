#include "camera/sim/packet_stream.h"
#include "base/mem.h"
#include "base/rng.h"
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
    BURST_BYTES =
        64 << 10,     /* between two looks at the control channel; a receiver's socket holds it */
    RESEND_MOST = 512 /* packets of one request */
};

void packet_stream_fini(struct packet_stream *stream)
{
    for (int i = 0; i < STREAM_KEPT; i++)
        mem_free(stream->kept[i].block.bytes);
}

bool packet_stream_has_room(const struct packet_stream *stream)
{
    return !stream->is_sending;
}

/* Ids begin at 1 with every acquisition: what was kept would be taken for images to come. */
void packet_stream_stop(struct packet_stream *stream)
{
    stream->is_sending = false;
    for (int i = 0; i < STREAM_KEPT; i++)
        stream->kept[i].block.id = 0;
}

static struct sockaddr_in destination(const struct packet_stream *stream)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)registers_boot(stream->registers, BOOT_STREAM_PORT)),
        .sin_addr.s_addr = htonl(registers_boot(stream->registers, BOOT_STREAM_ADDRESS))};
}

/* false: not now. */
static bool put(struct packet_stream *stream, const uint8_t *bytes, size_t size)
{
    struct sockaddr_in to = destination(stream);
    if (to.sin_port == 0 || to.sin_addr.s_addr == 0)
        return true;
    /* nobody listening there is no trouble of the camera's */
    return sendto(stream->socket, bytes, size, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) >=
               0 ||
           (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS);
}

static uint32_t packet_size(const struct packet_stream *stream)
{
    return registers_boot(stream->registers, BOOT_STREAM_PACKET) & STREAM_SIZE_MASK;
}

void packet_stream_push(struct packet_stream *stream, const struct gvsp_block *block)
{
    stream->newest = (stream->newest + 1) % STREAM_KEPT;
    struct sent_block *kept = &stream->kept[stream->newest];
    if (block->size > kept->room) {
        mem_free(kept->block.bytes);
        kept->block.bytes = mem_alloc(block->size);
        kept->room = block->size;
    }
    uint8_t *bytes = kept->block.bytes;
    kept->block = *block;
    kept->block.bytes = bytes;
    memcpy(bytes, block->bytes, block->size);
    kept->packet_size = packet_size(stream);
    stream->next = 0;
    stream->last = gvsp_payload_packets(&kept->block, kept->packet_size) + 1;
    stream->is_sending = true;
    stream->next_s = 0;
}

/* Whether this fault meets the packet that is sent now. */
static bool meets(const struct packet_stream *stream, enum fault_id fault)
{
    return stream->faults->is_on[fault] &&
           100 * rng_unit(rng(stream->seed, RNG_CAMERA_PACKETS, 0, stream->packets, fault)) <
               stream->faults->number[fault];
}

static bool put_packet(struct packet_stream *stream, const struct sent_block *sent, uint32_t number)
{
    uint8_t packet[GVSP_MOST_BYTES];
    return put(stream, packet, gvsp_packet(&sent->block, sent->packet_size, number, packet));
}

/* One packet, or two that change places. */
static bool send_next(struct packet_stream *stream)
{
    const struct sent_block *sent = &stream->kept[stream->newest];
    uint32_t number = stream->next;
    bool is_lost = meets(stream, FAULT_LOST_PACKETS);
    bool is_behind = number < stream->last && meets(stream, FAULT_REORDERED_PACKETS);
    if (is_behind && !put_packet(stream, sent, number + 1))
        return false;
    if (!is_lost && !put_packet(stream, sent, number))
        return false;
    stream->packets++;
    stream->next += is_behind ? 2 : 1;
    stream->is_sending = stream->next <= stream->last;
    return true;
}

/* A burst, or one packet where the application wants a distance between them. */
void packet_stream_send(struct packet_stream *stream, double now_s)
{
    double distance_s = registers_boot(stream->registers, BOOT_STREAM_DELAY) / 1e9;
    uint32_t burst = distance_s > 0 ? 1 : BURST_BYTES / packet_size(stream);
    if (now_s < stream->next_s)
        return;
    for (uint32_t i = 0; stream->is_sending && i < burst; i++)
        if (!send_next(stream))
            break;
    stream->next_s = now_s + (distance_s > 0 ? distance_s : PACKET_STREAM_BURST_S);
}

double packet_stream_due_s(const struct packet_stream *stream)
{
    return stream->is_sending ? stream->next_s : INFINITY;
}

static const struct sent_block *find(const struct packet_stream *stream, uint16_t block)
{
    for (int i = 0; i < STREAM_KEPT && block != 0; i++)
        if (stream->kept[i].block.id == block)
            return &stream->kept[i];
    return NULL;
}

void packet_stream_resend(struct packet_stream *stream, const struct gvcp_request *request)
{
    const struct sent_block *sent = find(stream, request->block);
    uint8_t packet[GVSP_MOST_BYTES];
    for (uint32_t i = 0; i <= request->last_packet - request->first_packet && i < RESEND_MOST;
         i++) {
        uint32_t number = request->first_packet + i;
        bool is_there = sent && number <= gvsp_payload_packets(&sent->block, sent->packet_size) + 1;
        if (!is_there)
            put(stream, packet, gvsp_unavailable(request->block, number, packet));
        else if (!put_packet(stream, sent, number))
            return;
        if (!sent)
            return; /* once is enough for an image that is gone */
    }
}

void packet_stream_test_packet(struct packet_stream *stream)
{
    uint8_t packet[GVSP_MOST_BYTES];
    put(stream, packet, gvsp_test_packet(packet_size(stream), packet));
}
