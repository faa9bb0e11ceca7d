#include "camera/sim/gvcp.h"
#include "camera/sim/big_endian.h"

enum { KEY = 0x42, FLAG_ACK = 0x01 };

static enum gvcp_status decode_registers(const uint8_t *payload, size_t size,
                                         struct gvcp_request *request)
{
    size_t each = request->command == GVCP_READREG ? 4 : 8;
    if (size == 0 || size % each || size > GVCP_DATA_MOST)
        return GVCP_INVALID_PARAMETER;
    request->count = (int)(size / each);
    for (int i = 0; i < request->count; i++)
        request->addresses[i] = get_be32(payload + (size_t)i * each);
    request->bytes = payload;
    return GVCP_SUCCESS;
}

static enum gvcp_status decode_memory(const uint8_t *payload, size_t size,
                                      struct gvcp_request *request)
{
    bool is_read = request->command == GVCP_READMEM;
    if (is_read ? size != 8 : size < 8)
        return GVCP_INVALID_PARAMETER;
    request->address = get_be32(payload);
    request->size = is_read ? get_be16(payload + 6) : (uint32_t)(size - 4);
    request->bytes = payload + 4;
    return request->size > GVCP_DATA_MOST ? GVCP_INVALID_PARAMETER : GVCP_SUCCESS;
}

static enum gvcp_status decode_resend(const uint8_t *payload, size_t size,
                                      struct gvcp_request *request)
{
    if (size < 12)
        return GVCP_INVALID_PARAMETER;
    request->block = (uint16_t)get_be16(payload + 2);
    request->first_packet = get_be32(payload + 4) & 0xffffff;
    request->last_packet = get_be32(payload + 8) & 0xffffff;
    return request->last_packet < request->first_packet ? GVCP_INVALID_PARAMETER : GVCP_SUCCESS;
}

bool gvcp_decode(const uint8_t *datagram, size_t size, struct gvcp_request *request,
                 enum gvcp_status *status)
{
    *request = (struct gvcp_request){0};
    if (size < GVCP_HEAD || size > GVCP_MOST_BYTES || datagram[0] != KEY ||
        get_be16(datagram + 4) != size - GVCP_HEAD)
        return false;
    const uint8_t *payload = datagram + GVCP_HEAD;
    size -= GVCP_HEAD;
    request->command = (enum gvcp_command)get_be16(datagram + 2);
    request->wants_ack = datagram[1] & FLAG_ACK;
    request->id = (uint16_t)get_be16(datagram + 6);
    switch (request->command) {
    case GVCP_READREG:
    case GVCP_WRITEREG:
        *status = decode_registers(payload, size, request);
        break;
    case GVCP_READMEM:
    case GVCP_WRITEMEM:
        *status = decode_memory(payload, size, request);
        break;
    case GVCP_PACKET_RESEND:
        *status = decode_resend(payload, size, request);
        break;
    case GVCP_DISCOVERY:
        *status = GVCP_SUCCESS;
        break;
    default:
        *status = GVCP_NOT_IMPLEMENTED;
    }
    return true;
}

size_t gvcp_ack(const struct gvcp_request *request, enum gvcp_status status, const uint8_t *payload,
                size_t payload_bytes, uint8_t out[GVCP_MOST_BYTES])
{
    put_be16(out, status);
    put_be16(out + 2, request->command + 1u);
    put_be16(out + 4, (uint32_t)payload_bytes);
    put_be16(out + 6, request->id);
    if (payload_bytes)
        memcpy(out + GVCP_HEAD, payload, payload_bytes);
    return GVCP_HEAD + payload_bytes;
}

size_t gvcp_pending_ack(const struct gvcp_request *request, uint32_t wait_ms,
                        uint8_t out[GVCP_MOST_BYTES])
{
    uint8_t payload[4];
    struct gvcp_request pending = *request;
    put_be32(payload, wait_ms < 0xffff ? wait_ms : 0xffff); /* the upper half is reserved */
    pending.command = (enum gvcp_command)(GVCP_PENDING_ACK - 1);
    return gvcp_ack(&pending, GVCP_SUCCESS, payload, sizeof payload, out);
}
