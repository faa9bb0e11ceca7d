/* The simulated camera without its protocol: files become a network, images get their inference,
 * time passes as the test says. */
#include "base/mem.h"
#include "camera/network_file.h"
#include "camera/sim/big_endian.h"
#include "camera/sim/chunk.h"
#include "camera/sim/file_access.h"
#include "camera/sim/sim_camera.h"
#include "tests/camera/sim/tiny_mono.h"
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { RAW_BYTES = TINY_SIDE * TINY_SIDE * 2 };
static struct tiny_files files;
static struct sim_camera_cfg cfg;
static struct sim_camera *camera;
static double now_s; /* the camera's */

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
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    cfg = (struct sim_camera_cfg){.identity = {.serial = "S1", .address = 0x7f000001},
                                  .latency = {10, 0, 0, 0},
                                  .seed = 1,
                                  .speed = 1,
                                  .silence_s = 3};
    now_s = 100;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sim_camera_destroy(&camera);
    return 0;
}

static void begin(const char *fault)
{
    if (fault && faults_add(&cfg.faults, fault) != ERR_OK)
        fail_msg("%s", err_text());
    if (sim_camera_create(&cfg, &camera) != ERR_OK)
        fail_msg("%s", err_text());
}

static double taken_s; /* by the last write */

static enum gvcp_status try_write(enum node_id id, uint32_t value)
{
    uint8_t bytes[4];
    put_be32(bytes, value);
    return sim_camera_write(camera, node_address(id), bytes, 4, &taken_s);
}

static void put(enum node_id id, uint32_t value)
{
    enum gvcp_status status = try_write(id, value);
    if (status != GVCP_SUCCESS)
        fail_msg("%s = %u: status 0x%x", nodes[id].name, value, status);
}

static void put_float(enum node_id id, double value)
{
    uint8_t bytes[4];
    put_be_float(bytes, value);
    put(id, get_be32(bytes));
}

static uint32_t get(enum node_id id)
{
    return registers_get(sim_camera_registers(camera), id);
}

static uint32_t operate(enum file_operation operation)
{
    put(NODE_FILE_OPERATION_SELECTOR, operation);
    put(NODE_FILE_OPERATION_EXECUTE, 1);
    return get(NODE_FILE_OPERATION_STATUS);
}

/* Blocks as an application writes them: padded to whole words. The status of the write that failed.
 */
static uint32_t upload(enum file_id id, const uint8_t *bytes, size_t size)
{
    uint32_t status = FILE_SUCCESS;
    put(NODE_FILE_SELECTOR, id);
    put(NODE_FILE_OPEN_MODE, FILE_MODE_WRITE);
    assert_int_equal(operate(FILE_OPEN), FILE_SUCCESS);
    for (size_t at = 0; at < size && status == FILE_SUCCESS; at += 512) {
        uint8_t block[512];
        uint32_t length = size - at < 512 ? (uint32_t)(size - at) : 512;
        memset(block, 255, sizeof block);
        memcpy(block, bytes + at, length);
        assert_int_equal(sim_camera_write(camera, NODE_BUFFER, block, (length + 3) & ~3u, &taken_s),
                         GVCP_SUCCESS);
        put(NODE_FILE_ACCESS_OFFSET, (uint32_t)at);
        put(NODE_FILE_ACCESS_LENGTH, length);
        status = operate(FILE_WRITE);
    }
    assert_int_equal(operate(FILE_CLOSE), FILE_SUCCESS);
    return status;
}

static void upload_network(void)
{
    assert_int_equal(upload(FILE_NETWORK, files.graphdef.data, files.graphdef.size), FILE_SUCCESS);
}

static void inject(int which)
{
    uint8_t raw[RAW_BYTES];
    tiny_raw(which, raw);
    put(NODE_FILE_SELECTOR, FILE_INJECTED);
    if (get(NODE_FILE_SIZE) > 0)
        assert_int_equal(operate(FILE_DELETE), FILE_SUCCESS);
    assert_int_equal(upload(FILE_INJECTED, raw, sizeof raw), FILE_SUCCESS);
}

