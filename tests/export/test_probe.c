/* Probes: for every rule of a table a network that breaks it, and one that breaks none. */
#include "base/mem.h"
#include "trainer/export/probe.h"
#include "trainer/export/writers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

static const struct probe *find(const struct probes *probes, const char *name)
{
    for (int i = 0; i < probes->count; i++)
        if (strcmp(probes->list[i].name, name) == 0)
            return &probes->list[i];
    fail_msg("there is no probe %s", name);
    return NULL;
}

static bool is_probed(const struct probes *probes, const struct device_rule *rule)
{
    for (int i = 0; i < probes->count; i++)
        if (probes->list[i].rule == rule)
            return true;
    return false;
}

static void every_rule_of_the_cameras_is_probed_or_left_out_with_the_reason(void **state)
{
    (void)state;
    static const char *const names[] = {"firefly-dl-mono", "firefly-dl-colour"};
    for (int d = 0; d < 2; d++) {
        struct camera_device device;
        struct probes probes = {0};
        CHECK(camera_device_load(names[d], &device));
        probes_make(&device, &probes);
        for (int i = 0; i < device.rules.count; i++)
            if (!is_probed(&probes, &device.rules.rule[i]))
                fail_msg("rule %s is not probed", device.rules.rule[i].name);
        for (int i = 1; i < probes.count; i++) {
            const struct probe *probe = &probes.list[i];
            assert_true((probe->breach.size > 0) != (probe->why_not.size > 0));
            for (int j = 0; j < i; j++)
                assert_string_not_equal(probe->name, probes.list[j].name);
        }
        assert_int_equal(probes.list[0].folded.channels, d == 0 ? 1 : 3);
        assert_int_equal(probes.list[0].folded.is_bgr, d == 1);
        probes_fini(&probes);
    }
}

static void the_baseline_breaks_no_rule_and_goes_out_in_every_format(void **state)
{
    (void)state;
    struct camera_device device;
    struct probes probes = {0};
    struct bytes pb = {0}, model = {0};
    struct text prototxt;
    text_init(&prototxt);
    CHECK(camera_device_load("firefly-dl-mono", &device));
    probes_make(&device, &probes);
    const struct probe *baseline = find(&probes, "baseline");
    assert_null(baseline->rule);
    assert_string_equal(text_get(&baseline->others), "");
    CHECK(tensorflow_write(&baseline->folded, &pb));
    CHECK(caffe_write(&baseline->folded, "baseline", &prototxt, &model));
    mem_free(pb.data);
    mem_free(model.data);
    text_fini(&prototxt);
    probes_fini(&probes);
}

static void
a_probe_says_which_layer_breaks_the_rule_and_which_other_rules_break_with_it(void **state)
{
    (void)state;
    static const struct {
        const char *name, *breach, *others;
    } cases[] = {
        {"depthwise-kernels-kernel-depthwise",
         "layer block1_depthwise is a depthwise convolution of 5x5", ""},
        {"strides-stride-convolution", "layer stem is a convolution of stride 3", ""},
        {"strides-stride-depthwise",
         "layer block1_depthwise is a depthwise convolution of stride 3", ""},
        {"channels-multiple-convolution", "layer head puts out 36 channels, no multiple of 8", ""},
        {"channels-multiple-depthwise", "layer block1_expand puts out 36 channels", ""},
        {"outputs-few-linear", "layer logits puts out 4 channels, fewer than 8", ""},
        {"outputs-few-convolution", "layer head puts out 4 channels, fewer than 8", "channels"},
        {"groups-groups",
         "layer block1_depthwise is a depthwise convolution of 1024 groups, more than 1023", ""},
        {"operations-squeeze-excite", "layer block1_se is a squeeze-excite", ""},
        {"operations-h-swish", "layer stem has h-swish", ""},
    };
    struct camera_device device;
    struct probes probes = {0};
    CHECK(camera_device_load("firefly-dl-mono", &device));
    probes_make(&device, &probes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct probe *probe = find(&probes, cases[i].name);
        if (!strstr(text_get(&probe->breach), cases[i].breach))
            fail_msg("%s: \"%s\"", cases[i].name, text_get(&probe->breach));
        assert_string_equal(text_get(&probe->others), cases[i].others);
    }
    assert_non_null(strstr(text_get(&find(&probes, "graph-weights")->why_not), "no tiny one"));
    assert_non_null(strstr(text_get(&find(&probes, "buffers-map")->why_not), "no tiny one"));
    probes_fini(&probes);
}

