#include "trainer/export/bundle.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/hash.h"
#include "base/mem.h"
#include "trainer/data/augment.h"
#include "trainer/data/image_file.h"
#include "trainer/data/image_png.h"
#include "trainer/export/bundle_keep.h"
#include "trainer/export/bundle_readme.h"
#include "trainer/export/convert_command.h"
#include "trainer/export/onnx_run.h"
#include "trainer/export/raw_frame.h"
#include "trainer/export/writers.h"
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fold_cfg bundle_fold(const struct camera_device *device, const struct space *space)
{
    return (struct fold_cfg){.outputs = device_outputs(&device->rules, space->classes),
                             .is_bgr = camera_device_format(device, space->channels) == PIXEL_BGR8};
}

const char *const bundle_expected_names[BUNDLE_EXPECTED] = {"fp32", "fp16/fp32"};

/* The bundle while it is being written. */
struct bundle {
    const struct bundle_cfg *cfg;
    char *aside; /* the folder it grows in */
    json_t *files, *refused;
    bool has_tensorflow, has_caffe; /* written */
    double worst_difference;        /* relative to the largest logit */
};

static enum err add_file(struct bundle *bundle, const char *name, const char *what,
                         const void *bytes, size_t size)
{
    char hex[HASH_HEX_BYTES];
    char *path = file_join(bundle->aside, name);
    enum err err = file_write(path, bytes, size);
    struct hash hash = hash_of(bytes, size);
    hash_hex(&hash, hex);
    json_array_append_new(bundle->files, json_pack("{s:s, s:s, s:I, s:s}", "name", name, "what",
                                                   what, "bytes", (json_int_t)size, "hash", hex));
    mem_free(path);
    return err;
}

static enum err add_json(struct bundle *bundle, const char *name, const char *what, json_t *json)
{
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    enum err err = text ? add_file(bundle, name, what, text, strlen(text))
                        : err_set(ERR_FAILED, "%s: no JSON", name);
    free(text);
    return err;
}

/* A format's refusal is a line in the bundle, not its end. */
static enum err add_refusal(struct bundle *bundle, const char *format, enum err err)
{
    if (err != ERR_CONFIG)
        return err;
    json_array_append_new(bundle->refused,
                          json_pack("{s:s, s:s}", "format", format, "reason", err_text()));
    return ERR_OK;
}

static enum err add_tensorflow(struct bundle *bundle)
{
    struct bytes bytes = {0};
    enum err err = tensorflow_write(bundle->cfg->folded, &bytes);
    bundle->has_tensorflow = err == ERR_OK;
    if (err == ERR_OK)
        err = add_file(bundle, "network.pb", "TensorFlow GraphDef", bytes.data, bytes.size);
    else
        err = add_refusal(bundle, "tensorflow", err);
    mem_free(bytes.data);
    return err;
}

static enum err add_caffe(struct bundle *bundle)
{
    struct bytes bytes = {0};
    struct text prototxt;
    text_init(&prototxt);
    enum err err = caffe_write(bundle->cfg->folded, bundle->cfg->target, &prototxt, &bytes);
    bundle->has_caffe = err == ERR_OK;
    if (err == ERR_OK)
        err = add_file(bundle, "network.prototxt", "Caffe network", text_get(&prototxt),
                       prototxt.size);
    else
        err = add_refusal(bundle, "caffe", err);
    if (err == ERR_OK && bytes.data)
        err = add_file(bundle, "network.caffemodel", "Caffe weights", bytes.data, bytes.size);
    text_fini(&prototxt);
    mem_free(bytes.data);
    return err;
}

/* Outputs of no class are far below the winner: e^-20 is 2e-9. */
static enum err check_unused(const struct bundle *bundle, const struct bundle_sample *sample,
                             const float *logits)
{
    const struct folded *folded = bundle->cfg->folded;
    double best = -INFINITY;
    for (int k = 0; k < folded->classes; k++)
        best = fmax(best, logits[k]);
    for (int k = folded->classes; k < folded->outputs; k++)
        if (!(logits[k] < best - 20))
            return err_set(
                ERR_FAILED,
                "bundle %s: output %d, which stands for no class, answers %.3g on image "
                "%u, where the best class answers %.3g: answers so far below 0 cannot be "
                "told from those that fill up; train with weight decay",
                bundle->cfg->target, k, (double)logits[k], sample->record, best);
    return ERR_OK;
}

