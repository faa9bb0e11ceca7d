/* Folding and writing: networks of every space, random weights with calibrated statistics, answered
 * by our own reader of the ONNX file (inside bundle_write) and by OpenCV
 * (tests/export/read_bundle.py) within 1e-4 of the largest logit. */
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "trainer/data/image_file.h"
#include "trainer/export/bundle.h"
#include "trainer/export/onnx_run.h"
#include "trainer/export/writers.h"
#include "trainer/spec/cost.h"
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { CLASSES = 10, SAMPLES = 4, CALIBRATION = 8 };

struct rig { /* a supernet with something in it */
    struct space space;
    struct device *device;
    struct supernet *net;
    struct dataset_info dataset;
    struct camera_device device_file; /* what bundles are for */
    enum geometry geometry;
    char *names[CLASSES];
    char folder[64];
    uint64_t claim; /* that it writes bundles under; 0: none */
};

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

static void open_rig_of(struct rig *rig, const char *space, int channels, int classes)
{
    static char label[CLASSES][8];
    struct device_cfg cfg = {.name = "cpu", .threads = 2};
    memset(rig, 0, sizeof *rig);
    CHECK(space_load(space, 1.0, classes, channels, &rig->space));
    CHECK(device_open(&cfg, &rig->device));
    CHECK(supernet_create(&rig->space, rig->device, &rig->net));
    supernet_init_weights(rig->net, 5);
    for (int k = 0; k < CLASSES; k++) {
        snprintf(label[k], sizeof label[k], "c%d", k);
        rig->names[k] = label[k];
    }
    camera_device_any(&rig->device_file);
    rig->dataset = (struct dataset_info){.classes = classes < CLASSES ? classes : CLASSES,
                                         .class_names = rig->names,
                                         .channels = channels,
                                         .mean = {120, 110, 100},
                                         .deviation = {60, 61, 62}};
    snprintf(rig->folder, sizeof rig->folder, "/tmp/glowworm-export-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
}

static void open_rig(struct rig *rig, const char *space, int channels)
{
    open_rig_of(rig, space, channels, CLASSES);
}

static void close_rig(struct rig *rig)
{
    CHECK(file_remove_folder(rig->folder));
    supernet_destroy(&rig->net);
    device_close(&rig->device);
}

/* Perturbs every weight, so that matrices are no identity and norms not plain. */
static void shake_weights(struct rig *rig)
{
    for (size_t i = 0; i < rig->net->weight_count; i++)
        rig->net->weights[i] += (float)(0.1 * (rng_unit(rng(9, RNG_TEST, 0, 1, i)) - 0.5));
}

/* Statistics of random images, so that maps keep their size through the network. */
static void calibrate(struct rig *rig, const struct subnet *subnet)
{
    struct supernet *net = rig->net;
    struct activation_arena *arena = NULL;
    const float *logits = NULL;
    int side = subnet->resolution;
    size_t values = (size_t)(CALIBRATION * side * side * rig->space.channels);
    void *images = NULL;
    CHECK(rig->device->ops->alloc(rig->device, values * sizeof(float), &images));
    for (size_t i = 0; i < values; i++)
        ((float *)images)[i] = (float)(2 * rng_unit(rng(9, RNG_TEST, 0, 2, i)) - 1);
    double *sums = mem_array(2 * net->statistic_count, sizeof *sums);
    double *counts = mem_array((size_t)net->norm_count, sizeof *counts);
    CHECK(activation_arena_create(net, CALIBRATION, side, PASS_BATCH_NORM, &arena));
    struct forward forward = {.subnet = subnet,
                              .weights = net->weights,
                              .images = images,
                              .N = CALIBRATION,
                              .mode = PASS_BATCH_NORM,
                              .calibration = sums,
                              .calibration_counts = counts};
    CHECK(supernet_forward(net, arena, &forward, &logits));
    for (int n = 0; n < net->norm_count; n++)
        for (int c = 0; c < net->norms[n].C && counts[n] > 0; c++) {
            size_t i = net->norms[n].statistic + (size_t)c;
            double mean = sums[i] / counts[n];
            net->means[i] = (float)mean;
            net->variances[i] = (float)(sums[net->statistic_count + i] / counts[n] - mean * mean);
        }
    net->has_statistics = true;
    activation_arena_destroy(&arena);
    mem_free(sums);
    mem_free(counts);
    rig->device->ops->free(rig->device, images);
}

static void make_samples(struct rig *rig, const struct subnet *subnet,
                         struct bundle_sample *samples, float *logits)
{
    int side = subnet->resolution, channels = rig->space.channels;
    size_t values = (size_t)(side * side * channels);
    void *images = NULL;
    struct activation_arena *arena = NULL;
    const float *answer = NULL;
    CHECK(rig->device->ops->alloc(rig->device, SAMPLES * values * sizeof(float), &images));
    for (int s = 0; s < SAMPLES; s++) {
        struct image *image = &samples[s].image;
        image_reserve(image, values);
        image->H = image->W = side, image->C = channels;
        for (size_t i = 0; i < values; i++)
            image->pixels[i] = (uint8_t)rng_below(rng(9, RNG_TEST, 3, (uint64_t)s, i), 256);
        bundle_normalise(&rig->dataset, image, false, (float *)images + (size_t)s * values);
        samples[s].logits = logits + s * rig->space.classes;
    }
    CHECK(activation_arena_create(rig->net, SAMPLES, side, PASS_FIXED, &arena));
    struct forward forward = {.subnet = subnet,
                              .weights = rig->net->weights,
                              .images = images,
                              .N = SAMPLES,
                              .mode = PASS_FIXED};
    CHECK(supernet_forward(rig->net, arena, &forward, &answer));
    memcpy(logits, answer, (size_t)(SAMPLES * rig->space.classes) * sizeof *logits);
    activation_arena_destroy(&arena);
    rig->device->ops->free(rig->device, images);
}

static enum err try_bundle(struct rig *rig, const char *text, const char *name)
{
    struct subnet subnet;
    struct folded folded = {0};
    struct bundle_sample samples[SAMPLES] = {{{0}, 0, NULL, NULL}};
    float logits[SAMPLES * CLASSES];
    struct fold_cfg fold = bundle_fold(&rig->device_file, &rig->space);
    char folder[128];
    snprintf(folder, sizeof folder, "%s/%s", rig->folder, name);
    CHECK(subnet_parse(&rig->space, text, &subnet));
    shake_weights(rig);
    calibrate(rig, &subnet);
    CHECK(fold_subnet(rig->net, &subnet, &fold, &folded));
    make_samples(rig, &subnet, samples, logits);
    struct cost cost = cost_of(&rig->space, &subnet);
    struct bundle_cfg cfg = {.folder = folder,
                             .target = name,
                             .device = &rig->device_file,
                             .folded = &folded,
                             .subnet = text,
                             .macs = cost.macs,
                             .parameters = cost.parameters,
                             .dataset = &rig->dataset,
                             .geometry = rig->geometry,
                             .formats = {true, true, true},
                             .samples = samples,
                             .sample_count = SAMPLES,
                             .checkpoint = "",
                             .fence = {rig->folder, rig->claim}};
    enum err err = bundle_write(&cfg);
    for (int s = 0; s < SAMPLES; s++)
        mem_free(samples[s].image.pixels);
    folded_fini(&folded);
    return err;
}

static void write_bundle(struct rig *rig, const char *text, const char *name)
{
    CHECK(try_bundle(rig, text, name));
}

static void read_with_opencv(const struct rig *rig, const char *names)
{
    char command[512];
    snprintf(command, sizeof command,
             "cd %s && /usr/bin/python3 \"$OLDPWD\"/tests/export/read_bundle.py %s", rig->folder,
             names);
    assert_int_equal(system(command), 0);
}

static bool has_file(const struct rig *rig, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", rig->folder, name);
    return file_exists(path);
}

/* Is this among the reasons why a bundle lacks a format? */
static void check_refusal(const struct rig *rig, const char *name, const char *format,
                          const char *reason)
{
    char path[256];
    size_t i = 0;
    json_t *row = NULL;
    snprintf(path, sizeof path, "%s/%s/bundle.json", rig->folder, name);
    json_t *list = json_load_file(path, 0, NULL), *refused = json_object_get(list, "refused");
    bool is_there = false;
    json_array_foreach(refused, i, row)
    {
        const char *why = json_string_value(json_object_get(row, "reason"));
        if (strcmp(json_string_value(json_object_get(row, "format")), format) == 0)
            is_there = strstr(why, reason) != NULL;
    }
    if (!is_there)
        fail_msg("%s: %s is not refused for \"%s\"", name, format, reason);
    json_decref(list);
}

static bool mentions(const struct rig *rig, const char *name, const char *word)
{
    char path[256], *text = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", rig->folder, name);
    CHECK(file_read(path, 1 << 24, &text, &size));
    bool found = memmem(text, size, word, strlen(word)) != NULL;
    mem_free(text);
    return found;
}

static void relu_networks_go_out_in_every_format(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, "configs/spaces/firefly-tiny.yaml", 1);
    write_bundle(&rig, "r=28 k=7,5,3,3,5,7 e=4,3,2,2,3,4 d=3,2", "mixed");
    write_bundle(&rig, "r=24 k=3 e=2 d=1", "small");
    assert_true(has_file(&rig, "mixed/network.pb"));
    assert_true(has_file(&rig, "mixed/network.caffemodel"));
    char path[128];
    snprintf(path, sizeof path, "%s/mixed/convert.sh", rig.folder);
    assert_int_equal(access(path, X_OK), 0);
    read_with_opencv(&rig, "mixed small");
    close_rig(&rig);
}

