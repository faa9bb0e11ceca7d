/* Datagrams of the control and stream protocols, and the chunks behind an image. */
#include "camera/sim/big_endian.h"
#include "camera/sim/chunk.h"
#include "camera/sim/gvcp.h"
#include "camera/sim/gvsp.h"
#include "camera/sim/sensor.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint8_t read_two[] = {0x42, 1, 0,    0x80, 0, 8, 0x12, 0x34,
                                   0,    0, 0x0a, 0,    0, 0, 9,    0x38};

static void a_command_is_taken_apart(void **state)
{
    (void)state;
    struct gvcp_request request;
    enum gvcp_status status;
    assert_true(gvcp_decode(read_two, sizeof read_two, &request, &status));
    assert_int_equal(status, GVCP_SUCCESS);
    assert_int_equal(request.command, GVCP_READREG);
    assert_true(request.wants_ack);
    assert_int_equal(request.id, 0x1234);
    assert_int_equal(request.count, 2);
    assert_int_equal(request.addresses[0], BOOT_CONTROL);
    assert_int_equal(request.addresses[1], BOOT_HEARTBEAT_MS);
}

static void what_is_no_command_is_not_answered(void **state)
{
    (void)state;
    struct gvcp_request request;
    enum gvcp_status status;
    uint8_t datagram[sizeof read_two];
    for (size_t size = 0; size < sizeof read_two; size++)
        assert_false(gvcp_decode(read_two, size, &request, &status));
    memcpy(datagram, read_two, sizeof datagram);
    datagram[0] = 0x43;
    assert_false(gvcp_decode(datagram, sizeof datagram, &request, &status));
}

static enum gvcp_status status_of(uint32_t command, const uint8_t *payload, size_t size)
{
    struct gvcp_request request;
    enum gvcp_status status = GVCP_BUSY;
    uint8_t datagram[GVCP_MOST_BYTES] = {0x42, 1};
    put_be16(datagram + 2, command);
    put_be16(datagram + 4, (uint32_t)size);
    memcpy(datagram + GVCP_HEAD, payload, size);
    assert_true(gvcp_decode(datagram, GVCP_HEAD + size, &request, &status));
    return status;
}

static void lengths_that_do_not_fit_the_command_are_refused(void **state)
{
    (void)state;
    static const uint8_t zeros[GVCP_MOST_BYTES - GVCP_HEAD];
    assert_int_equal(status_of(GVCP_READREG, zeros, 0), GVCP_INVALID_PARAMETER);
    assert_int_equal(status_of(GVCP_READREG, zeros, 6), GVCP_INVALID_PARAMETER);
    assert_int_equal(status_of(GVCP_WRITEREG, zeros, 12), GVCP_INVALID_PARAMETER);
    assert_int_equal(status_of(GVCP_READMEM, zeros, 4), GVCP_INVALID_PARAMETER);
    assert_int_equal(status_of(GVCP_WRITEMEM, zeros, 4), GVCP_INVALID_PARAMETER);
    assert_int_equal(status_of(GVCP_WRITEMEM, zeros, GVCP_DATA_MOST + 4), GVCP_SUCCESS);
    assert_int_equal(status_of(GVCP_WRITEMEM, zeros, GVCP_DATA_MOST + 8), GVCP_INVALID_PARAMETER);
    assert_int_equal(status_of(GVCP_PACKET_RESEND, zeros, 8), GVCP_INVALID_PARAMETER);
    assert_int_equal(status_of(0x00c0, zeros, 8), GVCP_NOT_IMPLEMENTED);
}

enum { SIZE = 1000, PACKET = 576 };

/* A block's packets, put together again. */
static void an_image_comes_out_of_its_packets(void **state)
{
    (void)state;
    uint8_t bytes[SIZE], found[SIZE], packet[GVSP_MOST_BYTES];
    struct gvsp_block block = {.id = 7, .width = 40, .height = 25, .bytes = bytes, .size = SIZE};
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 7);
    uint32_t count = gvsp_payload_packets(&block, PACKET);
    assert_int_equal(count, 2);
    size_t at = 0;
    for (uint32_t number = 1; number <= count; number++) {
        size_t size = gvsp_packet(&block, PACKET, number, packet);
        assert_true(size + GVSP_IP_UDP <= PACKET);
        assert_int_equal(get_be16(packet + 2), 7);
        assert_int_equal(get_be32(packet + 4), 3u << 24 | number);
        memcpy(found + at, packet + GVSP_HEAD, size - GVSP_HEAD);
        at += size - GVSP_HEAD;
    }
    assert_int_equal(at, SIZE);
    assert_memory_equal(found, bytes, SIZE);
    assert_int_equal(gvsp_packet(&block, PACKET, 0, packet), GVSP_HEAD + 36);
    assert_int_equal(get_be32(packet + 4), 1u << 24);
    assert_int_equal(get_be32(packet + GVSP_HEAD + 16), 40);
    gvsp_packet(&block, PACKET, count + 1, packet);
    assert_int_equal(get_be32(packet + 4), 2u << 24 | (count + 1));
}

