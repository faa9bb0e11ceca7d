/* The control channel of the simulated camera, without sockets: datagrams and times are the
 * test's. */
#include "camera/sim/big_endian.h"
#include "camera/sim/control.h"
#include "camera/sim/file_access.h"
#include "camera/sim/sim_camera.h"
#include <math.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct sim_camera_cfg cfg;
static struct sim_camera *camera;
static struct packet_stream stream;
static struct control control;
static const struct control_peer first = {0x7f000001, 1000}, second = {0x7f000001, 1001};
static uint16_t id;

static struct { /* what was put last */
    int count;
    struct control_peer peer;
    uint32_t status, command, id, word;
} answer;

static void look_at(const struct control_peer *peer, const uint8_t *bytes, size_t size, void *own)
{
    (void)own;
    answer.count++;
    answer.peer = *peer;
    answer.status = get_be16(bytes);
    answer.command = get_be16(bytes + 2);
    answer.id = get_be16(bytes + 6);
    answer.word = size >= GVCP_HEAD + 4 ? get_be32(bytes + GVCP_HEAD) : 0;
}

static void begin(const char *fault)
{
    cfg.faults = (struct faults){0};
    if (fault)
        assert_int_equal(faults_add(&cfg.faults, fault), ERR_OK);
    assert_int_equal(sim_camera_create(&cfg, &camera), ERR_OK);
    stream = (struct packet_stream){
        .socket = -1, .faults = &cfg.faults, .registers = sim_camera_registers(camera)};
    control = (struct control){.camera = camera, .stream = &stream, .put = look_at};
    answer.count = 0;
}

static int set_up(void **state)
{
    (void)state;
    cfg = (struct sim_camera_cfg){
        .identity = {.serial = "S1", .address = 0x7f000001}, .speed = 1, .silence_s = 5};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    packet_stream_fini(&stream);
    sim_camera_destroy(&camera);
    return 0;
}

static void request(const struct control_peer *peer, uint32_t command, const uint32_t *words,
                    size_t count, double now_s)
{
    uint8_t datagram[64] = {0x42, 1};
    put_be16(datagram + 2, command);
    put_be16(datagram + 4, (uint32_t)(4 * count));
    put_be16(datagram + 6, id);
    for (size_t i = 0; i < count; i++)
        put_be32(datagram + GVCP_HEAD + 4 * i, words[i]);
    control_take(&control, peer, CONTROL_SENT_TO_US, datagram, GVCP_HEAD + 4 * count, now_s);
}

static uint32_t put(const struct control_peer *peer, uint32_t address, uint32_t value, double now_s)
{
    uint32_t words[] = {address, value};
    id++;
    request(peer, GVCP_WRITEREG, words, 2, now_s);
    assert_int_equal(answer.id, id);
    return answer.status;
}

static uint32_t put_node(enum node_id node, uint32_t value, double now_s)
{
    return put(&first, node_address(node), value, now_s);
}

static void take_control(double now_s)
{
    assert_int_equal(put(&first, BOOT_CONTROL, CONTROL_CONTROL, now_s), GVCP_SUCCESS);
}

/* A file of 4 kB that flash takes 2 s to keep. */
static void write_to_flash(double now_s)
{
    take_control(now_s);
    assert_int_equal(put_node(NODE_FILE_OPEN_MODE, FILE_MODE_WRITE, now_s), GVCP_SUCCESS);
    assert_int_equal(put_node(NODE_FILE_OPERATION_EXECUTE, 1, now_s), GVCP_SUCCESS);
    assert_int_equal(put_node(NODE_FILE_WRITE_TO_FLASH, 1, now_s), GVCP_SUCCESS);
    assert_int_equal(put_node(NODE_FILE_ACCESS_LENGTH, 4000, now_s), GVCP_SUCCESS);
    assert_int_equal(put_node(NODE_FILE_OPERATION_SELECTOR, FILE_WRITE, now_s), GVCP_SUCCESS);
    assert_int_equal(put_node(NODE_FILE_OPERATION_EXECUTE, 1, now_s), GVCP_SUCCESS);
    assert_int_equal(put_node(NODE_FILE_OPERATION_SELECTOR, FILE_CLOSE, now_s), GVCP_SUCCESS);
}

