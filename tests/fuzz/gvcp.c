/* Datagrams of anybody for the simulated camera's control channel: what decodes is done, by one of
 * two senders, and time passes. An input is datagrams one behind another, each behind a byte whose
 * low bit names the sender, and two bytes of its length. */
#include "camera/sim/control.h"
#include "camera/sim/sim_camera.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void look_at(const struct control_peer *peer, const uint8_t *bytes, size_t size, void *own)
{
    (void)own;
    FUZZ_EXPECT(peer->address == 0x7f000001);
    FUZZ_EXPECT(size >= GVCP_HEAD && size <= GVCP_MOST_BYTES);
    FUZZ_EXPECT(((size_t)bytes[4] << 8 | bytes[5]) == size - GVCP_HEAD);
}

static void take_all(struct control *control, const uint8_t *bytes, size_t size)
{
    double now_s = 1;
    while (size >= 3) {
        struct control_peer peer = {0x7f000001, (uint16_t)(1000 + (bytes[0] & 1))};
        size_t length = (size_t)bytes[1] << 8 | bytes[2], left = size - 3;
        length = length < left ? length : left;
        control_take(control, &peer, CONTROL_SENT_TO_US, bytes + 3, length, now_s);
        control_step(control, now_s);
        bytes += 3 + length;
        size -= 3 + length;
        now_s += 0.01;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct sim_camera_cfg cfg = {.identity = {.serial = "FUZZ", .address = 0x7f000001},
                                 .speed = 1000};
    struct sim_camera *camera = NULL;
    struct gvsp_block block;
    if (sim_camera_create(&cfg, &camera) != ERR_OK)
        return 0;
    struct packet_stream stream = {
        .socket = -1, .faults = &cfg.faults, .registers = sim_camera_registers(camera)};
    struct control control = {.camera = camera, .stream = &stream, .put = look_at};
    take_all(&control, bytes, size);
    if (sim_camera_step(camera, 2, true, &block))
        packet_stream_push(&stream, &block);
    packet_stream_send(&stream, 2);
    packet_stream_fini(&stream);
    sim_camera_destroy(&camera);
    return 0;
}
