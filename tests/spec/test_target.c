/* Devices: what their files say, what they leave of a space, and how long they take. */
#include "tests/spec/spec_test.h"
#include "trainer/spec/cost.h"
#include "trainer/spec/target.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct space firefly, mbv3;
static struct camera_device camera;

static int load_all(void **state)
{
    (void)state;
    return space_load("configs/spaces/firefly.yaml", 1, 10, 3, &firefly) != ERR_OK ||
           space_load("configs/spaces/mbv3.yaml", 1, 10, 3, &mbv3) != ERR_OK ||
           camera_device_load("firefly-dl-colour", &camera) != ERR_OK;
}

static struct open_choices all_of(const struct space *space)
{
    return (struct open_choices){space->kernels, space->expansions, space->depths};
}

static void the_cameras_latency_is_the_published_line(void **state)
{
    (void)state;
    /* MobileNet v1 at 224 px: million MACs, measured by the maker */
    const double published[][2] = {{569, 78}, {325, 55}, {149, 36}, {41, 22}};
    for (int i = 0; i < 4; i++) {
        double ms = camera_device_latency_ms(
            &camera, &(struct cost){.macs = (int64_t)(published[i][0] * 1e6)});
        if (fabs(ms - published[i][1]) > 2.5)
            fail_msg("%g MMACs: predicted %g ms, published %g", published[i][0], ms,
                     published[i][1]);
    }
    assert_true(fabs(camera_device_latency_ms(&camera, &(struct cost){.macs = 1000000}) - 19.405) <
                1e-9);
}

static void the_camera_leaves_only_kernel_3(void **state)
{
    (void)state;
    struct open_choices open = all_of(&firefly);
    assert_ok(camera_device_narrow(&camera, &firefly, &open));
    assert_int_equal(open.kernels.count, 1);
    assert_int_equal(open.kernels.value[0], 3);
    assert_int_equal(open.expansions.count, 3);
    assert_int_equal(open.depths.count, 3);
}

static void what_the_camera_cannot_run_is_refused_with_the_reason(void **state)
{
    (void)state;
    struct open_choices open = all_of(&mbv3);
    assert_refused(camera_device_narrow(&camera, &mbv3, &open), ERR_CONFIG,
                   "device firefly-dl-colour: layer stem has h-swish: rule operations, inferred (");
    open = all_of(&firefly);
    open.kernels = (struct choices){2, {5, 7}};
    assert_refused(camera_device_narrow(&camera, &firefly, &open), ERR_CONFIG,
                   "layer block1_depthwise is a depthwise convolution of 5x5: rule "
                   "depthwise-kernels, documented (");
    assert_int_equal(open.kernels.count, 2); /* untouched after an error */
}

static void expansions_that_break_a_rule_are_dropped(void **state)
{
    (void)state;
    struct space space;
    struct camera_device device = camera;
    struct open_choices open = all_of(&firefly);
    device.rules.rule[device.rules.count++] =
        (struct device_rule){.name = "few", .channel_multiple = 1, .most_groups = 500};
    assert_ok(camera_device_narrow(&device, &firefly, &open)); /* x3: 480 of 160 */
    assert_int_equal(open.expansions.count, 1);
    assert_int_equal(open.expansions.value[0], 3);
    assert_ok(space_load("configs/spaces/firefly.yaml", 1.2, 10, 3, &space));
    open = all_of(&space);
    assert_ok(camera_device_narrow(&camera, &space, &open)); /* x6: 1152 groups of 192 */
    assert_int_equal(open.expansions.count, 2);
}

/* A bound on all weights counts for the shallowest network: deeper ones are refused one by one. */
static void a_bound_of_the_whole_network_leaves_the_shallow_ones(void **state)
{
    (void)state;
    struct camera_device device = camera;
    struct open_choices open = all_of(&firefly);
    struct subnet shallow, deep;
    subnet_uniform(&firefly, 3, 3, 2, 96, &shallow);
    subnet_uniform(&firefly, 3, 3, 4, 96, &deep);
    double least = 2.0 * (double)cost_of(&firefly, &shallow).parameters,
           most = 2.0 * (double)cost_of(&firefly, &deep).parameters;
    device.rules.rule[device.rules.count++] = (struct device_rule){
        .name = "light", .channel_multiple = 1, .most_weight_bytes = (least + most) / 2};
    assert_ok(camera_device_narrow(&device, &firefly, &open));
    assert_int_equal(open.expansions.value[0], 3);
    assert_true(camera_device_runs(&device, &firefly, &shallow));
    assert_false(camera_device_runs(&device, &firefly, &deep));
}