static void settle(void)
{
    static const enum node_id sides[] = {NODE_WIDTH, NODE_HEIGHT, NODE_INJECTED_WIDTH,
                                         NODE_INJECTED_HEIGHT};
    for (int i = 0; i < 4; i++)
        put(sides[i], TINY_SIDE);
    put(NODE_TEST_PATTERN_GENERATOR_SELECTOR, GENERATOR_PIPELINE);
    put(NODE_TEST_PATTERN, PATTERN_INJECTED);
    put(NODE_DENOISE_ENABLE, 0);
    put(NODE_GAMMA_ENABLE, 0);
    put(NODE_BLACK_LEVEL_CLAMPING_ENABLE, 0);
    put_float(NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN, 127.5);
    put_float(NODE_INFERENCE_PREPROCESS_CHANNEL_SCALAR, 64);
    put(NODE_INFERENCE_ENABLE, 1);
    put(NODE_TRIGGER_SOURCE, TRIGGER_INFERENCE_READY);
    put(NODE_TRIGGER_MODE, 1);
    put(NODE_CHUNK_MODE_ACTIVE, 1);
    for (uint32_t i = CHUNK_INFERENCE_FRAME_ID; i <= CHUNK_INFERENCE_CONFIDENCE; i++) {
        put(NODE_CHUNK_SELECTOR, i);
        put(NODE_CHUNK_ENABLE, 1);
    }
}

struct seen {
    uint64_t frame, result;
    double confidence;
    double after_s; /* since the step before */
};

/* The next image: steps the camera's clock to when it has something to do, and waits for the
 * thread where that is what it waits for. false: nothing comes. */
static bool next_image(struct seen *seen)
{
    struct gvsp_block block;
    double began_s = now_s;
    for (int i = 0; i < 50; i++) {
        if (sim_camera_step(camera, now_s, true, &block)) {
            const uint8_t *end = block.bytes + block.size;
            uint64_t bits = get_be64(end - 16);
            seen->frame = get_be64(end - 48);
            seen->result = get_be64(end - 32);
            memcpy(&seen->confidence, &bits, sizeof bits);
            seen->after_s = now_s - began_s;
            return true;
        }
        double due_s = sim_camera_due_s(camera);
        struct pollfd event = {sim_camera_descriptor(camera), POLLIN, 0};
        if (isinf(due_s) && poll(&event, 1, 2000) == 0)
            return false;
        if (!isinf(due_s))
            now_s = fmax(now_s, due_s);
    }
    return false;
}

/* Until the thread has answered; the same image is answered at once from then on. */
static void wait_for_answer(void)
{
    struct pollfd event = {sim_camera_descriptor(camera), POLLIN, 0};
    assert_int_equal(poll(&event, 1, 10000), 1);
}

static void check_image(int which, uint64_t frame, double confidence_bound)
{
    struct seen seen;
    struct network_answer expected =
        tiny_expected(&files, which, cfg.has_narrow_sums ? ARITHMETIC_FP16 : ARITHMETIC_FP16_SUM32);
    assert_true(next_image(&seen));
    assert_int_equal(seen.frame, frame);
    assert_int_equal(seen.result, expected.class_index);
    assert_float_equal(seen.confidence, expected.confidence, confidence_bound);
}

static void every_image_comes_with_its_own_inference(void **state)
{
    (void)state;
    begin(NULL);
    upload_network();
    assert_int_equal(get(NODE_INFERENCE_NETWORK_STATUS), NETWORK_READY);
    settle();
    for (int which = 0; which < 3; which++) {
        inject(which);
        put(NODE_ACQUISITION_START, 1);
        for (uint64_t frame = 0; frame < 3; frame++)
            check_image(which, frame, 0);
        put(NODE_ACQUISITION_STOP, 1);
    }
}

static void the_networks_sums_can_be_kept_in_fp16(void **state)
{
    (void)state;
    struct network_answer wide = tiny_expected(&files, 0, ARITHMETIC_FP16_SUM32);
    cfg.has_narrow_sums = true;
    begin(NULL);
    upload_network();
    settle();
    inject(0);
    put(NODE_ACQUISITION_START, 1);
    check_image(0, 0, 0);
    assert_true(tiny_expected(&files, 0, ARITHMETIC_FP16).confidence != wide.confidence);
}

static void the_property_nodes_tell_of_the_network(void **state)
{
    (void)state;
    begin(NULL);
    assert_int_equal(get(NODE_INFERENCE_NETWORK_STATUS), NETWORK_NONE);
    upload_network();
    assert_int_equal(get(NODE_INFERENCE_NETWORK_SIZE), files.graphdef.size);
    assert_int_equal(get(NODE_INFERENCE_NETWORK_INPUT_WIDTH), TINY_SIDE);
    assert_int_equal(get(NODE_INFERENCE_NETWORK_INPUT_CHANNELS), 1);
    assert_int_equal(get(NODE_INFERENCE_OUTPUT_CLASSES), TINY_CLASSES);
    put(NODE_FILE_SELECTOR, FILE_NETWORK);
    assert_int_equal(operate(FILE_DELETE), FILE_SUCCESS);
    assert_int_equal(get(NODE_INFERENCE_NETWORK_STATUS), NETWORK_NONE);
    assert_int_equal(get(NODE_INFERENCE_NETWORK_SIZE), 0);
}

