/* `glowworm check` on bundles of a small network: one that is sound passes, and each way in which
 * one may not be is found and named. */
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cluster/check/check_run.h"
#include "cluster/check/check_text.h"
#include "cluster/command.h"
#include "tests/emulator/tiny_folded.h"
#include "trainer/data/image_file.h"
#include "trainer/emulator/expected.h"
#include "trainer/export/bundle.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SAMPLES = 6 };

#define CHECK(call)                                                                                \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s", #call, err_text());                                                 \
    } while (0)

struct rig {
    struct folded folded;
    struct dataset_info dataset;
    char folder[64], bundle[96];
    const char *device; /* NULL: any */
    bool has_frames;
};

static char *class_names[TINY_CLASSES] = {"cat", "dog", "<ox>"};

static void open_rig(struct rig *rig, enum act act)
{
    memset(rig, 0, sizeof *rig);
    tiny_folded(PAD_SYMMETRIC, act, &rig->folded);
    rig->dataset = (struct dataset_info){.classes = TINY_CLASSES,
                                         .class_names = class_names,
                                         .channels = TINY_CHANNELS,
                                         .mean = {120, 110, 100},
                                         .deviation = {60, 61, 62}};
    snprintf(rig->folder, sizeof rig->folder, "/tmp/glowworm-check-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->bundle, sizeof rig->bundle, "%s/tiny", rig->folder);
}

static void close_rig(struct rig *rig)
{
    CHECK(file_remove_folder(rig->folder));
    folded_fini(&rig->folded);
}

enum { OUTPUTS = 8 }; /* of a network that was filled up */

/* As fold_subnet() does for a colour camera. */
static void fill_up(struct folded *folded)
{
    struct folded_layer *logits = &folded->layers[TINY_LOGITS];
    float *w = arena_alloc(folded->arena, (size_t)(OUTPUTS * logits->C) * sizeof *w),
          *b = arena_alloc(folded->arena, OUTPUTS * sizeof *b);
    memcpy(w, logits->w, (size_t)(TINY_CLASSES * logits->C) * sizeof *w);
    memcpy(b, logits->b, TINY_CLASSES * sizeof *b);
    for (int k = TINY_CLASSES; k < OUTPUTS; k++)
        b[k] = FOLD_UNUSED_BIAS;
    logits->w = w, logits->b = b, logits->K = folded->outputs = OUTPUTS;
    folded->is_bgr = true;
}

/* What the network answers, as the supernet would; its label is that answer. */
static void answer(const struct rig *rig, struct bundle_sample *sample, float *logits)
{
    struct bytes onnx = {0};
    struct onnx_net *net = NULL;
    float values[TINY_SIDE * TINY_SIDE * TINY_CHANNELS], answers[OUTPUTS], probabilities[OUTPUTS];
    CHECK(onnx_write(&rig->folded, "tiny", &onnx));
    CHECK(onnx_open(onnx.data, onnx.size, &net));
    bundle_normalise(&rig->dataset, &sample->image, rig->folded.is_bgr, values);
    CHECK(onnx_run(net, values, answers, probabilities));
    memcpy(logits, answers, TINY_CLASSES * sizeof *logits);
    sample->logits = logits;
    sample->image.label = 0;
    for (int k = 1; k < TINY_CLASSES; k++)
        if (logits[k] > logits[sample->image.label])
            sample->image.label = k;
    onnx_close(&net);
    mem_free(onnx.data);
}

static void draw(struct image *image, uint64_t which)
{
    image_reserve(image, TINY_SIDE * TINY_SIDE * TINY_CHANNELS);
    image->H = image->W = TINY_SIDE, image->C = TINY_CHANNELS;
    for (uint64_t i = 0; i < TINY_SIDE * TINY_SIDE * TINY_CHANNELS; i++)
        image->pixels[i] = (uint8_t)rng_below(rng(3, RNG_TEST, 0, which, i), 256);
}

static void write_bundle(struct rig *rig)
{
    struct bundle_sample samples[SAMPLES];
    float logits[SAMPLES * TINY_CLASSES], expected[SAMPLES][BUNDLE_EXPECTED * OUTPUTS];
    struct expected *answers = NULL;
    struct camera_device device = {.name = "any"};
    CHECK(expected_open(&rig->folded, &rig->dataset, &answers));
    if (rig->device)
        snprintf(device.name, sizeof device.name, "%s", rig->device);
    memset(samples, 0, sizeof samples);
    for (int s = 0; s < SAMPLES; s++) {
        draw(&samples[s].image, (uint64_t)s);
        answer(rig, &samples[s], logits + s * TINY_CLASSES);
        CHECK(expected_answer(answers, &samples[s].image, expected[s]));
        samples[s].expected = rig->has_frames ? expected[s] : NULL;
    }
    expected_close(&answers);
    struct bundle_cfg cfg = {.folder = rig->bundle,
                             .target = "tiny",
                             .device = &device,
                             .folded = &rig->folded,
                             .subnet = "k=3",
                             .dataset = &rig->dataset,
                             .formats = {true, true, true},
                             .samples = samples,
                             .sample_count = SAMPLES,
                             .sample_split = SPLIT_HOLDOUT,
                             .checkpoint = ""};
    CHECK(bundle_write(&cfg));
    for (int s = 0; s < SAMPLES; s++)
        mem_free(samples[s].image.pixels);
}

static enum err check(const struct rig *rig, struct bundle_check *found)
{
    struct bundle_check_cfg cfg = {
        .bundle = rig->bundle, .images = 500, .threads = 2, .loss_max = 1};
    return bundle_check_run(&cfg, found);
}

static void outputs_of_no_class_and_bgr_are_known(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    fill_up(&rig.folded);
    rig.device = "firefly-dl-mono";
    write_bundle(&rig);
    CHECK(check(&rig, &found));
    assert_int_equal(json_array_size(found.failures), 0);
    assert_int_equal(found.bundle.classes, TINY_CLASSES);
    assert_int_equal(found.bundle.shape.classes, OUTPUTS);
    assert_true(found.checked->supernet_difference < 1e-5);
    assert_true(check_accuracy(&found, ARITHMETIC_FP16) == 1);
    bundle_check_fini(&found);
    close_rig(&rig);
}

static void a_sound_bundle_passes(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    write_bundle(&rig);
    CHECK(check(&rig, &found));
    assert_int_equal(json_array_size(found.failures), 0);
    assert_string_equal(found.checked->files, "network.pb");
    assert_int_equal(found.images.count, SAMPLES);
    for (int f = 0; f < CHECK_FORMATS; f++) {
        assert_true(found.formats[f].is_there);
        assert_true(found.formats[f].difference == 0);
        assert_true(found.formats[f].supernet_difference < 1e-5);
    }
    assert_true(check_accuracy(&found, ARITHMETIC_FP32) == 1);
    assert_true(check_accuracy(&found, ARITHMETIC_FP16) == 1);
    bundle_check_fini(&found);
    close_rig(&rig);
}

/* 78 is 19.3 + 0.105 ms per million, here of 8 x 4 x 4 x 27 of the stem alone. */
static void time_and_bytes_of_a_layer_follow_from_its_shape(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    rig.device = "firefly-dl-mono";
    write_bundle(&rig);
    CHECK(check(&rig, &found));
    assert_float_equal(check_layer_ms(&found, 0), 0.105 * 8 * 4 * 4 * 27 / 1e6, 1e-12);
    assert_true(check_layer_bytes(&found, 0) == 2.0 * (8 * 27 + 8 + 8 * 8 * 3 + 4 * 4 * 8));
    assert_true(check_total_ms(&found) > 19.3 && check_total_ms(&found) < 19.4);
    bundle_check_fini(&found);
    close_rig(&rig);
}

static bool says(const json_t *sentences, const char *words)
{
    size_t i = 0;
    json_t *sentence = NULL;
    json_array_foreach(sentences, i, sentence)
    {
        if (strstr(json_string_value(sentence), words))
            return true;
    }
    return false;
}

static void check_says(const json_t *sentences, const char *words)
{
    if (!says(sentences, words))
        fail_msg("none of %zu sentences says \"%s\"", json_array_size(sentences), words);
}

/* Each rule once, by the first layer that breaks it. */
static void a_layer_that_breaks_a_rule_of_the_device_is_named(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    rig.device = "firefly-dl-mono";
    rig.folded.layers[TINY_HEAD].K = 12;
    rig.folded.layers[TINY_POOL].C = rig.folded.layers[TINY_POOL].K = 12;
    rig.folded.layers[TINY_LOGITS].C = 12;
    write_bundle(&rig);
    CHECK(check(&rig, &found));
    assert_int_equal(json_array_size(found.failures), 2);
    check_says(found.failures,
               "firefly-dl-mono: layer head puts out 12 channels, no multiple of 8: "
               "rule channels, inferred (");
    check_says(found.failures, "layer logits/map puts out 3 channels, fewer than 8: rule outputs");
    check_says(found.failures, "use layers of 8 channels or more");
    bundle_check_fini(&found);
    close_rig(&rig);
}

/* Squeeze-excite and h-swish, which ONNX alone has, are found in what they are written as. */
static void gates_and_h_swish_are_known_by_what_they_are_written_as(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    folded_fini(&rig.folded);
    tiny_gated(&rig.folded);
    rig.device = "firefly-dl-mono";
    write_bundle(&rig);
    CHECK(check(&rig, &found));
    check_says(found.failures, "has h-swish: rule operations");
    bundle_check_fini(&found);
    close_rig(&rig);
}

static void a_layer_that_overflows_is_named(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    for (int i = 0; i < TINY_WIDTH * TINY_WIDTH; i++)
        rig.folded.layers[TINY_PROJECT].w[i] *= 1e6f;
    write_bundle(&rig);
    CHECK(check(&rig, &found));
    check_says(found.failures, "layer block1_project overflows in fp16/fp32");
    check_says(found.warnings, "layer block1_project overflows in fp16/fp16");
    bundle_check_fini(&found);
    close_rig(&rig);
}

/* The head's outputs vanish in fp16, so that the classifier's biases decide. */
static void let_biases_decide(struct folded *folded, int favoured)
{
    for (int k = 0; k < TINY_CLASSES; k++)
        folded->layers[TINY_LOGITS].b[k] = k == favoured ? 1e-6f : 0;
}

/* In fp32 the images are of one class or several: biases for one of the three lose most of them. */
static void lost_accuracy_fails_with_the_layer_that_loses_it(void **state)
{
    struct rig rig;
    int failed = 0;
    (void)state;
    open_rig(&rig, ACT_RELU);
    for (int i = 0; i < 16 * TINY_WIDTH; i++)
        rig.folded.layers[TINY_HEAD].w[i] *= 1e-8f;
    memset(rig.folded.layers[TINY_HEAD].b, 0, 16 * sizeof(float));
    for (int i = 0; i < 16 * TINY_CLASSES; i++)
        rig.folded.layers[TINY_LOGITS].w[i] *= 1e4f;
    for (int favoured = 0; favoured < TINY_CLASSES; favoured++) {
        struct bundle_check found;
        let_biases_decide(&rig.folded, favoured);
        write_bundle(&rig);
        CHECK(check(&rig, &found));
        failed += says(found.failures, "layer head adds most to the error");
        bundle_check_fini(&found);
    }
    assert_in_range(failed, 1, TINY_CLASSES);
    close_rig(&rig);
}

static char *path_of(const struct rig *rig, const char *name)
{
    return file_join(rig->bundle, name);
}

/* Writes a file of the bundle anew, with `from` (its first place) become `to`. */
static void edit(const struct rig *rig, const char *name, const char *from, const char *to)
{
    char *path = path_of(rig, name), *bytes = NULL;
    size_t size = 0;
    struct text edited;
    text_init(&edited);
    CHECK(file_read(path, 1 << 24, &bytes, &size));
    char *at = memmem(bytes, size, from, strlen(from));
    assert_non_null(at);
    text_add_bytes(&edited, bytes, (size_t)(at - bytes));
    text_add_bytes(&edited, to, strlen(to));
    text_add_bytes(&edited, at + strlen(from), size - (size_t)(at - bytes) - strlen(from));
    CHECK(file_write(path, text_get(&edited), edited.size));
    text_fini(&edited);
    mem_free(bytes);
    mem_free(path);
}

/* Its hash in bundle.json becomes that of what it holds now. */
static void list_anew(const struct rig *rig, const char *name)
{
    char hex[HASH_HEX_BYTES], *bytes = NULL, *path = path_of(rig, name);
    char *list = path_of(rig, "bundle.json");
    size_t size = 0, i = 0;
    json_t *json = json_load_file(list, 0, NULL), *row = NULL;
    CHECK(file_read(path, 1 << 24, &bytes, &size));
    struct hash hash = hash_of(bytes, size);
    hash_hex(&hash, hex);
    json_array_foreach(json_object_get(json, "files"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            json_object_set_new(row, "hash", json_string(hex));
    }
    assert_int_equal(json_dump_file(json, list, 0), 0);
    json_decref(json);
    mem_free(list);
    mem_free(bytes);
    mem_free(path);
}

static void a_file_that_was_changed_is_refused(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    write_bundle(&rig);
    edit(&rig, "network.pb", "NHWC", "NCHW");
    assert_int_equal(check(&rig, &found), ERR_DATA);
    assert_non_null(strstr(err_text(), "network.pb was changed since it was compiled"));
    bundle_check_fini(&found);
    list_anew(&rig, "network.pb");
    assert_int_equal(check(&rig, &found), ERR_DATA);
    assert_non_null(strstr(err_text(),
                           "tiny, network.pb: GraphDef: node stem/conv: data_format is "
                           "not NHWC; if glowworm compiled it, compile the bundle anew"));
    bundle_check_fini(&found);
    close_rig(&rig);
}

static void raw_frames_are_answered_as_the_bundle_expects(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    rig.has_frames = true;
    write_bundle(&rig);
    CHECK(check(&rig, &found));
    assert_int_equal(found.frames, SAMPLES);
    assert_true(found.frame_difference < 1e-6);
    assert_int_equal(json_array_size(found.failures), 0);
    bundle_check_fini(&found);
    char *path = path_of(&rig, "samples/00.raw"), black[2 * TINY_SIDE * TINY_SIDE] = {0};
    CHECK(file_write(path, black, sizeof black));
    list_anew(&rig, "samples/00.raw");
    CHECK(check(&rig, &found));
    check_says(found.failures, "answers the raw frames otherwise than samples.json expects");
    bundle_check_fini(&found);
    CHECK(file_write(path, black, sizeof black - 2));
    list_anew(&rig, "samples/00.raw");
    assert_int_equal(check(&rig, &found), ERR_DATA);
    assert_non_null(strstr(err_text(), "00.raw: a raw frame of 126 bytes is none of 8 x 8 words"));
    bundle_check_fini(&found);
    mem_free(path);
    close_rig(&rig);
}

static void formats_of_different_networks_fail(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    write_bundle(&rig);
    edit(&rig, "network.prototxt", "layer {\n  name: \"block1_sum\"",
         "layer {\n  name: \"clip\"\n  type: \"ReLU\"\n  bottom: \"block1_project\"\n"
         "  top: \"block1_project\"\n}\nlayer {\n  name: \"block1_sum\"");
    list_anew(&rig, "network.prototxt");
    CHECK(check(&rig, &found));
    check_says(found.failures, "network.caffemodel answers differently from network.pb");
    bundle_check_fini(&found);
    close_rig(&rig);
}

static void bundles_with_parts_missing_or_hostile_are_refused(void **state)
{
    static const struct {
        const char *name, *from, *to, *words;
    } cases[] = {
        {"samples.json", "samples/00.png", "../00.png", "a sample without a file of samples/"},
        {"samples.json", "samples/00.png", "samples/../0", "a sample without a file of samples/"},
        {"samples.json", "\"label\"", "\"lebal\"", "a sample without a file of samples/"},
        {"samples.json", "samples/00.raw", "../00.raw", "a raw frame that is no file of samples/"},
        {"samples.json", "\"outputs\"", "\"outfits\"", "without 3 expected outputs in fp"},
        {"bundle.json", "network.onnx", "../network.onnx", "files needs rows of name and hash"},
        {"bundle.json", "\"files\"", "\"fixes\"", "lists no files"},
        {"network.prototxt", "stride: 2", "stride: 0",
         "network.prototxt and network.caffemodel: prototxt: line"},
        {"camera.json", "\"scale\"", "\"scole\"", "input.mean and input.scale need 3 numbers"},
        {"labels.txt", "dog\n", "", "labels.txt has 2 lines, the network 3 classes"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        struct bundle_check found;
        open_rig(&rig, ACT_RELU);
        rig.has_frames = true;
        write_bundle(&rig);
        edit(&rig, cases[i].name, cases[i].from, cases[i].to);
        if (strcmp(cases[i].name, "bundle.json") != 0)
            list_anew(&rig, cases[i].name);
        enum err err = check(&rig, &found);
        if (err != ERR_DATA || !strstr(err_text(), cases[i].words))
            fail_msg("%s: %s, %s; expected \"%s\"", cases[i].to, err_name(err),
                     err ? err_text() : "", cases[i].words);
        bundle_check_fini(&found);
        close_rig(&rig);
    }
}

/* Reading one would wait for ever. */
static void a_fifo_in_a_bundle_is_not_waited_for(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    write_bundle(&rig);
    char *path = path_of(&rig, "network.pb");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(check(&rig, &found), ERR_DATA);
    assert_non_null(strstr(err_text(), "network.pb"));
    bundle_check_fini(&found);
    mem_free(path);
    close_rig(&rig);
}

static void overwrite(const struct rig *rig, const char *name, const void *bytes, size_t size)
{
    char *path = file_join(rig->bundle, name);
    CHECK(file_write(path, bytes, size));
    list_anew(rig, name);
    mem_free(path);
}

/* A bundle of somebody else: ours are not written so. */
static void let_unused_win(struct rig *rig)
{
    struct tiny_files files;
    for (int k = TINY_CLASSES; k < OUTPUTS; k++)
        rig->folded.layers[TINY_LOGITS].b[k] = 100;
    tiny_write(&rig->folded, &files);
    overwrite(rig, "network.pb", files.graphdef.data, files.graphdef.size);
    overwrite(rig, "network.onnx", files.onnx.data, files.onnx.size);
    overwrite(rig, "network.prototxt", text_get(&files.prototxt), files.prototxt.size);
    overwrite(rig, "network.caffemodel", files.caffemodel.data, files.caffemodel.size);
    tiny_files_fini(&files);
}

/* The camera takes the best of all outputs. */
static void outputs_of_no_class_that_win_fail(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    fill_up(&rig.folded);
    write_bundle(&rig);
    let_unused_win(&rig);
    CHECK(check(&rig, &found));
    check_says(found.failures, "network.pb answers 6 of 6 samples with an output of no class");
    check_says(found.failures, "network.onnx answers 6 of 6 samples with an output of no class");
    check_says(found.failures,
               "6 of 6 images are answered in fp16/fp32 with an output of no class");
    check_says(found.warnings,
               "6 of 6 images are answered in fp16/fp16 with an output of no class");
    assert_true(check_accuracy(&found, ARITHMETIC_FP32) == 0);
    bundle_check_fini(&found);
    close_rig(&rig);
}

/* Of bundle.json: the row of a file goes. */
static void take_off_list(const struct rig *rig, const char *name)
{
    char *list = path_of(rig, "bundle.json");
    size_t i = 0, found = SIZE_MAX;
    json_t *json = json_load_file(list, 0, NULL), *row = NULL;
    json_array_foreach(json_object_get(json, "files"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            found = i;
    }
    assert_int_equal(json_array_remove(json_object_get(json, "files"), found), 0);
    assert_int_equal(json_dump_file(json, list, 0), 0);
    json_decref(json);
    mem_free(list);
}

static void a_file_that_is_not_listed_is_not_believed(void **state)
{
    static const char *const names[] = {"network.pb",   "network.prototxt", "network.caffemodel",
                                        "network.onnx", "camera.json",      "labels.txt",
                                        "samples.json"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct rig rig;
        struct bundle_check found;
        char words[64];
        open_rig(&rig, ACT_RELU);
        write_bundle(&rig);
        take_off_list(&rig, names[i]);
        snprintf(words, sizeof words, "bundle.json does not list %s,", names[i]);
        assert_int_equal(check(&rig, &found), ERR_DATA);
        assert_non_null(strstr(err_text(), words));
        bundle_check_fini(&found);
        close_rig(&rig);
    }
}

/* Also where nothing was checked before, as predict reads one. */
static void a_fifo_is_waited_for_by_nobody_who_opens_a_bundle(void **state)
{
    static const char *const names[] = {"network.onnx", "camera.json", "labels.txt"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct rig rig;
        struct opened_bundle opened = {0};
        open_rig(&rig, ACT_RELU);
        write_bundle(&rig);
        char *path = path_of(&rig, names[i]);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(opened_bundle_load(rig.bundle, &opened), ERR_DATA);
        assert_non_null(strstr(err_text(), names[i]));
        opened_bundle_fini(&opened);
        mem_free(path);
        close_rig(&rig);
    }
}

/* 4096 of them would take 48 GiB. */
static void samples_beyond_memory_are_refused_unread(void **state)
{
    struct rig rig;
    struct check_images images = {0};
    struct opened_bundle opened = {
        .shape = {.channels = 3, .height = 2048, .width = 2048, .classes = 3}, .classes = 3};
    json_t *rows = json_array();
    (void)state;
    open_rig(&rig, ACT_RELU);
    write_bundle(&rig);
    for (int i = 0; i < 4096; i++)
        json_array_append_new(rows, json_object());
    char *path = path_of(&rig, "samples.json");
    assert_int_equal(json_dump_file(rows, path, 0), 0);
    assert_int_equal(check_images_open(rig.bundle, &opened, NULL, 8, &images), ERR_DATA);
    assert_non_null(strstr(err_text(), "4096 samples of 2048 x 2048 x 3 take more than 1024 MiB"));
    check_images_close(&images);
    json_decref(rows);
    mem_free(path);
    close_rig(&rig);
}

/* The bundle moves to where its run would have it. */
static void move_into_run(struct rig *rig, const char *campaign)
{
    char inside[sizeof rig->bundle], *yaml = file_join(rig->folder, "campaign.yaml");
    char *bundles = file_join(rig->folder, "bundles");
    CHECK(file_make_folders(bundles));
    snprintf(inside, sizeof inside, "%s/bundles/tiny", rig->folder);
    assert_int_equal(rename(rig->bundle, inside), 0);
    memcpy(rig->bundle, inside, sizeof inside);
    CHECK(file_write(yaml, campaign, strlen(campaign)));
    mem_free(bundles);
    mem_free(yaml);
}

static void why_a_run_s_images_are_not_read_is_said(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    write_bundle(&rig);
    move_into_run(&rig, "nonsense: 1\n");
    CHECK(check(&rig, &found));
    check_says(found.warnings, "for those of its run cannot be read: ");
    check_says(found.warnings, "campaign.yaml");
    assert_false(says(found.warnings, "--run RUN"));
    bundle_check_fini(&found);
    close_rig(&rig);
}

static void what_is_no_bundle_is_said_to_be_none(void **state)
{
    struct rig rig;
    struct bundle_check found;
    (void)state;
    open_rig(&rig, ACT_RELU);
    assert_int_equal(check(&rig, &found), ERR_NOT_FOUND);
    assert_non_null(strstr(err_text(), "tiny is not a bundle: it has no bundle.json"));
    bundle_check_fini(&found);
    close_rig(&rig);
}

static void the_command_writes_json_and_a_page(void **state)
{
    struct rig rig;
    char *json_path, *page_path, *page = NULL;
    size_t size = 0;
    (void)state;
    open_rig(&rig, ACT_RELU6);
    write_bundle(&rig);
    json_path = path_of(&rig, "check.json"), page_path = path_of(&rig, "check.html");
    char *arguments[] = {"check", rig.bundle, "--images", "3", "--threads", "1", NULL};
    CHECK(cmd_check(6, arguments));
    json_t *json = json_load_file(json_path, 0, NULL);
    assert_true(json_is_true(json_object_get(json, "passed")));
    assert_int_equal(json_integer_value(json_object_get(json, "images")), 3);
    assert_int_equal(json_array_size(json_object_get(json, "formats")), 2); /* no ReLU6 in Caffe */
    assert_int_equal(json_array_size(json_object_get(json, "layers")), TINY_LAYERS + 1);
    CHECK(file_read(page_path, 1 << 24, &page, &size));
    assert_non_null(strstr(page, "The bundle passes"));
    assert_non_null(strstr(page, "block1_depthwise"));
    json_decref(json);
    mem_free(page);
    mem_free(json_path);
    mem_free(page_path);
    close_rig(&rig);
}

static void a_check_that_fails_leaves_no_earlier_verdict(void **state)
{
    struct rig rig;
    (void)state;
    open_rig(&rig, ACT_RELU);
    write_bundle(&rig);
    char *json = path_of(&rig, "check.json"), *page = path_of(&rig, "check.html");
    char *arguments[] = {"check", rig.bundle, "--threads", "1", NULL};
    CHECK(cmd_check(4, arguments));
    assert_true(file_exists(json));
    overwrite(&rig, "network.pb", "other", 5);
    assert_int_equal(cmd_check(4, arguments), ERR_DATA);
    assert_non_null(strstr(err_text(), "network.pb"));
    assert_false(file_exists(json));
    assert_false(file_exists(page));
    mem_free(json);
    mem_free(page);
    close_rig(&rig);
}

/* check.json cannot be written where a folder has its name. */
static void a_check_that_cannot_be_written_is_printed(void **state)
{
    struct rig rig;
    char *printed = NULL;
    size_t size = 0;
    (void)state;
    open_rig(&rig, ACT_RELU);
    write_bundle(&rig);
    char *taken = path_of(&rig, "check.json"), *to = file_join(rig.folder, "printed");
    char *arguments[] = {"check", rig.bundle, "--json", "--threads", "1", NULL};
    assert_int_equal(mkdir(taken, 0700), 0);
    fflush(stdout);
    int standard = dup(STDOUT_FILENO);
    assert_non_null(freopen(to, "w", stdout));
    enum err err = cmd_check(5, arguments);
    fflush(stdout);
    assert_int_equal(dup2(standard, STDOUT_FILENO), STDOUT_FILENO);
    close(standard);
    assert_int_equal(err, ERR_IO);
    CHECK(file_read(to, 1 << 24, &printed, &size));
    assert_non_null(strstr(printed, "\"passed\": true"));
    mem_free(printed);
    mem_free(taken);
    mem_free(to);
    close_rig(&rig);
}

/* As one who may only read it; root may write everywhere. */
static void a_bundle_that_cannot_be_written_to_is_refused_before_anything(void **state)
{
    (void)state;
    struct rig rig;
    int status = 0;
    open_rig(&rig, ACT_RELU);
    write_bundle(&rig);
    assert_int_equal(chmod(rig.folder, 0755), 0);
    assert_int_equal(chmod(rig.bundle, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
        char *arguments[] = {"check", rig.bundle, NULL};
        bool is_other = geteuid() != 0 || setuid(65534) == 0;
        enum err err = is_other ? cmd_check(2, arguments) : ERR_OK;
        _exit(err == ERR_IO && strstr(err_text(), "copy the bundle, and check the copy") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(chmod(rig.bundle, 0755), 0);
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_bundle_passes),
        cmocka_unit_test(outputs_of_no_class_and_bgr_are_known),
        cmocka_unit_test(time_and_bytes_of_a_layer_follow_from_its_shape),
        cmocka_unit_test(a_layer_that_breaks_a_rule_of_the_device_is_named),
        cmocka_unit_test(gates_and_h_swish_are_known_by_what_they_are_written_as),
        cmocka_unit_test(a_layer_that_overflows_is_named),
        cmocka_unit_test(lost_accuracy_fails_with_the_layer_that_loses_it),
        cmocka_unit_test(a_file_that_was_changed_is_refused),
        cmocka_unit_test(raw_frames_are_answered_as_the_bundle_expects),
        cmocka_unit_test(formats_of_different_networks_fail),
        cmocka_unit_test(bundles_with_parts_missing_or_hostile_are_refused),
        cmocka_unit_test(a_fifo_in_a_bundle_is_not_waited_for),
        cmocka_unit_test(a_fifo_is_waited_for_by_nobody_who_opens_a_bundle),
        cmocka_unit_test(a_file_that_is_not_listed_is_not_believed),
        cmocka_unit_test(samples_beyond_memory_are_refused_unread),
        cmocka_unit_test(outputs_of_no_class_that_win_fail),
        cmocka_unit_test(why_a_run_s_images_are_not_read_is_said),
        cmocka_unit_test(a_check_that_cannot_be_written_is_printed),
        cmocka_unit_test(a_check_that_fails_leaves_no_earlier_verdict),
        cmocka_unit_test(what_is_no_bundle_is_said_to_be_none),
        cmocka_unit_test(the_command_writes_json_and_a_page),
        cmocka_unit_test(a_bundle_that_cannot_be_written_to_is_refused_before_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