/* Runs the written ONNX over the samples and compares with the supernet. */
static enum err check_onnx(struct bundle *bundle, const struct bytes *bytes)
{
    enum err err = ERR_OK;
    const struct bundle_cfg *cfg = bundle->cfg;
    int classes = cfg->folded->classes, outputs = cfg->folded->outputs, side = cfg->folded->side;
    struct onnx_net *net = NULL;
    float *image = mem_array((size_t)(side * side * cfg->folded->channels), sizeof *image);
    float *logits = mem_array(2 * (size_t)outputs, sizeof *logits);
    TRY(onnx_open(bytes->data, bytes->size, &net));
    for (int i = 0; i < cfg->sample_count; i++) {
        double largest = 0, difference = 0;
        bundle_normalise(cfg->dataset, &cfg->samples[i].image, cfg->folded->is_bgr, image);
        TRY(onnx_run(net, image, logits, logits + outputs));
        for (int k = 0; k < classes; k++) {
            largest = fmax(largest, fabs(cfg->samples[i].logits[k]));
            difference = fmax(difference, fabs(cfg->samples[i].logits[k] - logits[k]));
        }
        TRY(check_unused(bundle, &cfg->samples[i], logits));
        double relative = difference / fmax(largest, 1e-30);
        bundle->worst_difference = fmax(bundle->worst_difference, relative);
        if (!(relative <= BUNDLE_TOLERANCE))
            TRY(err_set(
                ERR_FAILED,
                "bundle %s: the compiled network differs from the supernet by %.2g of the largest "
                "logit on image %u",
                cfg->target, relative, cfg->samples[i].record));
    }
out:
    onnx_close(&net);
    mem_free(logits);
    mem_free(image);
    return err;
}

static enum err add_onnx(struct bundle *bundle)
{
    enum err err = ERR_OK;
    struct bytes bytes = {0};
    TRY(onnx_write(bundle->cfg->folded, bundle->cfg->target, &bytes));
    TRY(check_onnx(bundle, &bytes));
    TRY(add_file(bundle, "network.onnx", "ONNX, opset 10", bytes.data, bytes.size));
out:
    mem_free(bytes.data);
    return err;
}

static enum err add_labels(struct bundle *bundle)
{
    struct text labels;
    text_init(&labels);
    for (int k = 0; k < bundle->cfg->dataset->classes; k++)
        text_add(&labels, "%s\n", bundle->cfg->dataset->class_names[k]);
    for (int k = bundle->cfg->dataset->classes; k < bundle->cfg->folded->outputs; k++)
        text_add(&labels, "(unused %d)\n", k);
    enum err err =
        add_file(bundle, "labels.txt", "class names, one a line", text_get(&labels), labels.size);
    text_fini(&labels);
    return err;
}

/* One of each channel, in the order the network takes them. */
static json_t *channel_values(const struct folded *folded, const double *values)
{
    json_t *array = json_array();
    for (int c = 0; c < folded->channels; c++)
        json_array_append_new(array,
                              json_real(values[folded->is_bgr ? folded->channels - 1 - c : c]));
    return array;
}

static const char *format_name(const struct folded *folded)
{
    return pixel_format_name(folded->channels == 1 ? PIXEL_MONO8
                             : folded->is_bgr      ? PIXEL_BGR8
                                                   : PIXEL_RGB8);
}

/* {"tensorflow": ..., "caffe": ...}: a node's name in each format that was written. */
static json_t *node_names(const struct bundle *bundle, const char *tensorflow, const char *caffe)
{
    json_t *names = json_object();
    if (bundle->has_tensorflow)
        json_object_set_new(names, "tensorflow", json_string(tensorflow));
    if (bundle->has_caffe)
        json_object_set_new(names, "caffe", json_string(caffe));
    return names;
}

/* What of its sensor the camera looks at: all, or the largest square in the middle. A device that
 * pads by itself has nothing beside its sensor. */
static struct bundle_region find_region(const struct bundle_cfg *cfg)
{
    int width = cfg->device->sensor_width, height = cfg->device->sensor_height;
    if (width == 0 || height == 0)
        return (struct bundle_region){0};
    struct transform seen = augment_evaluate(cfg->geometry, height, width);
    if (cfg->geometry == GEOMETRY_PAD)
        return (struct bundle_region){width, height, 0, 0};
    return (struct bundle_region){(int)seen.area.width, (int)seen.area.height, (int)seen.area.x,
                                  (int)seen.area.y};
}

static void add_region(const struct bundle_cfg *cfg, json_t *nodes)
{
    struct bundle_region region = find_region(cfg);
    if (region.width == 0)
        return;
    json_object_set_new(nodes, "Width", json_integer(region.width));
    json_object_set_new(nodes, "Height", json_integer(region.height));
    json_object_set_new(nodes, "OffsetX", json_integer(region.x));
    json_object_set_new(nodes, "OffsetY", json_integer(region.y));
}

/* The camera's nodes. */
static json_t *camera_nodes(const struct bundle_cfg *cfg)
{
    json_t *nodes = json_pack(
        "{s:s, s:b, s:s, s:o, s:o}", "InferenceNetworkTypeSelector", "Classification",
        "InferenceEnable", 1, "InferencePreprocessBppSelector", format_name(cfg->folded),
        "InferencePreprocessChannelMean", channel_values(cfg->folded, cfg->dataset->mean),
        "InferencePreprocessChannelScalar", channel_values(cfg->folded, cfg->dataset->deviation));
    add_region(cfg, nodes);
    return nodes;
}