static void check_broken(const struct space *space, const struct subnet *subnet, const char *words)
{
    assert_refused(camera_device_check(&camera, space, subnet), ERR_CONFIG, words);
}

/* A network for each rule of the camera's table, which breaks that one. */
static void every_rule_of_the_camera_can_be_broken(void **state)
{
    (void)state;
    struct subnet good, subnet;
    struct space space = firefly;
    subnet_uniform(&firefly, 3, 4, 2, 128, &good);
    assert_ok(camera_device_check(&camera, &firefly, &good));

    space.expand_act = ACT_HSWISH;
    check_broken(&space, &good, "layer head has h-swish: rule operations");
    space = firefly, space.blocks[0].has_se = true;
    check_broken(&space, &good, "layer block1_se is a squeeze-excite: rule operations");
    subnet = good, subnet.kernel[1] = 5;
    check_broken(&firefly, &subnet, "layer block2_depthwise is a depthwise convolution of 5x5");
    space = firefly, space.stem_stride = 3;
    check_broken(&space, &good, "layer stem is a convolution of stride 3: rule strides");
    space = firefly, space.first_width = 20;
    check_broken(&space, &good, "layer block0_project puts out 20 channels, no multiple of 8");
    space = firefly, space.mix_width = 4;
    check_broken(&space, &good, "layer mix puts out 4 channels, fewer than 8: rule outputs");
    space = firefly, space.stem_width = 1024;
    check_broken(
        &space, &good,
        "layer block0_depthwise is a depthwise convolution of 1024 groups, more than 1023");
    subnet = good, subnet.resolution = 2600;
    check_broken(&firefly, &subnet, "layer stem puts out a map of 108.2 MB, more than 100.0");
    space = firefly, space.classes = 140000;
    check_broken(&space, &good,
                 "layer logits brings the network's weights above 320.0 MB: rule graph");
    space = firefly, space.classes = 2; /* the export fills them up to 8 */
    assert_ok(camera_device_check(&camera, &space, &good));
    assert_int_equal(device_outputs(&camera.rules, 2), 8);
    assert_int_equal(device_outputs(&camera.rules, 10), 10);
}

static void a_device_says_which_images_it_takes(void **state)
{
    (void)state;
    struct camera_device mono, any;
    assert_ok(camera_device_load("firefly-dl-mono", &mono));
    assert_int_equal(camera_device_format(&mono, 1), PIXEL_MONO8);
    assert_int_equal(camera_device_format(&camera, 3), PIXEL_BGR8);
    assert_refused(camera_device_check_images(&mono, 3), ERR_CONFIG,
                   "device firefly-dl-mono takes no colour images");
    assert_refused(camera_device_check_images(&camera, 1), ERR_CONFIG, "takes no grey images");
    assert_ok(camera_device_load("generic-onnx", &any)); /* a file alone makes a device */
    assert_int_equal(camera_device_format(&any, 3), PIXEL_RGB8);
    assert_ok(camera_device_check_images(&any, 1));
    assert_int_equal(any.rules.count, 0);
    assert_false(camera_device_has_latency(&any));
}

static const char *broken_bound(const struct target *target, double macs)
{
    return target_broken_bound(target, &(struct cost){.macs = (int64_t)macs});
}

static bool fits(const struct target *target, double macs)
{
    return target_fits(target, &(struct cost){.macs = (int64_t)macs});
}

/* A kind with a time of its own; the others have the line's. */
static void a_kind_of_layer_may_have_its_own_time(void **state)
{
    (void)state;
    struct camera_device own;
    struct subnet subnet;
    char path[] = "/tmp/gw-device-XXXXXX.yaml";
    const char *text = "device: own\nlatency: {fixed_ms: 5, per_mmac_ms: 0.1, depthwise_ms: 0.7, "
                       "linear_ms: 0.3}\n";
    int file = mkstemps(path, 5);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    assert_ok(camera_device_load(path, &own));
    unlink(path);
    assert_false(camera_device_is_line(&own));
    assert_true(camera_device_is_line(&camera));
    subnet_smallest(&firefly, firefly.resolutions[0], &subnet);
    struct cost cost = cost_of(&firefly, &subnet);
    int64_t sum = 0;
    for (int k = 0; k < COST_KINDS; k++)
        sum += cost.work[k];
    assert_int_equal(sum, cost.macs);
    assert_true(cost.work[COST_DEPTHWISE] > 0 && cost.work[COST_CONVOLUTION] > 0);
    double expected =
        5 + 1e-6 * (0.1 * (double)(cost.work[COST_CONVOLUTION] + cost.work[COST_POINTWISE]) +
                    0.7 * (double)cost.work[COST_DEPTHWISE] + 0.3 * (double)cost.work[COST_LINEAR]);
    assert_true(fabs(camera_device_latency_ms(&own, &cost) - expected) < 1e-9);
}

