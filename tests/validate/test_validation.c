/* `glowworm validate` on a camera in memory whose answers a test gives: what passes, what does not,
 * and what is told of it. */
#include "base/file.h"
#include "base/mem.h"
#include "cluster/validate/validation_run.h"
#include "cluster/validate/validation_text.h"
#include "tests/camera/memory_camera.h"
#include "tests/validate/tiny_bundle.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

struct rig {
    char folder[64], *bundle, *state;
    struct memory_camera memory;
    struct validation_cfg cfg;
    struct validation validation;
};

static struct rig *now; /* whose images infer() looks for */
static double bias;     /* added to confidences */
static int wrong;       /* images that are answered with another class */

/* Which image it is shows its bytes. */
static int index_of(const uint8_t *raw)
{
    const struct check_images *images = &now->validation.check.images;
    for (int i = 0; i < images->count; i++) {
        const struct image *image = &images->samples[i].image;
        bool is_same = true;
        for (int p = 0; p < image->H * image->W; p++)
            is_same = is_same && (raw[2 * p] | raw[2 * p + 1] << 8) == image->pixels[p] << 2;
        if (is_same)
            return i;
    }
    fail_msg("no image of the bundle was injected");
    return -1;
}

static void infer(const uint8_t *image, size_t size, int64_t *result, double *confidence)
{
    int index = index_of(image);
    const struct validated_image *expected = &now->validation.images[index];
    assert_int_equal(size, 2 * TINY_BUNDLE_SIDE * TINY_BUNDLE_SIDE);
    *result = index < wrong ? (expected->expected_class + 1) % 3 : expected->expected_class;
    *confidence = expected->expected_confidence - bias;
}

static int open_rig(void **state)
{
    struct rig *rig = mem_alloc(sizeof *rig);
    *state = now = rig;
    bias = wrong = 0;
    snprintf(rig->folder, sizeof rig->folder, "/tmp/glowworm-validate-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    rig->bundle = file_join(rig->folder, "tiny");
    rig->state = file_join(rig->folder, "state");
    tiny_bundle_write(rig->bundle, "firefly-dl-mono");
    memory_camera_open(&rig->memory, "Firefly FFY-U3-16S2M-DL");
    memory_value(&rig->memory, "InferenceMaxNetworkSize")->integer = 1 << 20;
    rig->memory.infer = infer;
    rig->cfg = (struct validation_cfg){.bundle = rig->bundle,
                                       .id = "memory",
                                       .is_simulated = true,
                                       .images = 32,
                                       .memory = CAMERA_MEMORY_DDR,
                                       .state = rig->state,
                                       .frame_seconds = 0.05};
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    validation_fini(&rig->validation);
    memory_camera_close(&rig->memory);
    assert_int_equal(file_remove_folder(rig->folder), ERR_OK);
    mem_free(rig->bundle);
    mem_free(rig->state);
    mem_free(rig);
    return 0;
}

/* The camera in memory cannot look into a network: what it would find is put there. */
static void prepare(struct rig *rig)
{
    CHECK(validation_prepare(&rig->cfg, &rig->validation));
    memory_camera_remove(&rig->memory, "NetworkInputWidthX");
    memory_camera_remove(&rig->memory, "InferenceNetworkInputHeight");
    memory_camera_remove(&rig->memory, "InferenceNetworkInputChannels");
    memory_camera_remove(&rig->memory, "InferenceOutputClasses");
}

static void measure(struct rig *rig)
{
    prepare(rig);
    CHECK(validation_measure(&rig->validation, &rig->memory.camera));
}

static void a_camera_that_answers_as_expected_passes(void **state)
{
    struct rig *rig = *state;
    measure(rig);
    const struct validation *validation = &rig->validation;
    for (int f = 0; f < validation->verdict.failures; f++)
        print_message("%s\n", validation->verdict.failure[f]);
    assert_int_equal(validation->verdict.failures, 0);
    assert_int_equal(validation->figures.images, TINY_BUNDLE_SAMPLES);
    assert_true(validation->figures.clear > 0);
    assert_int_equal(validation->figures.correct, TINY_BUNDLE_SAMPLES);
    assert_float_equal(validation->figures.predicted_ms, 19.3, 0.1); /* firefly-dl-mono.yaml */
    assert_string_equal(validation->camera.serial, "20012345");
    assert_int_equal(rig->memory.files[0].size, 0); /* and nothing of it stays */
}

static void other_answers_and_confidences_do_not_pass(void **state)
{
    struct rig *rig = *state;
    wrong = TINY_BUNDLE_SAMPLES;
    bias = 0.1;
    measure(rig);
    assert_int_equal(rig->validation.figures.agree, 0);
    assert_true(rig->validation.verdict.failures >= 3);
}

static void a_budget_that_is_broken_does_not_pass(void **state)
{
    struct rig *rig = *state;
    rig->cfg.budget_ms = 15;
    rig->memory.latency_ms = 15.5;
    measure(rig);
    assert_int_equal(rig->validation.verdict.failures, 1);
    assert_non_null(strstr(rig->validation.verdict.failure[0], "15.00 ms"));
    /* less than the device takes for any network: another one would not help */
    assert_non_null(strstr(rig->validation.verdict.failure[0], "raise the budget"));
}

static void the_budget_of_the_bundle_s_target_counts_unless_another_is_given(void **state)
{
    struct rig *rig = *state;
    char *path = file_join(rig->bundle, "bundle.json");
    json_t *list = json_load_file(path, 0, NULL);
    json_object_set_new(list, "budget_ms", json_real(15));
    assert_int_equal(json_dump_file(list, path, 0), 0);
    json_decref(list);
    mem_free(path);
    rig->memory.latency_ms = 15.5;
    measure(rig);
    assert_int_equal(rig->validation.verdict.failures, 1);
    assert_non_null(strstr(rig->validation.verdict.failure[0], "15.00 ms"));
    validation_fini(&rig->validation);
    rig->cfg.budget_ms = 16;
    CHECK(validation_prepare(&rig->cfg, &rig->validation));
    assert_float_equal(rig->validation.cfg.budget_ms, 16, 0);
}

static void without_a_graph_a_real_camera_has_to_wait_for_a_person(void **state)
{
    struct rig *rig = *state;
    rig->cfg.is_simulated = false;
    assert_int_equal(validation_prepare(&rig->cfg, &rig->validation), ERR_HELD);
    assert_non_null(strstr(err_text(), "put firefly.graph into the bundle"));
    assert_int_equal(err_exit_code(ERR_HELD), 86);
}

static void the_graph_of_the_converter_goes_to_a_real_camera(void **state)
{
    struct rig *rig = *state;
    char *graph = file_join(rig->bundle, "firefly.graph");
    rig->cfg.is_simulated = false;
    rig->cfg.memory = CAMERA_MEMORY_FLASH;
    CHECK(file_write(graph, "graph!!", 7));
    mem_free(graph);
    measure(rig);
    assert_int_equal(rig->validation.verdict.failures, 0);
    assert_int_equal(rig->memory.files[0].size, 7); /* it passed: in flash it stays */
    assert_true(rig->memory.files[0].is_flash);
}

static void a_network_that_fails_does_not_stay_in_flash(void **state)
{
    struct rig *rig = *state;
    rig->cfg.memory = CAMERA_MEMORY_FLASH;
    bias = 0.1;
    measure(rig);
    assert_int_equal(rig->validation.verdict.failures, 1);
    assert_int_equal(rig->memory.files[0].size, 0);
}

static void a_changed_bundle_is_refused_before_a_camera_is_touched(void **state)
{
    struct rig *rig = *state;
    char *network = file_join(rig->bundle, "network.pb");
    CHECK(file_write(network, "other", 5));
    mem_free(network);
    assert_int_equal(validation_prepare(&rig->cfg, &rig->validation), ERR_DATA);
}

static void what_is_missing_or_damaged_in_a_bundle_is_to_be_compiled_anew(void **state)
{
    struct rig *rig = *state;
    char *frame = file_join(rig->bundle, "samples/01.png");
    char *list = file_join(rig->bundle, "bundle.json");
    assert_int_equal(unlink(frame), 0);
    assert_int_equal(validation_prepare(&rig->cfg, &rig->validation), ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(), "samples/01.png is missing"));
    assert_non_null(strstr(err_text(), "compile the bundle anew"));
    validation_fini(&rig->validation);
    CHECK(file_write(list, "{\n\"files\": [", 12));
    assert_int_equal(validation_prepare(&rig->cfg, &rig->validation), ERR_DATA);
    assert_non_null(strstr(err_text(), "bundle.json:2: "));
    assert_non_null(strstr(err_text(), "compile the bundle anew"));
    mem_free(frame);
    mem_free(list);
}

