/* Answers and latencies of a camera that sends frames: which frames count, and when it is given
 * up. */
#include "base/file.h"
#include "base/mem.h"
#include "camera/deployment.h"
#include "camera/measure.h"
#include "tests/camera/memory_camera.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 8, OUTPUTS = 10, PIXELS = 16 };

static uint8_t network_bytes[40] = {4, 4, 1, OUTPUTS};

struct rig {
    struct memory_camera memory;
    struct firefly_network network;
    struct deployment deployment;
    struct measure_cfg cfg;
    struct measured measured;
    char folder[64];
};

/* Class k with confidence 0.5 + k / 100 for the k-th image. */
static void infer(const uint8_t *image, size_t size, int64_t *result, double *confidence)
{
    assert_int_equal(size, 2 * PIXELS);
    *result = image[0];
    *confidence = 0.5 + image[0] / 100.0;
}

static enum err give_image(int index, const void **bytes, size_t *size, void *own)
{
    static uint8_t raw[2 * PIXELS];
    (void)own;
    raw[0] = (uint8_t)index;
    *bytes = raw;
    *size = sizeof raw;
    return ERR_OK;
}

static int open_rig(void **state)
{
    struct rig *rig = mem_alloc(sizeof *rig);
    *state = rig;
    memory_camera_open(&rig->memory, "Firefly FFY-U3-16S2M-DL");
    rig->memory.infer = infer;
    snprintf(rig->folder, sizeof rig->folder, "/tmp/glowworm-measure-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    rig->network = (struct firefly_network){.bytes = network_bytes,
                                            .size_bytes = sizeof network_bytes,
                                            .width = 4,
                                            .height = 4,
                                            .channels = 1,
                                            .outputs = OUTPUTS,
                                            .pixel_format = "Mono8",
                                            .scale = {1}};
    struct deployment_cfg cfg = {.camera = &rig->memory.camera,
                                 .id = "memory",
                                 .folder = rig->folder,
                                 .network = &rig->network,
                                 .memory = CAMERA_MEMORY_DDR};
    assert_int_equal(deployment_begin(&cfg, &rig->deployment), ERR_OK);
    rig->cfg = (struct measure_cfg){.firefly = &rig->deployment.firefly,
                                    .found = rig->deployment.found,
                                    .images = IMAGES,
                                    .outputs = OUTPUTS,
                                    .frame_seconds = 0.02,
                                    .image = give_image};
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    measured_fini(&rig->measured);
    enum err err = deployment_end(&rig->deployment, NETWORK_AS_FOUND, ERR_OK);
    memory_camera_close(&rig->memory);
    assert_int_equal(file_remove_folder(rig->folder), ERR_OK);
    mem_free(rig);
    return err == ERR_OK ? 0 : -1;
}

static void assert_answers(const struct rig *rig)
{
    for (int i = 0; i < IMAGES; i++) {
        assert_int_equal(rig->measured.images[i].result, i);
        assert_float_equal(rig->measured.images[i].confidence, 0.5 + i / 100.0, 1e-9);
        assert_true(rig->measured.images[i].is_steady);
    }
    assert_true(rig->measured.latency_count >= MEASURE_LATENCIES);
}

static void every_image_is_answered_and_latencies_come_behind_the_warm_ups(void **state)
{
    struct rig *rig = *state;
    if (measure_run(&rig->cfg, &rig->measured) != ERR_OK)
        fail_msg("%s", err_text());
    assert_answers(rig);
    assert_int_equal(rig->memory.starts, IMAGES);
    /* the first image's: its settling frame and the warm-ups are left out */
    assert_float_equal(rig->measured.latencies_ms[0],
                       20 + 0.01 * (1 + MEASURE_SETTLE + MEASURE_WARM_UPS), 1e-9);
    assert_int_equal(rig->measured.lost + rig->measured.strays + rig->measured.garbled, 0);
}