/* Its line is the command's, and its numbers are the network's. */
static void the_readme_of_a_bundle_tells_a_stranger_what_to_do(void **state)
{
    (void)state;
    static const char *const words[] = {
        "A NETWORK FOR A CAMERA: grey\r\n",
        "one grey picture of 28 x 28 pixels and\r\nsays which of 10 classes",
        "  width, height, channels   28, 28, 1\r\n",
        "  mean                      120\r\n",
        "mvNCCompile -s 12 -in=input -on=probabilities -o firefly.graph network.pb\r\n",
        "mvNCCompile -s 12 -w network.caffemodel -o firefly.graph network.prototxt\r\n",
        "shape=\"1,28,28,1\"",
        "InferencePreprocessBppSelector     Mono8\r\n",
        "Width, Height                      1080, 1080: ",
        "\"glowworm validate FOLDER --camera ID\" does all of steps 2 to 5"};
    struct rig rig;
    open_rig(&rig, "configs/spaces/firefly-tiny.yaml", 1);
    CHECK(camera_device_load("firefly-dl-mono", &rig.device_file));
    write_bundle(&rig, "r=28 k=3 e=2 d=1", "grey");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!mentions(&rig, "grey/README.txt", words[i]))
            fail_msg("README.txt does not say \"%s\"", words[i]);
    assert_true(mentions(&rig, "grey/bundle.json", "\"README.txt\""));
    assert_true(mentions(&rig, "grey/convert.sh",
                         "\nmvNCCompile -s 12 -in=input -on=probabilities -o firefly.graph "
                         "network.pb\n"));
    assert_false(mentions(&rig, "grey/README.txt", "samples/*.raw")); /* nobody gave expectations */
    close_rig(&rig);
}