static void caffes_files_answer_as_the_graphdef_does(void **state)
{
    (void)state;
    struct caffe_files caffe = {(const uint8_t *)files.prototxt.bytes, files.caffemodel.data,
                                files.prototxt.size, files.caffemodel.size};
    uint8_t *joined;
    size_t size;
    assert_int_equal(network_file_join(&caffe, &joined, &size), ERR_OK);
    begin(NULL);
    assert_int_equal(upload(FILE_NETWORK, joined, size), FILE_SUCCESS);
    mem_free(joined);
    settle();
    inject(0);
    put(NODE_ACQUISITION_START, 1);
    check_image(0, 0, 1e-3);
}

static void a_file_that_no_reader_takes_is_refused(void **state)
{
    (void)state;
    begin(NULL);
    assert_int_equal(upload(FILE_NETWORK, files.graphdef.data, files.graphdef.size / 2),
                     FILE_SUCCESS);
    assert_int_equal(get(NODE_INFERENCE_NETWORK_STATUS), NETWORK_REFUSED);
    assert_int_equal(get(NODE_INFERENCE_NETWORK_INPUT_WIDTH), 0);
}

/* A flat picture, of which the mosaic takes nothing away: as a frame, and normalised. */
static void make_flat(const int bgr[3], uint8_t *raw, float *image)
{
    for (int i = 0; i < TINY_SIDE * TINY_SIDE; i++) {
        int value = bgr[2 - (i % TINY_SIDE & 1) - (i / TINY_SIDE & 1)] * 4;
        raw[2 * i] = (uint8_t)value;
        raw[2 * i + 1] = (uint8_t)(value >> 8);
        for (int c = 0; c < 3; c++)
            image[3 * i + c] = (float)((bgr[c] - 127.5) / 64);
    }
}

static void settle_colour(void)
{
    settle();
    for (uint32_t c = 0; c < 3; c++) {
        put(NODE_INFERENCE_PREPROCESS_CHANNEL_SELECTOR, c);
        put_float(NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN, 127.5);
        put_float(NODE_INFERENCE_PREPROCESS_CHANNEL_SCALAR, 64);
    }
    put(NODE_INFERENCE_PREPROCESS_BPP_SELECTOR, BPP_BGR8);
}

static void a_colour_camera_feeds_a_network_blue_green_red(void **state)
{
    (void)state;
    uint8_t raw[RAW_BYTES];
    float image[TINY_SIDE * TINY_SIDE * 3];
    struct tiny_files colour;
    struct network *network = NULL;
    struct seen seen;
    tiny_colour(&colour);
    cfg.identity.model = MODEL_COLOUR;
    begin(NULL);
    assert_int_equal(upload(FILE_NETWORK, files.graphdef.data, files.graphdef.size), FILE_SUCCESS);
    assert_int_equal(get(NODE_INFERENCE_NETWORK_STATUS), NETWORK_REFUSED); /* one channel */
    assert_int_equal(operate(FILE_DELETE), FILE_SUCCESS);
    assert_int_equal(upload(FILE_NETWORK, colour.graphdef.data, colour.graphdef.size),
                     FILE_SUCCESS);
    assert_int_equal(get(NODE_INFERENCE_NETWORK_INPUT_CHANNELS), 3);
    make_flat((const int[]){30, 120, 200}, raw, image);
    assert_int_equal(upload(FILE_INJECTED, raw, sizeof raw), FILE_SUCCESS);
    settle_colour();
    put(NODE_ACQUISITION_START, 1);
    assert_true(next_image(&seen));
    assert_int_equal(
        network_open(colour.graphdef.data, colour.graphdef.size, ARITHMETIC_FP16_SUM32, &network),
        ERR_OK);
    struct network_answer expected = network_run(network, image);
    assert_int_equal(seen.result, expected.class_index);
    assert_float_equal(seen.confidence, expected.confidence, 0);
    network_close(&network);
    tiny_files_fini(&colour);
}

