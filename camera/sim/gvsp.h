/* GigE Vision's stream protocol: an image and its chunks as packets, numbered from 0: a leader, the
 * payload in pieces, a trailer. The size of a packet counts the headers of IP and UDP. Pure. */
#ifndef CAMERA_SIM_GVSP_H
#define CAMERA_SIM_GVSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GVSP_HEAD = 8,
    GVSP_IP_UDP = 28,      /* bytes of IP's and UDP's headers */
    GVSP_MOST_BYTES = 9000 /* of a packet, all headers counted */
};

struct gvsp_block { /* an image */
    uint16_t id;    /* 1 to 65535 */
    uint64_t ticks; /* nanoseconds */
    bool has_chunks;
    uint32_t pixel_format, width, height, x, y;
    uint8_t *bytes; /* pixels, and chunks behind them */
    size_t size;
};

/* How many packets carry the payload; the trailer's number is one more. */
uint32_t gvsp_payload_packets(const struct gvsp_block *block, uint32_t packet_size);
/* Packet `number`, 0 to payload packets + 1. Returns its bytes behind UDP's header. */
size_t gvsp_packet(const struct gvsp_block *block, uint32_t packet_size, uint32_t number,
                   uint8_t out[GVSP_MOST_BYTES]);
/* The answer to a request for a packet that is not there any more. */
size_t gvsp_unavailable(uint16_t block, uint32_t number, uint8_t out[GVSP_MOST_BYTES]);
/* One of zeros, by which an application finds out which size gets through. */
size_t gvsp_test_packet(uint32_t packet_size, uint8_t out[GVSP_MOST_BYTES]);

#endif