static void a_device_that_pads_by_itself_looks_at_its_whole_sensor(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, "configs/spaces/firefly-tiny.yaml", 1);
    rig.device_file.sensor_width = 1440, rig.device_file.sensor_height = 1080;
    rig.geometry = GEOMETRY_PAD;
    write_bundle(&rig, "r=28 k=3 e=2 d=1", "padded");
    assert_true(
        mentions(&rig, "padded/README.txt", "Width, Height                      1440, 1080: "));
    assert_true(mentions(&rig, "padded/README.txt", "OffsetX, OffsetY                   0, 0 "));
    assert_false(mentions(&rig, "padded/camera.json", "-180"));
    close_rig(&rig);
}

/* Two classes: the camera gets wrong what has fewer than 8 outputs. */
static void few_classes_are_filled_up_for_the_camera(void **state)
{
    (void)state;
    struct rig rig;
    struct onnx_net *net = NULL;
    char path[128], *bytes = NULL;
    size_t size = 0;
    float image[28 * 28], answers[16];
    open_rig_of(&rig, "configs/spaces/firefly-tiny.yaml", 1, 2);
    CHECK(camera_device_load("firefly-dl-mono", &rig.device_file));
    write_bundle(&rig, "r=28 k=3 e=2 d=1", "two");
    read_with_opencv(&rig, "two");
    snprintf(path, sizeof path, "%s/two/network.onnx", rig.folder);
    CHECK(file_read(path, 1 << 26, &bytes, &size));
    CHECK(onnx_open(bytes, size, &net));
    assert_int_equal(onnx_net_shape(net).classes, 8);
    for (size_t i = 0; i < 28 * 28; i++)
        image[i] = (float)(2 * rng_unit(rng(9, RNG_TEST, 0, 4, i)) - 1);
    CHECK(onnx_run(net, image, answers, answers + 8));
    double alone = 1 / (1 + exp((double)answers[1] - answers[0]));
    assert_true(fabs(answers[8] - alone) < 1e-6);
    assert_true(fabs(answers[9] - (1 - alone)) < 1e-6);
    onnx_close(&net);
    mem_free(bytes);
    close_rig(&rig);
}