static void chunks_are_found_from_the_end(void **state)
{
    (void)state;
    bool enabled[CHUNK_COUNT] = {[CHUNK_WIDTH] = true, [CHUNK_INFERENCE_CONFIDENCE] = true};
    struct chunk_values values = {.of = {[CHUNK_WIDTH] = 640}};
    uint8_t bytes[64];
    double confidence;
    chunk_set_float(&values, CHUNK_INFERENCE_CONFIDENCE, 0.75);
    size_t size = chunk_bytes(enabled);
    assert_int_equal(size, 8 + 4 + 8 + 8 + 8);
    chunk_write(enabled, &values, 1234, bytes);
    uint64_t bits = get_be64(bytes + size - 16);
    memcpy(&confidence, &bits, sizeof confidence);
    assert_float_equal(confidence, 0.75, 0);
    assert_int_equal(get_be32(bytes + size - 8), CHUNK_TAG_BASE + CHUNK_INFERENCE_CONFIDENCE);
    assert_int_equal(get_be32(bytes + size - 4), 8);
    assert_int_equal(get_be32(bytes + 8), 640);
    assert_int_equal(get_be32(bytes + 12), CHUNK_TAG_BASE + CHUNK_WIDTH);
    assert_int_equal(get_be32(bytes), CHUNK_TAG_IMAGE);
    assert_int_equal(get_be32(bytes + 4), 1234);
}

static void an_injected_image_passes_unchanged_where_nothing_is_switched_on(void **state)
{
    (void)state;
    uint8_t raw[2 * 4 * 3], pixels[12];
    uint16_t words[12];
    for (int i = 0; i < 12; i++) {
        raw[2 * i] = (uint8_t)(i * 20 << 2);
        raw[2 * i + 1] = (uint8_t)(i * 20 >> 6);
    }
    struct sensor_cfg cfg = {.source = SENSOR_INJECTED,
                             .injected = raw,
                             .injected_bytes = sizeof raw,
                             .injected_W = 4,
                             .injected_H = 3};
    sensor_words(&cfg, &(struct region){0, 0, 4, 3}, words);
    sensor_pixels(words, 4, 3, PFNC_MONO8, pixels);
    for (int i = 0; i < 12; i++)
        assert_int_equal(pixels[i], i * 20);
    cfg.has_gamma = true;
    sensor_words(&cfg, &(struct region){0, 0, 4, 3}, words);
    assert_true(words[5] > 400);
    cfg.injected_bytes = 6; /* what is not there is black */
    sensor_words(&cfg, &(struct region){1, 0, 4, 3}, words);
    assert_true(words[1] > 0);
    assert_int_equal(words[2], 0);
}

enum { MOSAIC_W = 10, MOSAIC_H = 6 };

/* Of a picture whose colours are planes the mosaic gives them back: everywhere where they are flat,
 * within the border where they rise. */
static void a_mosaic_gives_planes_of_colour_back(void **state)
{
    (void)state;
    static const int rises[][3] = {{0, 0, 0}, {4, 6, 8}};
    for (int n = 0; n < 2; n++) {
        uint16_t words[MOSAIC_W * MOSAIC_H];
        uint8_t rgb[3 * MOSAIC_W * MOSAIC_H], bgr[3 * MOSAIC_W * MOSAIC_H];
        for (int i = 0; i < MOSAIC_W * MOSAIC_H; i++) {
            int x = i % MOSAIC_W, y = i / MOSAIC_W, c = (x & 1) + (y & 1);
            words[i] = (uint16_t)(4 * (10 + 50 * c + rises[n][c] * (x + y)));
        }
        sensor_pixels(words, MOSAIC_W, MOSAIC_H, PFNC_RGB8, rgb);
        sensor_pixels(words, MOSAIC_W, MOSAIC_H, PFNC_BGR8, bgr);
        for (int i = 0; i < MOSAIC_W * MOSAIC_H; i++) {
            int x = i % MOSAIC_W, y = i / MOSAIC_W, edge = n;
            if (x < edge || y < edge || x >= MOSAIC_W - edge || y >= MOSAIC_H - edge)
                continue;
            for (int c = 0; c < 3; c++) {
                assert_int_equal(rgb[3 * i + c], 10 + 50 * c + rises[n][c] * (x + y));
                assert_int_equal(bgr[3 * i + 2 - c], rgb[3 * i + c]);
            }
        }
    }
}

static void the_scaler_keeps_ramps_and_constants(void **state)
{
    (void)state;
    uint8_t in[8], out[4];
    for (int i = 0; i < 8; i++)
        in[i] = (uint8_t)(i * 10);
    scale_bilinear(in, 8, 1, 1, out, 4, 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(out[i], 5 + 20 * i);
    memset(in, 200, sizeof in);
    scale_bilinear(in, 2, 4, 1, out, 2, 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(out[i], 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_taken_apart),
        cmocka_unit_test(what_is_no_command_is_not_answered),
        cmocka_unit_test(lengths_that_do_not_fit_the_command_are_refused),
        cmocka_unit_test(an_image_comes_out_of_its_packets),
        cmocka_unit_test(chunks_are_found_from_the_end),
        cmocka_unit_test(an_injected_image_passes_unchanged_where_nothing_is_switched_on),
        cmocka_unit_test(a_mosaic_gives_planes_of_colour_back),
        cmocka_unit_test(the_scaler_keeps_ramps_and_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