static void a_target_says_which_bound_is_broken(void **state)
{
    (void)state;
    struct target target = {.device = camera, .macs_max = 40e6, .latency_ms_max = 22};
    double most = (22 - camera.latency_fixed_ms) / camera.latency_ms_per_mmac * 1e6;
    assert_true(fits(&target, 0.99 * most));
    assert_null(broken_bound(&target, 0.99 * most));
    assert_string_equal(broken_bound(&target, 1.01 * most), "latency_ms");
    assert_string_equal(broken_bound(&target, 50e6), "macs");
    target.latency_ms_max = 0;
    assert_true(fits(&target, 40e6)); /* the bound itself fits */
    target.macs_max = 0;
    assert_true(fits(&target, 1e12));
}

static void a_target_that_nothing_of_the_open_choices_fits_is_refused(void **state)
{
    (void)state;
    struct open_choices open = all_of(&firefly), large = open;
    large.expansions = (struct choices){1, {6}};
    struct target target = {.device = camera};
    target.macs_max = (double)cost_least(&firefly, &open, firefly.resolutions[0]).macs;
    assert_ok(target_check(&target, &firefly, &open));
    assert_refused(target_check(&target, &firefly, &large), ERR_CONFIG,
                   "nothing fits: the smallest sub-network for device firefly-dl-colour (96 px)");
}

static void a_sub_network_the_device_does_not_run_names_the_block(void **state)
{
    (void)state;
    struct subnet subnet;
    subnet_uniform(&firefly, 3, 4, 2, 128, &subnet);
    subnet.kernel[3] = 7; /* the fourth block of the first stage is skipped */
    assert_ok(camera_device_check(&camera, &firefly, &subnet));
    subnet.kernel[1] = 5;
    assert_refused(camera_device_check(&camera, &firefly, &subnet), ERR_CONFIG,
                   "layer block2_depthwise is a depthwise convolution of 5x5");
}

static void a_device_file_is_checked_like_any_other(void **state)
{
    (void)state;
    char path[] = "/tmp/gw-device-XXXXXX.yaml";
    struct camera_device device;
    const char *text = "device: own\nlatency: {fixed: 3, per_mmac_ms: -1}\nkernel: [3]\n"
                       "rules: {a: {bais: inferred, cure: none}}\n";
    int file = mkstemps(path, 5);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    enum err err = camera_device_load(path, &device);
    unlink(path);
    assert_int_equal(err, ERR_CONFIG);
    static const char *const expected[] = {
        ":2:11: key 'latency.fixed': unknown; did you mean 'latency.fixed_ms'?",
        "key 'latency.per_mmac_ms': -1 is out of range", ":3:1: key 'kernel': unknown",
        ":4:13: key 'rules.a.bais': unknown; did you mean 'rules.a.basis'?",
        "key 'rules.a.source': is missing"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!strstr(err_text(), expected[i]))
            fail_msg("not listed: %s\nin:\n%s", expected[i], err_text());
    assert_refused(camera_device_load("nowhere", &device), ERR_NOT_FOUND,
                   "looked for configs/devices/nowhere.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cameras_latency_is_the_published_line),
        cmocka_unit_test(the_camera_leaves_only_kernel_3),
        cmocka_unit_test(what_the_camera_cannot_run_is_refused_with_the_reason),
        cmocka_unit_test(expansions_that_break_a_rule_are_dropped),
        cmocka_unit_test(a_bound_of_the_whole_network_leaves_the_shallow_ones),
        cmocka_unit_test(every_rule_of_the_camera_can_be_broken),
        cmocka_unit_test(a_device_says_which_images_it_takes),
        cmocka_unit_test(a_kind_of_layer_may_have_its_own_time),
        cmocka_unit_test(a_target_says_which_bound_is_broken),
        cmocka_unit_test(a_target_that_nothing_of_the_open_choices_fits_is_refused),
        cmocka_unit_test(a_sub_network_the_device_does_not_run_names_the_block),
        cmocka_unit_test(a_device_file_is_checked_like_any_other),
    };
    return cmocka_run_group_tests(tests, load_all, NULL);
}