static void images_come_at_the_pace_of_the_inference(void **state)
{
    (void)state;
    struct seen seen;
    double period_s;
    cfg.latency = (struct latency){50, 0, 0, 0};
    cfg.speed = 2;
    begin(NULL);
    upload_network();
    settle();
    inject(0);
    put(NODE_ACQUISITION_START, 1);
    assert_true(next_image(&seen));
    period_s = now_s;
    assert_true(next_image(&seen));
    period_s = now_s - period_s;
    assert_float_equal(period_s, 0.025, 1e-6);
    assert_float_equal(registers_get_float(sim_camera_registers(camera), NODE_INFERENCE_TIME), 50,
                       1e-3);
}

static void without_its_trigger_images_carry_the_newest_result(void **state)
{
    (void)state;
    struct seen seen;
    cfg.latency = (struct latency){40, 0, 0, 0}; /* between two and three images */
    begin(NULL);
    upload_network();
    settle();
    put(NODE_TRIGGER_MODE, 0);
    inject(0);
    put(NODE_ACQUISITION_START, 1);
    assert_true(next_image(&seen));
    assert_true(seen.frame == INT64_MAX); /* none yet */
    wait_for_answer();
    uint64_t last = 0;
    for (uint64_t frame = 1; frame < 12; frame++) {
        assert_true(next_image(&seen));
        if (seen.frame != INT64_MAX) {
            assert_true(seen.frame < frame && seen.frame >= last);
            last = seen.frame;
        }
    }
    assert_true(last >= 3);
}

static void what_is_locked_cannot_be_set_while_images_are_taken(void **state)
{
    (void)state;
    begin(NULL);
    put(NODE_ACQUISITION_START, 1);
    assert_int_equal(try_write(NODE_WIDTH, 640), GVCP_ACCESS_DENIED);
    assert_int_equal(try_write(NODE_CHUNK_ENABLE, 1), GVCP_ACCESS_DENIED);
    assert_int_equal(try_write(NODE_FILE_OPERATION_EXECUTE, 1), GVCP_ACCESS_DENIED);
    put(NODE_ACQUISITION_STOP, 1);
    put(NODE_WIDTH, 640);
    assert_int_equal(try_write(NODE_OFFSET_X, 802), GVCP_INVALID_PARAMETER);
    put(NODE_OFFSET_X, 800);
    put(NODE_FILE_OPEN_MODE, FILE_MODE_WRITE);
    assert_int_equal(try_write(NODE_FILE_WRITE_TO_FLASH, 1), GVCP_ACCESS_DENIED);
    assert_int_equal(operate(FILE_OPEN), FILE_SUCCESS);
    put(NODE_FILE_WRITE_TO_FLASH, 1);
    assert_int_equal(try_write(NODE_ACQUISITION_START, 1), GVCP_ACCESS_DENIED);
}

static void a_selector_shows_what_belongs_to_it(void **state)
{
    (void)state;
    begin(NULL);
    put(NODE_CHUNK_SELECTOR, CHUNK_GAIN);
    put(NODE_CHUNK_ENABLE, 1);
    put(NODE_CHUNK_SELECTOR, CHUNK_WIDTH);
    assert_int_equal(get(NODE_CHUNK_ENABLE), 0);
    put(NODE_CHUNK_SELECTOR, CHUNK_GAIN);
    assert_int_equal(get(NODE_CHUNK_ENABLE), 1);
    put(NODE_INFERENCE_PREPROCESS_CHANNEL_SELECTOR, 1);
    put_float(NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN, 3);
    put(NODE_INFERENCE_PREPROCESS_CHANNEL_SELECTOR, 0);
    assert_float_equal(
        registers_get_float(sim_camera_registers(camera), NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN),
        0, 0);
}

static void flash_takes_its_time_and_survives_a_reset(void **state)
{
    (void)state;
    begin("slow-flash:100");
    put(NODE_FILE_SELECTOR, FILE_NETWORK);
    put(NODE_FILE_OPEN_MODE, FILE_MODE_WRITE);
    assert_int_equal(operate(FILE_OPEN), FILE_SUCCESS);
    put(NODE_FILE_WRITE_TO_FLASH, 1);
    put(NODE_FILE_ACCESS_LENGTH, 4096);
    assert_int_equal(operate(FILE_WRITE), FILE_SUCCESS);
    assert_int_equal(operate(FILE_CLOSE), FILE_SUCCESS);
    assert_float_equal(taken_s, 4096 / 2e6 * 100, 1e-9);
    put(NODE_DEVICE_RESET, 1);
    assert_int_equal(get(NODE_FILE_SIZE), 4096);
    assert_int_equal(get(NODE_INFERENCE_NETWORK_STATUS), NETWORK_REFUSED); /* zeros */
}