static void answers_that_outputs_of_no_class_could_beat_are_refused(void **state)
{
    (void)state;
    struct rig rig;
    open_rig_of(&rig, "configs/spaces/firefly-tiny.yaml", 1, 2);
    CHECK(camera_device_load("firefly-dl-mono", &rig.device_file));
    const struct param *bias = supernet_find(rig.net, "classifier.linear.bias");
    for (size_t k = 0; k < bias->count; k++)
        rig.net->weights[bias->offset + k] = -95;
    assert_int_equal(try_bundle(&rig, "r=28 k=3 e=2 d=1", "low"), ERR_FAILED);
    assert_non_null(strstr(err_text(), "which stands for no class"));
    assert_false(has_file(&rig, "low"));
    close_rig(&rig);
}

/* Read with OpenCV, whose pictures are blue, green, red. */
static void a_colour_camera_gets_a_network_of_bgr(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, "configs/spaces/firefly-tiny.yaml", 3);
    CHECK(camera_device_load("firefly-dl-colour", &rig.device_file));
    write_bundle(&rig, "r=28 k=3 e=2 d=1", "colour");
    char path[128];
    snprintf(path, sizeof path, "%s/colour/camera.json", rig.folder);
    json_t *camera = json_load_file(path, 0, NULL), *input = json_object_get(camera, "input");
    assert_string_equal(json_string_value(json_object_get(input, "pixel_format")), "BGR8");
    json_t *mean = json_object_get(input, "mean");
    assert_true(json_number_value(json_array_get(mean, 0)) == rig.dataset.mean[2]);
    json_decref(camera);
    read_with_opencv(&rig, "colour");
    close_rig(&rig);
}

struct comparison {
    const struct folded *folded;
    int next;
};

static void compare_layer(void *own, const struct layer_shape *layer)
{
    static const enum folded_kind kinds[] = {
        [LAYER_CONV] = FOLDED_CONV, [LAYER_DEPTHWISE] = FOLDED_CONV, [LAYER_LINEAR] = FOLDED_LINEAR,
        [LAYER_ADD] = FOLDED_ADD,   [LAYER_POOL] = FOLDED_POOL,      [LAYER_SE] = FOLDED_SE};
    struct comparison *comparison = own;
    char name[LAYER_NAME];
    layer_shape_name(layer, name);
    assert_true(comparison->next < comparison->folded->count);
    const struct folded_layer *folded = &comparison->folded->layers[comparison->next++];
    assert_string_equal(folded->name, name);
    assert_int_equal(folded->kind, kinds[layer->op]);
    assert_int_equal(folded->act, layer->act);
    assert_int_equal(folded->C, layer->C);
    assert_int_equal(folded_channels(folded), layer->K);
    assert_int_equal(folded_side(folded), layer->side);
    assert_int_equal(folded->R, layer->R);
    assert_int_equal(folded->S, layer->S);
    assert_int_equal(folded->groups, layer->groups);
    assert_int_equal(folded->hidden, layer->hidden);
}

/* What a device is asked about is what its converter gets. */
static void the_layers_are_those_a_device_was_asked_about(void **state)
{
    (void)state;
    static const char *const spaces[] = {"firefly-tiny", "firefly", "mbv3"};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        struct rig rig;
        char path[64];
        snprintf(path, sizeof path, "configs/spaces/%s.yaml", spaces[i]);
        open_rig(&rig, path, i == 0 ? 1 : 3);
        rig.net->has_statistics = true; /* any will do */
        for (uint64_t step = 0; step < 4; step++) {
            struct subnet subnet;
            struct folded folded = {0};
            struct open_choices all = {rig.space.kernels, rig.space.expansions, rig.space.depths};
            subnet_sample(&rig.space, &all, 3, step, 0, &subnet);
            subnet.resolution = rig.space.resolutions[0];
            CHECK(fold_subnet(rig.net, &subnet, &(struct fold_cfg){.outputs = CLASSES}, &folded));
            struct comparison comparison = {&folded, 0};
            layer_walk(&rig.space, &subnet, compare_layer, &comparison);
            assert_int_equal(comparison.next, folded.count);
            folded_fini(&folded);
        }
        close_rig(&rig);
    }
}