static void what_takes_long_is_announced_and_answered_once_it_is_done(void **state)
{
    (void)state;
    const uint32_t execute[] = {node_address(NODE_FILE_OPERATION_EXECUTE), 1};
    begin("slow-flash:1000");
    write_to_flash(10);
    id = 500;
    request(&first, GVCP_WRITEREG, execute, 2, 10);
    assert_int_equal(answer.command, GVCP_PENDING_ACK);
    assert_in_range(answer.word, 2000, 3000); /* milliseconds */
    answer.count = 0;
    request(&first, GVCP_WRITEREG, execute, 2, 11.5); /* again: it is still not done */
    assert_int_equal(answer.command, GVCP_PENDING_ACK);
    assert_in_range(answer.word, 500, 1500);
    control_step(&control, 11.9);
    assert_int_equal(answer.count, 1);
    assert_int_equal(put_node(NODE_WIDTH, 640, 11.9), GVCP_BUSY);
    assert_float_equal(control_due_s(&control, 11.9), 12, 1e-9);
    control_step(&control, 12.1);
    assert_int_equal(answer.command, GVCP_WRITEREG + 1);
    assert_int_equal(answer.id, 500);
    assert_int_equal(answer.status, GVCP_SUCCESS);
    assert_int_equal(put_node(NODE_WIDTH, 640, 12.2), GVCP_SUCCESS);
}

static void control_ends_with_the_heartbeat(void **state)
{
    (void)state;
    begin(NULL);
    take_control(10);
    assert_int_equal(put_node(NODE_ACQUISITION_START, 1, 10), GVCP_SUCCESS);
    control_step(&control, 12.9);
    assert_int_equal(put(&second, BOOT_CONTROL, CONTROL_CONTROL, 12.9), GVCP_ACCESS_DENIED);
    assert_int_equal(put_node(NODE_GAIN_AUTO, 1, 12.9), GVCP_SUCCESS); /* is heard */
    control_step(&control, 15.8);
    assert_true(control.is_controlled);
    control_step(&control, 16);
    assert_false(control.is_controlled);
    assert_int_equal(put_node(NODE_WIDTH, 640, 16), GVCP_ACCESS_DENIED);
    assert_int_equal(put(&second, BOOT_CONTROL, CONTROL_CONTROL, 16), GVCP_SUCCESS);
    /* not locked any more: images ended with the control */
    assert_int_equal(put(&second, node_address(NODE_WIDTH), 640, 16), GVCP_SUCCESS);
}

static void a_broadcast_is_answered_where_it_looks_for_cameras(void **state)
{
    (void)state;
    static const uint8_t discovery[] = {0x42, 1, 0, 2, 0, 0, 0xff, 0xff};
    static const uint8_t read[] = {0x42, 1, 0, 0x80, 0, 4, 0, 9, 0, 0, 0x0a, 0};
    const struct control_peer elsewhere = {0xc0000202, 1000};
    begin(NULL);
    control_take(&control, &first, CONTROL_BROADCAST, discovery, sizeof discovery, 1);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.command, GVCP_DISCOVERY + 1);
    control_take(&control, &first, CONTROL_BROADCAST, read, sizeof read, 1);
    control_take(&control, &elsewhere, CONTROL_BROADCAST, discovery, sizeof discovery, 1);
    control_take(&control, &elsewhere, CONTROL_SENT_TO_US, read, sizeof read, 1);
    assert_int_equal(answer.count, 1);
}

static void a_dropped_connection_answers_nothing_for_a_while(void **state)
{
    (void)state;
    begin("dropped-connection:Width=2");
    take_control(10);
    assert_int_equal(put_node(NODE_WIDTH, 640, 10), GVCP_SUCCESS);
    answer.count = 0;
    const uint32_t words[] = {node_address(NODE_WIDTH), 320};
    id++;
    request(&first, GVCP_WRITEREG, words, 2, 10);
    request(&first, GVCP_WRITEREG, words, 2, 14.9);
    control_step(&control, 14.9);
    assert_int_equal(answer.count, 0);
    assert_int_equal(put(&second, BOOT_CONTROL, CONTROL_CONTROL, 15.1), GVCP_SUCCESS);
}

