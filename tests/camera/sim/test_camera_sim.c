/* glowworm-camera-sim as an application sees it: by Aravis, and by datagrams of our own where
 * Aravis would not send such. */
#include "base/clock.h"
#include "camera/sim/big_endian.h"
#include "camera/sim/gvcp.h"
#include "tests/camera/sim/seen_camera.h"
#include "tests/camera/sim/tiny_mono.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { RAW_BYTES = TINY_SIDE * TINY_SIDE * 2 };
static struct tiny_files files;
static struct seen_camera seen;

static int write_files(void **state)
{
    (void)state;
    tiny_mono(&files);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    tiny_files_fini(&files);
    arv_shutdown();
    return 0;
}

static void start(void)
{
    const char *options[] = {"--speed", "20", NULL};
    seen_start(&seen, options);
}

static void inject(int which)
{
    uint8_t raw[RAW_BYTES];
    tiny_raw(which, raw);
    assert_string_equal(seen_upload(&seen, "InjectedImage", raw, sizeof raw, false), "Success");
}

static void upload_network(void)
{
    assert_string_equal(
        seen_upload(&seen, "InferenceNetwork", files.graphdef.data, files.graphdef.size, false),
        "Success");
    assert_string_equal(seen_get(&seen, "InferenceNetworkStatus"), "Ready");
}

static void check_images(int which, int count)
{
    struct network_answer expected = tiny_expected(&files, which, ARITHMETIC_FP16_SUM32);
    uint8_t pixels[TINY_SIDE * TINY_SIDE];
    tiny_pixels(which, pixels);
    seen_start_images(&seen);
    for (int i = 0; i < count; i++) {
        struct seen_image image;
        assert_true(seen_next_image(&seen, 10, &image));
        assert_int_equal(image.inference_frame, image.frame);
        assert_int_equal(image.result, expected.class_index);
        assert_float_equal(image.confidence, expected.confidence, 0);
        assert_memory_equal(image.first_pixels, pixels, sizeof pixels);
    }
    seen_stop_images(&seen);
}

static void an_uploaded_network_answers_for_every_injected_image(void **state)
{
    (void)state;
    start();
    seen_open(&seen);
    upload_network();
    assert_int_equal(seen_get_number(&seen, "InferenceNetworkInputWidth"), TINY_SIDE);
    assert_int_equal(seen_get_number(&seen, "InferenceOutputClasses"), TINY_CLASSES);
    seen_prepare(&seen, TINY_SIDE);
    for (int which = 0; which < 3; which++) {
        inject(which);
        check_images(which, 4);
    }
    seen_end(&seen);
}

static void packets_that_are_lost_or_late_are_asked_for_again(void **state)
{
    (void)state;
    const char *options[] = {"--fault", "lost-packets:5", "--fault", "reordered-packets:5", NULL};
    guint64 resent = 0, missing = 0;
    seen_start(&seen, options);
    seen_open(&seen);
    seen_set_number(&seen, "Width", 320);
    seen_set_number(&seen, "Height", 240);
    seen_set_flag(&seen, "ChunkModeActive", true);
    arv_camera_set_chunks(seen.camera,
                          "FrameID,InferenceFrameId,InferenceResult,"
                          "InferenceConfidence",
                          NULL);
    seen_start_images(&seen);
    for (int i = 0; i < 15; i++) {
        struct seen_image image;
        assert_true(seen_next_image(&seen, 10, &image));
    }
    arv_gv_stream_get_statistics(ARV_GV_STREAM(seen.stream), &resent, &missing);
    assert_true(resent > 15); /* of 53 packets each, one in twenty */
    seen_stop_images(&seen);
    seen_end(&seen);
}

static void what_takes_longer_than_an_answer_may_is_announced(void **state)
{
    (void)state;
    /* 4 KB at 100 KB/s and half a second more than Aravis waits without being told */
    const char *options[] = {"--fault", "slow-flash:1000", NULL};
    seen_start(&seen, options);
    seen_open(&seen);
    double began_s = clock_seconds();
    assert_string_equal(seen_upload(&seen, "UserFile1", files.graphdef.data, 1600, true),
                        "Success");
    assert_true(clock_seconds() - began_s > 0.79);
    assert_int_equal(seen_get_number(&seen, "FileSize"), 1600);
    seen_end(&seen);
}

/* Datagrams of our own. */
static int raw_socket(void)
{
    int made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(GVCP_PORT)};
    struct timeval limit = {.tv_sec = 5};
    inet_pton(AF_INET, seen.address, &to.sin_addr);
    assert_int_equal(bind(made, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(made, (struct sockaddr *)&to, sizeof to), 0);
    setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return made;
}

/* The answer's status; its payload's word `word` in *value. */
static uint32_t ask(int socket, uint32_t command, uint16_t id, const uint32_t *words, int count,
                    int word, uint32_t *value)
{
    uint8_t datagram[GVCP_MOST_BYTES] = {0x42, 1};
    put_be16(datagram + 2, command);
    put_be16(datagram + 4, 4 * (uint32_t)count);
    put_be16(datagram + 6, id);
    for (int i = 0; i < count; i++)
        put_be32(datagram + GVCP_HEAD + 4 * i, words[i]);
    assert_int_equal(send(socket, datagram, GVCP_HEAD + 4 * (size_t)count, 0),
                     GVCP_HEAD + 4 * count);
    ssize_t got = recv(socket, datagram, sizeof datagram, 0);
    assert_true(got >= GVCP_HEAD);
    assert_int_equal(get_be16(datagram + 6), id);
    if (got >= GVCP_HEAD + 4 * (word + 1))
        *value = get_be32(datagram + GVCP_HEAD + 4 * word);
    return get_be16(datagram);
}