static void relu6_networks_go_out_without_caffe(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, "configs/spaces/firefly.yaml", 3);
    struct subnet subnet;
    struct text text;
    text_init(&text);
    subnet_smallest(&rig.space, 96, &subnet);
    subnet.kernel[0] = 5;
    subnet_format(&rig.space, &subnet, &text);
    write_bundle(&rig, text_get(&text), "six");
    assert_true(has_file(&rig, "six/network.pb"));
    assert_false(has_file(&rig, "six/network.caffemodel"));
    check_refusal(&rig, "six", "caffe", "ReLU6");
    read_with_opencv(&rig, "six");
    text_fini(&text);
    close_rig(&rig);
}

static void odd_widths_go_out_in_every_format(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, "tests/spaces/odd.yaml", 1);
    write_bundle(&rig, "r=28 k=7,5,3,5,3,7 e=3,2,2,3,4,2 d=2,3", "odd");
    write_bundle(&rig, "r=23 k=3 e=2 d=1", "little");
    assert_true(has_file(&rig, "odd/network.pb"));
    assert_true(has_file(&rig, "odd/network.caffemodel"));
    read_with_opencv(&rig, "odd little");
    close_rig(&rig);
    open_rig(&rig, "tests/spaces/odd-gated.yaml", 3);
    write_bundle(&rig, "r=28 k=5,3,7,3,5,5 e=2,3,3,2,4,4 d=2,1", "gated");
    read_with_opencv(&rig, "gated");
    close_rig(&rig);
}

/* Sides of 28, 14 and 7: the odd zero stands behind the first two, and Caffe cannot say so. */
static void tensorflow_s_padding_goes_out_without_a_pad(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, "tests/spaces/tf.yaml", 3);
    write_bundle(&rig, "r=28 k=7,5,3,3,3,5 e=3,2,2,3,4,2 d=2,2", "tf");
    write_bundle(&rig, "r=20 k=3,3,5,5,3,3 e=2 d=1", "little");
    assert_false(mentions(&rig, "tf/network.pb", "paddings"));
    assert_true(mentions(&rig, "tf/network.pb", "SAME"));
    assert_false(has_file(&rig, "tf/network.caffemodel"));
    check_refusal(&rig, "tf", "caffe", "padding: symmetric");
    read_with_opencv(&rig, "tf little");
    close_rig(&rig);
    open_rig(&rig, "configs/spaces/firefly-tiny.yaml", 3);
    write_bundle(&rig, "r=28 k=3 e=2 d=1", "symmetric");
    assert_true(mentions(&rig, "symmetric/network.pb", "paddings"));
    close_rig(&rig);
}

/* Sides of 28, 14, 7 and of 23, 12, 6. */
static void odd_widths_go_out_with_tensorflow_s_padding(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, "tests/spaces/odd-tf.yaml", 3);
    write_bundle(&rig, "r=28 k=7,5,3,5,3,7 e=3,2,2,3,4,2 d=2,3", "even");
    write_bundle(&rig, "r=23 k=5,3,7,7,3,5 e=2,3,4,3,2,2 d=3,1", "uneven");
    assert_false(mentions(&rig, "even/network.pb", "paddings"));
    assert_false(mentions(&rig, "uneven/network.pb", "paddings"));
    read_with_opencv(&rig, "even uneven");
    close_rig(&rig);
}