/* What has to be set on the camera, under its GenICam names where they are known. */
static enum err add_camera(struct bundle *bundle)
{
    const struct bundle_cfg *cfg = bundle->cfg;
    const struct folded *folded = cfg->folded;
    json_t *latency_ms = camera_device_has_latency(cfg->device) ? json_real(cfg->latency_ms) : NULL;
    json_t *input = json_pack(
        "{s:i, s:i, s:i, s:s, s:s, s:o, s:o, s:s}", "width", folded->side, "height", folded->side,
        "channels", folded->channels, "pixel_format", format_name(folded), "geometry",
        geometry_name(cfg->geometry), "mean", channel_values(folded, cfg->dataset->mean), "scale",
        channel_values(folded, cfg->dataset->deviation), "formula", "(pixel - mean) / scale");
    json_t *camera =
        json_pack("{s:s, s:s, s:o, s:i, s:i, s:s, s:o, s:o, s:o*, s:o}", "device",
                  cfg->device->name, "network_type", "Classification", "input", input, "classes",
                  folded->classes, "outputs", folded->outputs, "labels", "labels.txt", "input_node",
                  node_names(bundle, CONVERT_INPUT, "data"), "output_node",
                  node_names(bundle, CONVERT_OUTPUT, "probabilities"), "predicted_latency_ms",
                  latency_ms, "genicam", camera_nodes(cfg));
    enum err err = add_json(bundle, "camera.json", "camera settings", camera);
    json_decref(camera);
    return err;
}

/* A file that is a command, too. */
static enum err add_convert_script(struct bundle *bundle, const struct bundle_readme *readme)
{
    enum err err = ERR_OK;
    struct text script;
    char *path = NULL;
    text_init(&script);
    if (!bundle->has_tensorflow && !bundle->has_caffe)
        goto out;
    bundle_convert_script(readme, &script);
    TRY(add_file(bundle, "convert.sh", "command for NCSDK", text_get(&script), script.size));
    path = file_join(bundle->aside, "convert.sh");
    if (chmod(path, 0755) != 0)
        TRY(err_set(ERR_IO, "%s cannot be made a command: %s", path, strerror(errno)));
out:
    mem_free(path);
    text_fini(&script);
    return err;
}

static enum err add_readme(struct bundle *bundle)
{
    enum err err = ERR_OK;
    struct text text;
    struct bundle_readme readme = {bundle->cfg, format_name(bundle->cfg->folded),
                                   bundle->has_tensorflow, bundle->has_caffe,
                                   find_region(bundle->cfg)};
    text_init(&text);
    TRY(add_convert_script(bundle, &readme));
    bundle_readme_write(&readme, &text);
    TRY(add_file(bundle, "README.txt", "what to do with it", text_get(&text), text.size));
out:
    text_fini(&text);
    return err;
}

/* JSON has no infinity and no NaN: null. */
static json_t *real(float value)
{
    return isfinite(value) ? json_real((double)value) : json_null();
}

static json_t *float_array(const float *values, int count)
{
    json_t *array = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(array, real(values[i]));
    return array;
}

static int find_best(const float *outputs, int count)
{
    int best = 0;
    for (int k = 1; k < count; k++)
        best = outputs[k] > outputs[best] ? k : best;
    return best;
}

static json_t *expected_json(const float *expected, int outputs)
{
    json_t *json = json_object();
    for (int e = 0; e < BUNDLE_EXPECTED; e++, expected += outputs) {
        int best = find_best(expected, outputs);
        json_object_set_new(json, bundle_expected_names[e],
                            json_pack("{s:i, s:o, s:o}", "class", best, "confidence",
                                      real(expected[best]), "outputs",
                                      float_array(expected, outputs)));
    }
    return json;
}

/* The picture as the camera's image injection takes it, and what must come of that. */
static enum err add_frame(struct bundle *bundle, int index, json_t *row)
{
    enum err err = ERR_OK;
    char name[64];
    const struct bundle_sample *sample = &bundle->cfg->samples[index];
    size_t size = raw_frame_bytes(sample->image.H, sample->image.W);
    uint8_t *bytes = mem_alloc(size);
    snprintf(name, sizeof name, "samples/%02d.raw", index);
    raw_frame_write(&sample->image, bytes);
    TRY(add_file(bundle, name, "the same as a raw frame", bytes, size));
    json_object_set_new(row, "raw", json_string(name));
    json_object_set_new(row, "expected",
                        expected_json(sample->expected, bundle->cfg->folded->outputs));
out:
    mem_free(bytes);
    return err;
}