static uint32_t write_register(int socket, uint16_t id, uint32_t address, uint32_t value)
{
    uint32_t done, words[] = {address, value};
    return ask(socket, GVCP_WRITEREG, id, words, 2, 0, &done);
}

static uint32_t read_register(int socket, uint16_t id, uint32_t address)
{
    uint32_t value = 0;
    assert_int_equal(ask(socket, GVCP_READREG, id, &address, 1, 0, &value), GVCP_SUCCESS);
    return value;
}

static void one_application_controls_and_others_read(void **state)
{
    (void)state;
    start();
    int first = raw_socket(), second = raw_socket();
    uint32_t width = node_address(NODE_WIDTH);
    assert_int_equal(write_register(first, 1, width, 640), GVCP_ACCESS_DENIED);
    assert_int_equal(write_register(first, 2, BOOT_CONTROL, CONTROL_CONTROL), GVCP_SUCCESS);
    assert_int_equal(write_register(first, 3, width, 640), GVCP_SUCCESS);
    assert_int_equal(write_register(second, 4, width, 320), GVCP_ACCESS_DENIED);
    assert_int_equal(write_register(second, 5, BOOT_CONTROL, CONTROL_CONTROL), GVCP_ACCESS_DENIED);
    assert_int_equal(read_register(second, 6, width), 640);
    assert_int_equal(write_register(first, 7, BOOT_CONTROL, 0), GVCP_SUCCESS);
    assert_int_equal(write_register(second, 8, BOOT_CONTROL, CONTROL_EXCLUSIVE), GVCP_SUCCESS);
    assert_int_equal(ask(first, GVCP_READREG, 9, &width, 1, 0, &width), GVCP_ACCESS_DENIED);
    close(first);
    close(second);
    seen_end(&seen);
}

static void an_application_that_falls_silent_loses_control_and_its_images(void **state)
{
    (void)state;
    start();
    int first = raw_socket(), second = raw_socket();
    assert_int_equal(write_register(first, 1, BOOT_CONTROL, CONTROL_CONTROL), GVCP_SUCCESS);
    assert_int_equal(write_register(first, 2, BOOT_HEARTBEAT_MS, 500), GVCP_SUCCESS);
    assert_int_equal(write_register(first, 3, node_address(NODE_ACQUISITION_START), 1),
                     GVCP_SUCCESS);
    double end = clock_seconds() + 10;
    for (uint16_t id = 1; read_register(second, id, BOOT_CONTROL) != 0; id++) {
        assert_true(clock_seconds() < end);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    assert_int_equal(write_register(second, 9999, BOOT_CONTROL, CONTROL_CONTROL), GVCP_SUCCESS);
    assert_int_equal(write_register(second, 10000, node_address(NODE_WIDTH), 640), GVCP_SUCCESS);
    close(first);
    close(second);
    seen_end(&seen);
}

static void a_request_that_comes_again_is_not_done_again(void **state)
{
    (void)state;
    start();
    int socket = raw_socket();
    uint32_t status = node_address(NODE_FILE_OPERATION_STATUS);
    assert_int_equal(write_register(socket, 1, BOOT_CONTROL, CONTROL_CONTROL), GVCP_SUCCESS);
    assert_int_equal(write_register(socket, 2, node_address(NODE_FILE_OPEN_MODE), 1), GVCP_SUCCESS);
    for (int i = 0; i < 3; i++) /* a second time, opening would fail */
        assert_int_equal(write_register(socket, 3, node_address(NODE_FILE_OPERATION_EXECUTE), 1),
                         GVCP_SUCCESS);
    assert_int_equal(read_register(socket, 4, status), 0);
    assert_int_equal(write_register(socket, 5, node_address(NODE_FILE_OPERATION_EXECUTE), 1),
                     GVCP_SUCCESS);
    assert_int_equal(read_register(socket, 6, status), 1);
    close(socket);
    seen_end(&seen);
}

static void after_a_lost_cable_the_camera_is_as_it_was_left(void **state)
{
    (void)state;
    GError *error = NULL;
    const char *options[] = {"--silence", "3", "--fault", "dropped-connection:GammaEnable", NULL};
    seen_start(&seen, options);
    seen_open(&seen);
    upload_network();
    seen_set_number(&seen, "Width", 640);
    arv_gv_device_set_packet_size(ARV_GV_DEVICE(seen.device), 1500, NULL);
    arv_device_set_boolean_feature_value(seen.device, "GammaEnable", FALSE, &error);
    assert_non_null(error);
    g_clear_error(&error);
    seen_close(&seen);
    double end = clock_seconds() + 15;
    while (!seen.camera) {
        assert_true(clock_seconds() < end);
        seen.camera = arv_camera_new(seen.address, NULL);
    }
    seen.device = arv_camera_get_device(seen.camera);
    assert_int_equal(seen_get_number(&seen, "Width"), 640);
    assert_string_equal(seen_get(&seen, "InferenceNetworkStatus"), "Ready");
    seen_end(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_uploaded_network_answers_for_every_injected_image),
        cmocka_unit_test(packets_that_are_lost_or_late_are_asked_for_again),
        cmocka_unit_test(what_takes_longer_than_an_answer_may_is_announced),
        cmocka_unit_test(one_application_controls_and_others_read),
        cmocka_unit_test(an_application_that_falls_silent_loses_control_and_its_images),
        cmocka_unit_test(a_request_that_comes_again_is_not_done_again),
        cmocka_unit_test(after_a_lost_cable_the_camera_is_as_it_was_left),
    };
    return cmocka_run_group_tests(tests, write_files, remove_files);
}