static void a_bundle_replaces_a_bundle_and_nothing_else(void **state)
{
    (void)state;
    struct rig rig;
    const char *subnet = "r=20 k=3 e=2 d=1";
    char path[128];
    open_rig(&rig, "configs/spaces/firefly-tiny.yaml", 1);
    write_bundle(&rig, subnet, "out/"); /* as docs/bundles.md writes it */
    assert_true(has_file(&rig, "out/network.pb"));
    snprintf(path, sizeof path, "%s/out/stale", rig.folder);
    CHECK(file_write(path, "", 0));
    write_bundle(&rig, subnet, "out");
    assert_true(has_file(&rig, "out/network.pb"));
    assert_false(has_file(&rig, "out/stale"));
    assert_false(has_file(&rig, "out.compiling"));
    char aside[128];
    snprintf(path, sizeof path, "%s/out", rig.folder);
    snprintf(aside, sizeof aside, "%s/out.compiling.old", rig.folder);
    assert_int_equal(rename(path, aside), 0); /* as a killed replacement leaves it */
    write_bundle(&rig, subnet, "out");
    assert_true(has_file(&rig, "out/network.pb"));
    assert_false(has_file(&rig, "out.compiling.old"));
    snprintf(path, sizeof path, "%s/mine/letters", rig.folder);
    CHECK(file_make_folders(path));
    assert_int_equal(try_bundle(&rig, subnet, "mine"), ERR_CONFIG);
    assert_non_null(strstr(err_text(), "mine exists and is no bundle"));
    assert_true(has_file(&rig, "mine/letters"));
    CHECK(file_remove_folder(path));
    write_bundle(&rig, subnet, "mine"); /* empty by now */
    assert_true(has_file(&rig, "mine/bundle.json"));
    close_rig(&rig);
}

static void gated_networks_go_out_as_onnx_only(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, "configs/spaces/mbv3.yaml", 3);
    write_bundle(&rig, "r=128 k=5 e=3 d=2", "gated");
    assert_true(has_file(&rig, "gated/network.onnx"));
    assert_false(has_file(&rig, "gated/network.pb"));
    assert_false(has_file(&rig, "gated/network.caffemodel"));
    assert_false(has_file(&rig, "gated/convert.sh"));
    check_refusal(&rig, "gated", "tensorflow", "squeeze-excite");
    check_refusal(&rig, "gated", "caffe", "h-swish");
    read_with_opencv(&rig, "gated");
    close_rig(&rig);
}

static void a_network_without_statistics_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    struct subnet subnet;
    struct folded folded;
    open_rig(&rig, "configs/spaces/firefly-tiny.yaml", 1);
    subnet_smallest(&rig.space, 28, &subnet);
    assert_int_equal(
        fold_subnet(rig.net, &subnet, &(struct fold_cfg){.outputs = rig.space.classes}, &folded),
        ERR_DATA);
    assert_non_null(strstr(err_text(), "calibrate"));
    close_rig(&rig);
}

static void a_network_of_many_classes_is_read_back(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    struct rig rig;
    struct subnet subnet;
    struct folded folded = {0};
    struct bytes bytes = {0};
    struct onnx_net *net = NULL;
    open_rig_of(&rig, "configs/spaces/firefly-tiny.yaml", 1, MANY);
    subnet_smallest(&rig.space, 20, &subnet);
    calibrate(&rig, &subnet);
    CHECK(fold_subnet(rig.net, &subnet, &(struct fold_cfg){.outputs = rig.space.classes}, &folded));
    CHECK(onnx_write(&folded, "net", &bytes));
    CHECK(onnx_open(bytes.data, bytes.size, &net));
    assert_int_equal(onnx_net_shape(net).classes, MANY);
    float *image = mem_array(20 * 20, sizeof *image),
          *answers = mem_array(2 * MANY, sizeof *answers);
    CHECK(onnx_run(net, image, answers, answers + MANY));
    onnx_close(&net);
    mem_free(answers);
    mem_free(image);
    mem_free(bytes.data);
    folded_fini(&folded);
    close_rig(&rig);
}

/* Every single-byte change and every cut of a written file: an answer or an error, never a crash.
 */