static void faults_do_what_they_say(void **state)
{
    (void)state;
    begin("write-error:600");
    assert_int_equal(upload(FILE_NETWORK, files.graphdef.data, files.graphdef.size), FILE_FAILURE);
    sim_camera_destroy(&camera);
    cfg.faults = (struct faults){0};
    begin("refused-file");
    upload_network();
    assert_int_equal(get(NODE_INFERENCE_NETWORK_STATUS), NETWORK_REFUSED);
    sim_camera_destroy(&camera);
    cfg.faults = (struct faults){0};
    begin("stuck-node:GammaEnable");
    put(NODE_GAMMA_ENABLE, 0);
    assert_int_equal(get(NODE_GAMMA_ENABLE), 1);
    sim_camera_destroy(&camera);
    cfg.faults = (struct faults){0};
    begin("other-model:Blackfly");
    assert_string_equal((char *)sim_camera_registers(camera)->bootstrap + BOOT_MODEL, "Blackfly");
    assert_int_equal(try_write(NODE_INFERENCE_ENABLE, 1), GVCP_ACCESS_DENIED);
    sim_camera_destroy(&camera);
    cfg.faults = (struct faults){0};
    begin("dropped-connection:GammaEnable=2");
    put(NODE_GAMMA_ENABLE, 0);
    assert_float_equal(sim_camera_silence(camera), 0, 0);
    put(NODE_GAMMA_ENABLE, 1);
    assert_float_equal(sim_camera_silence(camera), 3, 0);
    assert_float_equal(sim_camera_silence(camera), 0, 0);
}

static void a_fault_of_the_inference_spoils_the_chunks(void **state)
{
    (void)state;
    static const char *const names[] = {"wrong-frame-id:2", "chunk-garbage"};
    for (int i = 0; i < 2; i++) {
        struct seen seen;
        cfg.faults = (struct faults){0};
        begin(names[i]);
        upload_network();
        settle();
        inject(0);
        put(NODE_ACQUISITION_START, 1);
        assert_true(next_image(&seen));
        if (i == 0) {
            assert_int_equal(seen.frame, 0);
            assert_true(next_image(&seen));
            assert_int_equal(seen.frame, 2); /* of image 1 */
        } else {
            assert_true(isnan(seen.confidence));
        }
        sim_camera_destroy(&camera);
    }
}

static void an_inference_that_is_never_ready_holds_its_image_back(void **state)
{
    (void)state;
    struct gvsp_block block;
    begin("never-ready");
    upload_network();
    settle();
    inject(0);
    put(NODE_ACQUISITION_START, 1);
    assert_false(sim_camera_step(camera, now_s, true, &block));
    wait_for_answer();
    assert_false(sim_camera_step(camera, now_s + 1000, true, &block));
    assert_true(isinf(sim_camera_due_s(camera)));
}

static void a_fault_that_is_none_is_refused_with_those_there_are(void **state)
{
    (void)state;
    struct faults faults = {0};
    static const char *const wrong[] = {"lost",           "stuck-node",       "stuck-node:Wdth",
                                        "refused-file:1", "slow-flash:quick", "chunk-garbage:both"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(faults_add(&faults, wrong[i]), ERR_USAGE);
    assert_int_equal(faults_add(&faults, "lost"), ERR_USAGE);
    assert_non_null(strstr(err_text(), "never-ready"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_image_comes_with_its_own_inference),
        TEST(the_networks_sums_can_be_kept_in_fp16),
        TEST(the_property_nodes_tell_of_the_network),
        TEST(caffes_files_answer_as_the_graphdef_does),
        TEST(a_file_that_no_reader_takes_is_refused),
        TEST(a_colour_camera_feeds_a_network_blue_green_red),
        TEST(images_come_at_the_pace_of_the_inference),
        TEST(without_its_trigger_images_carry_the_newest_result),
        TEST(what_is_locked_cannot_be_set_while_images_are_taken),
        TEST(a_selector_shows_what_belongs_to_it),
        TEST(flash_takes_its_time_and_survives_a_reset),
        TEST(faults_do_what_they_say),
        TEST(a_fault_of_the_inference_spoils_the_chunks),
        TEST(an_inference_that_is_never_ready_holds_its_image_back),
        TEST(a_fault_that_is_none_is_refused_with_those_there_are),
    };
    return cmocka_run_group_tests(tests, write_files, remove_files);
}