static void the_verdict_is_told_as_json_and_as_a_page(void **state)
{
    struct rig *rig = *state;
    struct text html;
    char lost[64];
    rig->memory.fault.lost_every = 7;
    measure(rig);
    json_t *json = validation_json(&rig->validation);
    assert_true(json_is_true(json_object_get(json, "passed")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(json, "camera"), "firmware")),
        "1905.4.103.0");
    assert_int_equal(json_array_size(json_object_get(json, "images")), TINY_BUNDLE_SAMPLES);
    const json_t *work = json_object_get(json, "work");
    assert_true(json_number_value(json_object_get(json_object_get(work, "depthwise"), "mmac")) > 0);
    json_decref(json);
    text_init(&html);
    validation_page(&rig->validation, &html);
    assert_non_null(strstr(text_get(&html), "The network passes on the camera"));
    assert_non_null(strstr(text_get(&html), "1905.4.103.0"));
    snprintf(lost, sizeof lost, "%d lost, 0 of another frame", rig->validation.measured.lost);
    assert_true(rig->validation.measured.lost > 0);
    assert_non_null(strstr(text_get(&html), lost));
    assert_null(strstr(text_get(&html), "<torn>")); /* a class of anybody's */
    text_fini(&html);
}

#define ON_RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_RIG(a_camera_that_answers_as_expected_passes),
        ON_RIG(other_answers_and_confidences_do_not_pass),
        ON_RIG(a_budget_that_is_broken_does_not_pass),
        ON_RIG(the_budget_of_the_bundle_s_target_counts_unless_another_is_given),
        ON_RIG(without_a_graph_a_real_camera_has_to_wait_for_a_person),
        ON_RIG(the_graph_of_the_converter_goes_to_a_real_camera),
        ON_RIG(a_network_that_fails_does_not_stay_in_flash),
        ON_RIG(a_changed_bundle_is_refused_before_a_camera_is_touched),
        ON_RIG(what_is_missing_or_damaged_in_a_bundle_is_to_be_compiled_anew),
        ON_RIG(the_verdict_is_told_as_json_and_as_a_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
