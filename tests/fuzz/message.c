/* The frame of the wire and the words of both sides in it. */
#include "base/mem.h"
#include "base/wire/wire.h"
#include "scheduler/protocol.h"
#include "scheduler/protocol.pb-c.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

/* What was read can be packed. Whether it reads back is the library's business: it keeps fields it
 * does not know, of numbers it would not take. */
static void pack(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = mem_alloc(size + 1);
    FUZZ_EXPECT(protobuf_c_message_pack(message, packed) == size);
    mem_free(packed);
}

static void read_payload(const void *payload, size_t size)
{
    Gw__FromWorker *from = gw__from_worker__unpack(NULL, size, payload);
    Gw__ToWorker *to = gw__to_worker__unpack(NULL, size, payload);
    if (from) {
        pack(&from->base);
        gw__from_worker__free_unpacked(from, NULL);
    }
    if (to) {
        pack(&to->base);
        gw__to_worker__free_unpacked(to, NULL);
    }
}

/* As a frame with a header of its own, and as the payload behind a right one. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const void *payload = NULL;
    size_t payload_bytes = 0;
    if (wire_frame_read(bytes, size, PROTOCOL_FORMAT, &payload, &payload_bytes) == ERR_OK)
        read_payload(payload, payload_bytes);
    uint8_t *frame = mem_alloc(WIRE_HEADER_BYTES + size);
    wire_frame_write(PROTOCOL_FORMAT, size, frame);
    if (size > 0)
        memcpy(frame + WIRE_HEADER_BYTES, bytes, size);
    FUZZ_EXPECT(wire_frame_read(frame, WIRE_HEADER_BYTES + size, PROTOCOL_FORMAT, &payload,
                                &payload_bytes) == ERR_OK);
    FUZZ_EXPECT(payload_bytes == size);
    read_payload(payload, payload_bytes);
    mem_free(frame);
    return 0;
}