static enum err add_sample(struct bundle *bundle, int index, json_t *samples)
{
    enum err err = ERR_OK;
    const struct bundle_cfg *cfg = bundle->cfg;
    const struct bundle_sample *sample = &cfg->samples[index];
    const char *what = cfg->sample_split == SPLIT_TRAIN ? "training image" : "hold-out image";
    char name[64];
    uint8_t *png = NULL;
    size_t size = 0;
    snprintf(name, sizeof name, "samples/%02d.png", index);
    TRY(image_png(&sample->image, &png, &size));
    TRY(add_file(bundle, name, what, png, size));
    json_t *row = json_pack("{s:s, s:I, s:i, s:o}", "file", name, "record",
                            (json_int_t)sample->record, "label", (int)sample->image.label, "logits",
                            float_array(sample->logits, cfg->folded->classes));
    json_array_append_new(samples, row);
    if (sample->expected)
        TRY(add_frame(bundle, index, row));
out:
    mem_free(png);
    return err;
}

static enum err add_samples(struct bundle *bundle)
{
    enum err err = ERR_OK;
    json_t *samples = json_array();
    char *folder = file_join(bundle->aside, "samples");
    TRY(file_make_folders(folder));
    TRY(image_file_start());
    for (int i = 0; i < bundle->cfg->sample_count; i++)
        TRY(add_sample(bundle, i, samples));
    TRY(add_json(bundle, "samples.json", "outputs the samples must give", samples));
out:
    mem_free(folder);
    json_decref(samples);
    return err;
}

static enum err add_everything(struct bundle *bundle)
{
    enum err err = ERR_OK;
    const struct bundle_cfg *cfg = bundle->cfg;
    TRY(add_onnx(bundle));
    if (cfg->formats.tensorflow)
        TRY(add_tensorflow(bundle));
    if (cfg->formats.caffe)
        TRY(add_caffe(bundle));
    TRY(add_labels(bundle));
    TRY(add_camera(bundle));
    TRY(add_readme(bundle));
    TRY(add_samples(bundle));
    json_t *json = json_pack(
        "{s:i, s:s, s:s, s:s, s:I, s:I, s:o*, s:s, s:f, s:i, s:s, s:O, s:O}", "version", 1,
        "target", cfg->target, "device", cfg->device->name, "subnet", cfg->subnet, "macs",
        (json_int_t)cfg->macs, "parameters", (json_int_t)cfg->parameters, "budget_ms",
        cfg->budget_ms > 0 ? json_real(cfg->budget_ms) : NULL, "checkpoint", cfg->checkpoint,
        "worst_difference", bundle->worst_difference, "samples", cfg->sample_count, "sample_split",
        cfg->sample_split == SPLIT_TRAIN ? "train" : "holdout", "files", bundle->files, "refused",
        bundle->refused);
    err = add_json(bundle, "bundle.json", "this list", json);
    json_decref(json);
out:
    return err;
}

/* A bundle may be replaced, and an empty folder is as good as none; anything else is somebody's. */
static enum err check_folder(const char *folder)
{
    if (!file_exists(folder) || rmdir(folder) == 0)
        return ERR_OK;
    char *path = file_join(folder, "bundle.json");
    json_t *list = json_load_file(path, 0, NULL);
    bool is_bundle = json_is_array(json_object_get(list, "files")) &&
                     json_is_string(json_object_get(list, "subnet"));
    json_decref(list);
    mem_free(path);
    return is_bundle ? ERR_OK
                     : err_set(ERR_CONFIG,
                               "%s exists and is no bundle: name another folder, or remove it by "
                               "hand",
                               folder);
}

enum err bundle_write(const struct bundle_cfg *cfg)
{
    enum err err = ERR_OK;
    struct bundle bundle = {.cfg = cfg, .files = json_array(), .refused = json_array()};
    char *folder = file_without_slash(cfg->folder);
    struct text aside;
    char mark[FENCE_MARK];
    fence_mark(&cfg->fence, mark);
    text_init(&aside);
    text_add(&aside, "%s.compiling%s", folder, mark);
    bundle.aside = mem_string(text_get(&aside));
    TRY(folder_recover(bundle.aside, folder)); /* two things one that was killed may have left */
    TRY(check_folder(folder));
    TRY(file_remove_folder(bundle.aside));
    TRY(file_make_folders(bundle.aside));
    TRY(add_everything(&bundle));
    TRY(bundle_keep(folder, bundle.aside, bundle.files));
    TRY(fence_check(&cfg->fence));
    TRY(fence_judge(&cfg->fence, folder_replace(bundle.aside, folder)));
out:
    mem_free(folder);
    mem_free(bundle.aside);
    text_fini(&aside);
    json_decref(bundle.files);
    json_decref(bundle.refused);
    return err;
}
