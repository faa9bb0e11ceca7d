/* GigE Vision's control protocol: datagrams taken apart and put together. A command is eight bytes
 * (0x42, flags, command, length of what follows, identifier) and its payload; an acknowledgement
 * begins with a status in their place of the first two. Bytes come from anybody. Pure. */
#ifndef CAMERA_SIM_GVCP_H
#define CAMERA_SIM_GVCP_H

#include "camera/sim/registers.h"

enum {
    GVCP_PORT = 3956,
    GVCP_HEAD = 8,
    GVCP_MOST_BYTES = 576, /* of any datagram */
    GVCP_MOST_PAIRS = 67   /* registers that fit one */
};

enum gvcp_command {
    GVCP_DISCOVERY = 0x0002,
    GVCP_PACKET_RESEND = 0x0040,
    GVCP_READREG = 0x0080,
    GVCP_WRITEREG = 0x0082,
    GVCP_READMEM = 0x0084,
    GVCP_WRITEMEM = 0x0086,
    GVCP_PENDING_ACK = 0x0089
};

struct gvcp_request {
    enum gvcp_command command;
    bool wants_ack;
    uint16_t id;
    int count;                              /* READREG, WRITEREG */
    uint32_t addresses[GVCP_DATA_MOST / 4]; /* (count) */
    uint32_t address, size;                 /* READMEM, WRITEMEM */
    const uint8_t *bytes;                   /* what is written: WRITEREG: pairs of address and
                                               value; borrowed from the datagram */
    uint16_t block;                         /* PACKET_RESEND */
    uint32_t first_packet, last_packet;
};

/* Takes a datagram apart. GVCP_SUCCESS, or the status to answer with; *request has command, id and
 * wants_ack then. false: it is no command at all, and nobody is answered. */
bool gvcp_decode(const uint8_t *datagram, size_t size, struct gvcp_request *request,
                 enum gvcp_status *status);

/* Puts an acknowledgement together. `payload` may be NULL where payload_bytes is 0. Returns its
 * size, at most GVCP_MOST_BYTES. */
size_t gvcp_ack(const struct gvcp_request *request, enum gvcp_status status, const uint8_t *payload,
                size_t payload_bytes, uint8_t out[GVCP_MOST_BYTES]);
/* "Not yet; wait so much longer." */
size_t gvcp_pending_ack(const struct gvcp_request *request, uint32_t wait_ms,
                        uint8_t out[GVCP_MOST_BYTES]);

#endif
