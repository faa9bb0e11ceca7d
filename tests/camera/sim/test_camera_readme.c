/* README.txt of a bundle, step by step, by somebody who does what it says and nothing else: the
 * simulated camera then answers as samples.json says. */
#include "base/file.h"
#include "base/mem.h"
#include "tests/camera/sim/seen_camera.h"
#include "tests/validate/tiny_bundle.h"
#include <ctype.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[64], *bundle, *readme;
static struct seen_camera seen;

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

/* Returns owned. */
static char *read_part(const char *name, size_t *size)
{
    char *path = file_join(bundle, name), *bytes = NULL;
    CHECK(file_read(path, 1 << 24, &bytes, size));
    mem_free(path);
    return bytes;
}

static int set_up(void **state)
{
    (void)state;
    size_t size = 0;
    const char *options[] = {"--speed", "20", NULL};
    snprintf(folder, sizeof folder, "/tmp/glowworm-readme-XXXXXX");
    assert_non_null(mkdtemp(folder));
    bundle = file_join(folder, "tiny");
    tiny_bundle_write(bundle, "firefly-dl-mono");
    readme = read_part("README.txt", &size);
    seen_start(&seen, options);
    seen_open(&seen);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    seen_end(&seen);
    CHECK(file_remove_folder(folder));
    mem_free(bundle);
    mem_free(readme);
    arv_shutdown();
    return 0;
}

/* A word up to a comma, a colon or a space; *at is behind it and what separates it. */
static bool take_word(const char **at, char word[64])
{
    size_t size = strcspn(*at, ",: \r\n");
    snprintf(word, 64, "%.*s", (int)size, *at);
    *at += size;
    bool goes_on = **at == ',';
    *at += strspn(*at, ", ");
    return goes_on;
}

static void set_feature(const char *name, const char *value)
{
    char line[160];
    GError *error = NULL;
    const char *text = strcmp(value, "on") == 0    ? "true"
                       : strcmp(value, "off") == 0 ? "false"
                                                   : value;
    ArvGcNode *node = arv_device_get_feature(seen.device, name);
    bool is_flag = ARV_IS_GC_BOOLEAN(node);
    snprintf(line, sizeof line, "%s=%s", name, is_flag ? text : value);
    if (!arv_device_set_features_from_string(seen.device, line, &error))
        fail_msg("%s: %s", line, error ? error->message : "not set");
}

/* "  Name, Name     value, value ...": a row of a table. Anything else sets nothing. */
static int set_row(const char *line)
{
    char names[4][64], value[64];
    int count = 0;
    if (strncmp(line, "  ", 2) != 0 || !isupper((unsigned char)line[2]))
        return 0;
    const char *at = line + 2, *values = strstr(at, "   ");
    if (!values || values > line + strcspn(line, "\r"))
        return 0;
    while (count < 4 && take_word(&at, names[count++]))
        continue;
    values += strspn(values, " ");
    for (int n = 0; n < count; n++) {
        bool goes_on = take_word(&values, value);
        assert_int_equal(goes_on, n < count - 1);
        set_feature(names[n], value);
    }
    return count;
}

/* All rows between two texts; they stand in this order. */
static void follow(const char *from, const char *to, int expected)
{
    const char *at = strstr(readme, from), *end = at ? strstr(at, to) : NULL;
    int set = 0;
    if (!at || !end)
        fail_msg("README.txt has no \"%s\" with a \"%s\" behind it", from, to);
    for (; at && at < end; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
        set += set_row(at);
    assert_int_equal(set, expected);
}

static void look_at_answers(void) /* step 4 */
{
    GError *error = NULL;
    arv_camera_set_chunks(seen.camera,
                          "FrameID,InferenceFrameId,InferenceResult,"
                          "InferenceConfidence",
                          &error);
    assert_null(error);
    set_feature("TriggerSelector", "FrameStart");
    set_feature("TriggerSource", "InferenceReady");
    set_feature("TriggerMode", "On");
}

/* The second image is the first that was taken behind the upload for sure. */
static void check_sample(const json_t *sample)
{
    size_t size = 0;
    struct seen_image image;
    char *raw = read_part(json_string_value(json_object_get(sample, "raw")), &size);
    const json_t *expected = json_object_get(json_object_get(sample, "expected"), "fp16/fp32");
    assert_string_equal(seen_upload(&seen, "InjectedImage", (const uint8_t *)raw, size, false),
                        "Success");
    seen_start_images(&seen);
    for (int i = 0; i < 2; i++)
        assert_true(seen_next_image(&seen, 5, &image));
    seen_stop_images(&seen);
    assert_int_equal(image.result, json_integer_value(json_object_get(expected, "class")));
    assert_float_equal(image.confidence, json_number_value(json_object_get(expected, "confidence")),
                       0.02);
    mem_free(raw);
}

static void its_steps_lead_to_the_answers_of_the_samples(void **state)
{
    (void)state;
    size_t size = 0, i = 0;
    json_t *sample = NULL;
    char *network = read_part("network.pb", &size), *samples = file_join(bundle, "samples.json");
    assert_string_equal(
        seen_upload(&seen, "InferenceNetwork", (const uint8_t *)network, size, false), "Success");
    follow("3. SET THE CAMERA", "Look at the inference properties", 9);
    look_at_answers();
    follow("5. CHECK IT", "Class and confidence", 12);
    json_t *list = json_load_file(samples, 0, NULL);
    assert_int_equal(json_array_size(list), TINY_BUNDLE_SAMPLES);
    json_array_foreach(list, i, sample) check_sample(sample);
    json_decref(list);
    mem_free(samples);
    mem_free(network);
}

static void afterwards_the_camera_looks_at_the_region_again(void **state)
{
    (void)state;
    follow("3. SET THE CAMERA", "Look at the inference properties", 9);
    follow("5. CHECK IT", "Class and confidence", 12);
    follow("Afterwards", "On a computer with Glowworm", 6);
    assert_int_equal(seen_get_number(&seen, "Width"), 1080);
    assert_int_equal(seen_get_number(&seen, "OffsetX"), 180);
    assert_int_equal(seen_get_number(&seen, "OffsetY"), 0);
    assert_string_equal(seen_get(&seen, "TestPatternGeneratorSelector"), "Sensor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_steps_lead_to_the_answers_of_the_samples),
        cmocka_unit_test(afterwards_the_camera_looks_at_the_region_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