/* A table of somebody else's device, with limits that a tiny network reaches. */
static void the_table_alone_makes_the_probes(void **state)
{
    (void)state;
    struct camera_device device = {.name = "other", .takes = {[PIXEL_RGB8] = true}};
    struct device_rule *rules = device.rules.rule;
    struct probes probes = {0};
    rules[0] = (struct device_rule){.name = "wide", .channel_multiple = 12, .least_channels = 24};
    rules[1] = (struct device_rule){
        .name = "small", .channel_multiple = 1, .least_channels = 1, .most_map_bytes = 50000};
    rules[2] = (struct device_rule){
        .name = "light", .channel_multiple = 1, .least_channels = 1, .most_weight_bytes = 100000};
    rules[3] = (struct device_rule){.name = "five",
                                    .of = {[LAYER_DEPTHWISE] = true},
                                    .channel_multiple = 1,
                                    .least_channels = 1,
                                    .kernels = {1, {5}}};
    device.rules.count = 4;
    probes_make(&device, &probes);
    const struct probe *baseline = find(&probes, "baseline");
    assert_string_equal(text_get(&baseline->others), "");
    assert_int_equal(baseline->folded.layers[0].K, 24);
    assert_int_equal(baseline->folded.layers[2].R, 5);
    assert_int_equal(baseline->folded.outputs, 24);
    assert_string_equal(text_get(&find(&probes, "small-map")->why_not), "");
    assert_non_null(
        strstr(text_get(&find(&probes, "small-map")->breach), "puts out a map of 0.1 MB"));
    assert_non_null(
        strstr(text_get(&find(&probes, "light-weights")->breach), "brings the network"));
    assert_non_null(strstr(text_get(&find(&probes, "five-kernel-depthwise")->breach), "of 3x3"));
    probes_fini(&probes);
}

/* Kernels that a network of this shape can keep to, and such that it cannot: half of a pixel has no
 * middle, and its layers of 1x1 stay. */
static void a_baseline_that_cannot_keep_a_rule_says_so(void **state)
{
    (void)state;
    static const struct {
        struct choices kernels;
        int stem;
        const char *broken, *name, *breach;
    } cases[] = {
        {{1, {1}}, 1, "", "k-kernel-convolution", "layer head is a convolution of 3x3"},
        {{1, {1}}, 1, "", "k-kernel-depthwise", "layer block1_depthwise is a depthwise"},
        {{1, {2}}, 3, "k", "k-kernel-convolution", "layer head is a convolution of 3x3"},
        {{1, {3}}, 3, "k", "k-kernel-convolution", "layer head is a convolution of 5x5"},
        {{2, {2, 5}}, 5, "k", "k-kernel-depthwise", "layer block1_depthwise is a depthwise"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct camera_device device = {.name = "other", .takes = {[PIXEL_MONO8] = true}};
        struct probes probes = {0};
        struct bytes onnx = {0};
        device.rules.rule[0] = (struct device_rule){
            .name = "k", .channel_multiple = 1, .least_channels = 1, .kernels = cases[i].kernels};
        device.rules.count = 1;
        probes_make(&device, &probes);
        const struct probe *baseline = find(&probes, "baseline");
        const struct probe *probe = find(&probes, cases[i].name);
        assert_int_equal(baseline->folded.layers[0].R, cases[i].stem);
        assert_string_equal(text_get(&baseline->others), cases[i].broken);
        if (!strstr(text_get(&probe->breach), cases[i].breach))
            fail_msg("%s: \"%s\"", cases[i].name, text_get(&probe->breach));
        CHECK(onnx_write(&baseline->folded, "baseline", &onnx));
        mem_free(onnx.data);
        probes_fini(&probes);
    }
}

static void a_device_without_rules_has_a_baseline(void **state)
{
    (void)state;
    struct camera_device device;
    struct probes probes = {0};
    CHECK(camera_device_load("generic-onnx", &device));
    probes_make(&device, &probes);
    assert_int_equal(probes.count, 1);
    assert_string_equal(text_get(&probes.list[0].why_not), "");
    probes_fini(&probes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_of_the_cameras_is_probed_or_left_out_with_the_reason),
        cmocka_unit_test(the_baseline_breaks_no_rule_and_goes_out_in_every_format),
        cmocka_unit_test(
            a_probe_says_which_layer_breaks_the_rule_and_which_other_rules_break_with_it),
        cmocka_unit_test(the_table_alone_makes_the_probes),
        cmocka_unit_test(a_baseline_that_cannot_keep_a_rule_says_so),
        cmocka_unit_test(a_device_without_rules_has_a_baseline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