static void a_damaged_onnx_file_is_refused_or_answered_but_never_believed(void **state)
{
    (void)state;
    struct rig rig;
    struct subnet subnet;
    struct folded folded = {0};
    struct bytes bytes = {0};
    open_rig(&rig, "configs/spaces/firefly-tiny.yaml", 1);
    subnet_smallest(&rig.space, 20, &subnet);
    calibrate(&rig, &subnet);
    CHECK(fold_subnet(rig.net, &subnet, &(struct fold_cfg){.outputs = rig.space.classes}, &folded));
    CHECK(onnx_write(&folded, "net", &bytes));
    float *image = mem_array(20 * 20, sizeof *image), answers[2 * CLASSES];
    uint8_t *damaged = mem_alloc(bytes.size);
    for (uint64_t i = 0; i < 400; i++) {
        struct onnx_net *net = NULL;
        memcpy(damaged, bytes.data, bytes.size);
        size_t at = (size_t)(rng(4, RNG_TEST, 0, i, 0) % bytes.size);
        damaged[at] ^= (uint8_t)(1 + rng(4, RNG_TEST, 0, i, 1) % 255);
        size_t size = i % 4 ? bytes.size : at;
        if (onnx_open(damaged, size, &net) == ERR_OK && onnx_net_shape(net).classes == CLASSES &&
            onnx_net_shape(net).height == 20 && onnx_net_shape(net).width == 20 &&
            onnx_net_shape(net).channels == 1) {
            enum err err = onnx_run(net, image, answers, answers + CLASSES);
            assert_true(err == ERR_OK || err == ERR_DATA);
        }
        onnx_close(&net);
    }
    mem_free(damaged);
    mem_free(image);
    mem_free(bytes.data);
    folded_fini(&folded);
    close_rig(&rig);
}

static void open_rig_in(struct rig *rig, const char *folder, uint64_t claim)
{
    open_rig(rig, "configs/spaces/firefly-tiny.yaml", 1);
    assert_int_equal(rmdir(rig->folder), 0);
    snprintf(rig->folder, sizeof rig->folder, "%s", folder);
    rig->claim = claim;
}

/* The first owner of a run, which stands still when its bundle is whole and nobody had the run. */
static pid_t start_bundle(const char *folder)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct rig rig;
        open_rig_in(&rig, folder, 1);
        setenv("GLOWWORM_FAULT", "fence.looked:1:stop", 1);
        fault_reset();
        _exit(try_bundle(&rig, "r=20 k=3 e=2 d=1", "bundles/out"));
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    return child;
}

static void expect_subnet(const char *folder, const char *subnet)
{
    char path[128];
    snprintf(path, sizeof path, "%s/bundles/out/bundle.json", folder);
    json_t *list = json_load_file(path, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(list, "subnet")), subnet);
    json_decref(list);
}

static void an_owner_that_was_replaced_does_not_replace_a_bundle(void **state)
{
    (void)state;
    struct rig rig;
    int status = 0;
    char folder[] = "/tmp/glowworm-export-XXXXXX", path[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/published", folder);
    CHECK(file_make_folders(path));
    pid_t child = start_bundle(folder);
    snprintf(path, sizeof path, "%s/published/claim-2", folder);
    CHECK(file_write(path, "", 0));
    fence_sweep(folder, 2);
    open_rig_in(&rig, folder, 2);
    write_bundle(&rig, "r=24 k=3 e=2 d=1", "bundles/out");
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == ERR_AGAIN);
    expect_subnet(folder, "r=24 k=3 e=2 d=1");
    assert_false(has_file(&rig, "bundles/out.compiling-of-claim-1"));
    assert_false(has_file(&rig, "bundles/out.compiling-of-claim-1.old"));
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first: it forks, which libraries with threads of their own do not bear */
        cmocka_unit_test(an_owner_that_was_replaced_does_not_replace_a_bundle),
        cmocka_unit_test(relu_networks_go_out_in_every_format),
        cmocka_unit_test(the_readme_of_a_bundle_tells_a_stranger_what_to_do),
        cmocka_unit_test(a_device_that_pads_by_itself_looks_at_its_whole_sensor),
        cmocka_unit_test(few_classes_are_filled_up_for_the_camera),
        cmocka_unit_test(answers_that_outputs_of_no_class_could_beat_are_refused),
        cmocka_unit_test(a_colour_camera_gets_a_network_of_bgr),
        cmocka_unit_test(the_layers_are_those_a_device_was_asked_about),
        cmocka_unit_test(relu6_networks_go_out_without_caffe),
        cmocka_unit_test(odd_widths_go_out_in_every_format),
        cmocka_unit_test(tensorflow_s_padding_goes_out_without_a_pad),
        cmocka_unit_test(odd_widths_go_out_with_tensorflow_s_padding),
        cmocka_unit_test(a_bundle_replaces_a_bundle_and_nothing_else),
        cmocka_unit_test(gated_networks_go_out_as_onnx_only),
        cmocka_unit_test(a_network_without_statistics_is_refused),
        cmocka_unit_test(a_network_of_many_classes_is_read_back),
        cmocka_unit_test(a_damaged_onnx_file_is_refused_or_answered_but_never_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