static void lost_stray_and_garbled_frames_are_left_out_and_counted(void **state)
{
    struct rig *rig = *state;
    rig->memory.fault =
        (struct memory_faults){.lost_every = 3, .stray_every = 4, .garbled_every = 5};
    assert_int_equal(measure_run(&rig->cfg, &rig->measured), ERR_OK);
    assert_answers(rig);
    assert_true(rig->measured.lost > 0);
    assert_true(rig->measured.strays > 0);
    assert_true(rig->measured.garbled > 0);
}

static void a_time_that_is_none_is_garbled(void **state)
{
    struct rig *rig = *state;
    rig->memory.fault.timeless_every = 2;
    assert_int_equal(measure_run(&rig->cfg, &rig->measured), ERR_OK);
    assert_answers(rig);
    assert_true(rig->measured.garbled > 0);
    for (int l = 0; l < rig->measured.latency_count; l++)
        assert_true(rig->measured.latencies_ms[l] >= 20 && rig->measured.latencies_ms[l] < 30);
}

static void every_frame_of_an_image_counts_not_its_first(void **state)
{
    struct rig *rig = *state;
    rig->memory.fault.torn_every = 5;
    rig->cfg.outputs = OUTPUTS + 1;
    assert_int_equal(measure_run(&rig->cfg, &rig->measured), ERR_OK);
    for (int i = 0; i < IMAGES; i++) {
        const struct measured_image *image = &rig->measured.images[i];
        assert_int_equal(image->result, i); /* of the first */
        assert_false(image->is_steady);
        assert_false(image->has_one_class);
        assert_float_equal(image->least_confidence, 0.5 + i / 100.0, 1e-9);
        assert_float_equal(image->most_confidence, 0.6 + i / 100.0, 1e-9);
    }
    assert_int_equal(rig->measured.frames,
                     rig->measured.latency_count + MEASURE_WARM_UPS + IMAGES * MEASURE_SETTLE);
}

static void frames_of_other_frames_only_are_given_up(void **state)
{
    struct rig *rig = *state;
    rig->memory.fault.stray_every = 1;
    assert_int_equal(measure_run(&rig->cfg, &rig->measured), ERR_FAILED);
    assert_non_null(strstr(err_text(), "image 0: "));
    assert_non_null(strstr(err_text(), "20 with another frame's result"));
    assert_int_equal(rig->measured.strays, MEASURE_TRIES);
}

static void an_inference_that_is_never_ready_is_told_with_its_status(void **state)
{
    struct rig *rig = *state;
    rig->memory.fault.never_ready = true;
    assert_int_equal(measure_run(&rig->cfg, &rig->measured), ERR_FAILED);
    assert_non_null(strstr(err_text(), "network status \"Ready\""));
}

static volatile sig_atomic_t stop;

static void ask_to_stop(int done, int all, void *own)
{
    (void)all;
    (void)own;
    stop = done == 2;
}

static void a_stop_ends_it_between_frames(void **state)
{
    struct rig *rig = *state;
    stop = 0;
    rig->cfg.stop = &stop;
    rig->cfg.progress = ask_to_stop;
    assert_int_equal(measure_run(&rig->cfg, &rig->measured), ERR_INTERRUPTED);
    assert_int_equal(rig->memory.starts, 2);
}

static void a_result_of_no_output_is_garbled(void **state)
{
    struct rig *rig = *state;
    rig->cfg.outputs = 3; /* the fourth image is answered with class 3 */
    assert_int_equal(measure_run(&rig->cfg, &rig->measured), ERR_FAILED);
    assert_non_null(strstr(err_text(), "image 3: "));
    assert_int_equal(rig->measured.garbled, MEASURE_TRIES);
}

#define ON_RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_RIG(every_image_is_answered_and_latencies_come_behind_the_warm_ups),
        ON_RIG(lost_stray_and_garbled_frames_are_left_out_and_counted),
        ON_RIG(a_time_that_is_none_is_garbled),
        ON_RIG(every_frame_of_an_image_counts_not_its_first),
        ON_RIG(frames_of_other_frames_only_are_given_up),
        ON_RIG(an_inference_that_is_never_ready_is_told_with_its_status),
        ON_RIG(a_stop_ends_it_between_frames),
        ON_RIG(a_result_of_no_output_is_garbled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
