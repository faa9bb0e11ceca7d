#include "camera/sim/gvsp.h"
#include "camera/sim/big_endian.h"

enum { LEADER = 1, TRAILER = 2, PAYLOAD = 3 };
enum { STATUS_OK = 0, STATUS_UNAVAILABLE = 0x800c };
enum { TYPE_IMAGE = 0x0001, TYPE_WITH_CHUNKS = 0x4000 };
enum { LEADER_BYTES = 36, TRAILER_BYTES = 12 };

static uint8_t *put_head(uint8_t *out, uint32_t status, uint16_t block, uint32_t format,
                         uint32_t number)
{
    put_be16(out, status);
    put_be16(out + 2, block);
    put_be32(out + 4, format << 24 | number);
    return out + GVSP_HEAD;
}

static size_t room_of(uint32_t packet_size)
{
    return packet_size - GVSP_IP_UDP - GVSP_HEAD;
}

uint32_t gvsp_payload_packets(const struct gvsp_block *block, uint32_t packet_size)
{
    size_t room = room_of(packet_size);
    return (uint32_t)((block->size + room - 1) / room);
}

static uint32_t payload_type(const struct gvsp_block *block)
{
    return TYPE_IMAGE | (block->has_chunks ? TYPE_WITH_CHUNKS : 0);
}

static size_t put_leader(const struct gvsp_block *block, uint8_t *at)
{
    put_be32(at, payload_type(block)); /* the upper half is reserved */
    put_be64(at + 4, block->ticks);
    put_be32(at + 12, block->pixel_format);
    put_be32(at + 16, block->width);
    put_be32(at + 20, block->height);
    put_be32(at + 24, block->x);
    put_be32(at + 28, block->y);
    put_be32(at + 32, 0); /* padding at the ends of lines and of the image */
    return LEADER_BYTES;
}

static size_t put_trailer(const struct gvsp_block *block, uint8_t *at)
{
    put_be32(at, payload_type(block));
    put_be32(at + 4, block->height);
    put_be32(at + 8, 0); /* the chunks' layout, which is told by their tails */
    return block->has_chunks ? TRAILER_BYTES : TRAILER_BYTES - 4;
}

size_t gvsp_packet(const struct gvsp_block *block, uint32_t packet_size, uint32_t number,
                   uint8_t out[GVSP_MOST_BYTES])
{
    uint32_t payloads = gvsp_payload_packets(block, packet_size);
    if (number == 0)
        return GVSP_HEAD + put_leader(block, put_head(out, STATUS_OK, block->id, LEADER, 0));
    if (number > payloads)
        return GVSP_HEAD + put_trailer(block, put_head(out, STATUS_OK, block->id, TRAILER, number));
    size_t room = room_of(packet_size), offset = (number - 1) * room;
    size_t size = block->size - offset < room ? block->size - offset : room;
    memcpy(put_head(out, STATUS_OK, block->id, PAYLOAD, number), block->bytes + offset, size);
    return GVSP_HEAD + size;
}

size_t gvsp_unavailable(uint16_t block, uint32_t number, uint8_t out[GVSP_MOST_BYTES])
{
    put_head(out, STATUS_UNAVAILABLE, block, PAYLOAD, number);
    return GVSP_HEAD;
}

size_t gvsp_test_packet(uint32_t packet_size, uint8_t out[GVSP_MOST_BYTES])
{
    size_t size = packet_size - GVSP_IP_UDP;
    memset(out, 0, size);
    put_head(out, STATUS_OK, 0, PAYLOAD, 0);
    return size;
}