static void a_dropped_connection_loses_control_however_short_it_is(void **state)
{
    (void)state;
    cfg.silence_s = 1; /* a heartbeat may take 3 s */
    begin("dropped-connection:Width");
    take_control(10);
    answer.count = 0;
    const uint32_t words[] = {node_address(NODE_WIDTH), 320};
    id++;
    request(&first, GVCP_WRITEREG, words, 2, 10);
    assert_int_equal(answer.count, 0);
    request(&first, GVCP_WRITEREG, words, 2, 11.5); /* it was done, and is not done again */
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.status, GVCP_SUCCESS);
    assert_int_equal(put_node(NODE_WIDTH, 640, 11.6), GVCP_ACCESS_DENIED);
    assert_int_equal(put(&second, BOOT_CONTROL, CONTROL_CONTROL, 11.7), GVCP_SUCCESS);
}

static void packets_keep_the_distance_that_is_asked_for(void **state)
{
    (void)state;
    uint8_t bytes[100000] = {0};
    const struct gvsp_block block = {.id = 1, .bytes = bytes, .size = sizeof bytes};
    begin(NULL);
    take_control(10);
    packet_stream_push(&stream, &block);
    packet_stream_send(&stream, 10);
    assert_float_equal(packet_stream_due_s(&stream), 10 + PACKET_STREAM_BURST_S, 1e-9);
    assert_in_range(stream.next, 40, 50); /* a burst of packets of 1500 bytes */
    assert_int_equal(put(&first, BOOT_STREAM_DELAY, 20000, 10), GVCP_SUCCESS);
    uint32_t next = stream.next;
    packet_stream_send(&stream, 11);
    assert_int_equal(stream.next, next + 1);
    assert_float_equal(packet_stream_due_s(&stream), 11.00002, 1e-9);
    packet_stream_send(&stream, 11.00001);
    assert_int_equal(stream.next, next + 1);
    packet_stream_stop(&stream);
    assert_true(isinf(packet_stream_due_s(&stream)));
}

/* A socket that packets are sent to; *port: its own. */
static int open_receiver(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t size = sizeof at;
    int receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(receiver, (struct sockaddr *)&at, size), 0);
    assert_int_equal(getsockname(receiver, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return receiver;
}

/* The status of the packet that comes when image 1's first packet is asked for again. */
static uint32_t ask_again(int receiver)
{
    const uint32_t first_packet_of_first[] = {1, 1, 1};
    uint8_t packet[GVSP_MOST_BYTES];
    while (recv(receiver, packet, sizeof packet, 0) > 0)
        continue;
    request(&first, GVCP_PACKET_RESEND, first_packet_of_first, 3, 10);
    assert_true(recv(receiver, packet, sizeof packet, 0) > 0);
    return get_be16(packet);
}

static void an_earlier_acquisitions_image_is_not_sent_again_for_a_new_ones(void **state)
{
    (void)state;
    uint8_t bytes[1000] = {0};
    const struct gvsp_block block = {.id = 1, .bytes = bytes, .size = sizeof bytes};
    uint16_t port = 0;
    int receiver = open_receiver(&port);
    begin(NULL);
    stream.socket = receiver; /* it may send to itself */
    take_control(10);
    assert_int_equal(put(&first, BOOT_STREAM_ADDRESS, 0x7f000001, 10), GVCP_SUCCESS);
    assert_int_equal(put(&first, BOOT_STREAM_PORT, port, 10), GVCP_SUCCESS);
    packet_stream_push(&stream, &block);
    packet_stream_send(&stream, 10);
    assert_int_equal(ask_again(receiver), 0);
    assert_int_equal(put(&first, BOOT_STREAM_PORT, port, 10), GVCP_SUCCESS); /* another stream */
    assert_int_not_equal(ask_again(receiver), 0);
    close(receiver);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_takes_long_is_announced_and_answered_once_it_is_done),
        TEST(control_ends_with_the_heartbeat),
        TEST(a_broadcast_is_answered_where_it_looks_for_cameras),
        TEST(a_dropped_connection_answers_nothing_for_a_while),
        TEST(a_dropped_connection_loses_control_however_short_it_is),
        TEST(packets_keep_the_distance_that_is_asked_for),
        TEST(an_earlier_acquisitions_image_is_not_sent_again_for_a_new_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
