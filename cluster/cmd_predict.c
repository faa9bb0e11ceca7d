/* glowworm predict: a compiled bundle on image files, as the camera would see them. */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/command.h"
#include "trainer/data/image_file.h"
#include "trainer/export/bundle.h"
#include "trainer/export/onnx_run.h"
#include "trainer/record/json_name.h"
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 30 };

struct opened { /* a bundle, ready to answer */
    struct onnx_net *net;
    struct onnx_shape shape;
    struct dataset_info dataset; /* mean and deviation only */
    char *labels_text;
    char **labels; /* (classes), into labels_text */
    float *values, *logits, *probabilities;
};

static void close_bundle(struct opened *opened)
{
    onnx_close(&opened->net);
    mem_free(opened->labels_text);
    mem_free(opened->labels);
    mem_free(opened->values);
    mem_free(opened->logits);
    mem_free(opened->probabilities);
}

static enum err read_part(const char *bundle, const char *name, char **bytes, size_t *size)
{
    char *path = file_join(bundle, name);
    enum err err = file_read(path, MAX_FILE, bytes, size);
    if (err == ERR_NOT_FOUND)
        err = err_set(ERR_NOT_FOUND, "%s is not a bundle: it has no %s", bundle, name);
    mem_free(path);
    return err;
}

/* mean and scale of camera.json, one of each per channel. */
static enum err read_normalisation(const char *bundle, int channels, struct dataset_info *dataset)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size = 0;
    json_t *camera = NULL;
    TRY(read_part(bundle, "camera.json", &bytes, &size));
    camera = json_loadb(bytes, size, 0, NULL);
    const json_t *input = json_object_get(camera, "input");
    for (int c = 0; c < channels && c < 3; c++) {
        const json_t *mean = json_array_get(json_object_get(input, "mean"), (size_t)c);
        const json_t *scale = json_array_get(json_object_get(input, "scale"), (size_t)c);
        if (!json_is_number(mean) || !json_is_number(scale) || !(json_number_value(scale) > 0))
            TRY(err_set(
                ERR_DATA,
                "%s/camera.json: input.mean and input.scale need %d numbers: compile it anew",
                bundle, channels));
        dataset->mean[c] = json_number_value(mean);
        dataset->deviation[c] = json_number_value(scale);
    }
out:
    json_decref(camera);
    mem_free(bytes);
    return err;
}

static enum err read_labels(const char *bundle, struct opened *opened)
{
    enum err err = ERR_OK;
    size_t size = 0;
    int count = 0;
    TRY(read_part(bundle, "labels.txt", &opened->labels_text, &size));
    opened->labels = mem_array((size_t)opened->shape.classes, sizeof *opened->labels);
    for (char *line = opened->labels_text, *end; *line && (end = strchr(line, '\n'));
         line = end + 1) {
        *end = '\0';
        if (count < opened->shape.classes)
            opened->labels[count] = line;
        count++;
    }
    if (count != opened->shape.classes)
        TRY(err_set(ERR_DATA, "%s/labels.txt has %d lines, the network %d classes: compile it anew",
                    bundle, count, opened->shape.classes));
out:
    return err;
}

static enum err open_bundle(const char *bundle, struct opened *opened)
{
    enum err err = ERR_OK;
    char *bytes = NULL;
    size_t size = 0;
    TRY(read_part(bundle, "network.onnx", &bytes, &size));
    err = onnx_open(bytes, size, &opened->net);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s/network.onnx", bundle));
    opened->shape = onnx_net_shape(opened->net);
    if (opened->shape.height != opened->shape.width ||
        (opened->shape.channels != 1 && opened->shape.channels != 3))
        TRY(err_set(ERR_DATA, "%s/network.onnx: the input is not a square image of 1 or 3 channels",
                    bundle));
    TRY(read_normalisation(bundle, opened->shape.channels, &opened->dataset));
    TRY(read_labels(bundle, opened));
    size_t values =
        (size_t)opened->shape.height * (size_t)opened->shape.width * (size_t)opened->shape.channels;
    opened->values = mem_array(values, sizeof *opened->values);
    opened->logits = mem_array((size_t)opened->shape.classes, sizeof *opened->logits);
    opened->probabilities = mem_array((size_t)opened->shape.classes, sizeof *opened->probabilities);
out:
    mem_free(bytes);
    return err;
}

static void print_answer(const struct opened *opened, const char *path, int top)
{
    int classes = opened->shape.classes;
    bool *is_shown = mem_array((size_t)classes, sizeof *is_shown);
    printf("%s:", path);
    for (int n = 0; n < top && n < classes; n++) {
        int best = -1;
        for (int k = 0; k < classes; k++)
            if (!is_shown[k] &&
                (best < 0 || opened->probabilities[k] > opened->probabilities[best]))
                best = k;
        is_shown[best] = true;
        printf("%s %s %.2f %%", n ? "," : "", opened->labels[best],
               100 * (double)opened->probabilities[best]);
    }
    printf("\n");
    mem_free(is_shown);
}

static json_t *answer_json(const struct opened *opened, const char *path)
{
    int classes = opened->shape.classes, best = 0;
    json_t *logits = json_array(), *probabilities = json_array();
    for (int k = 0; k < classes; k++) {
        best = opened->probabilities[k] > opened->probabilities[best] ? k : best;
        json_array_append_new(logits, json_real(opened->logits[k]));
        json_array_append_new(probabilities, json_real(opened->probabilities[k]));
    }
    return json_pack("{s:o, s:i, s:o, s:o, s:o}", "image", json_name(path), "class", best, "label",
                     json_name(opened->labels[best]), "logits", logits, "probabilities",
                     probabilities);
}

static enum err predict_file(struct opened *opened, const char *path)
{
    enum err err = ERR_OK;
    struct image read = {0}, fitted = {0};
    struct image_limits limits = {.pixels = IMAGE_MAX_PIXELS};
    err = image_file_read(path, &limits, &read, NULL);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s", path));
    bundle_fit_image(&read, opened->shape.height, opened->shape.channels, &fitted);
    bundle_normalise(&opened->dataset, &fitted, opened->values);
    err = onnx_run(opened->net, opened->values, opened->logits, opened->probabilities);
    if (err != ERR_OK)
        TRY(err_prefix(err, "%s through network.onnx", path));
out:
    mem_free(read.pixels);
    mem_free(fitted.pixels);
    return err;
}

enum err cmd_predict(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"top", required_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    struct opened opened = {0};
    json_t *answers = json_array();
    long top = 1;
    bool is_json = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 't' && text_to_int(optarg, 1, 1000, &top) != ERR_OK)
            TRY(err_set(ERR_USAGE, "--top must be 1 to 1000, not \"%s\"", optarg));
        else if (option == 'j')
            is_json = true;
        else if (option != 't')
            TRY(err_set(ERR_USAGE, "unknown option"));
    }
    if (argc - optind < 2)
        TRY(err_set(ERR_USAGE, "name a bundle's folder and at least one image"));
    TRY(image_file_start());
    TRY(open_bundle(argv[optind], &opened));
    for (int i = optind + 1; i < argc; i++) {
        TRY(predict_file(&opened, argv[i]));
        if (is_json)
            json_array_append_new(answers, answer_json(&opened, argv[i]));
        else
            print_answer(&opened, argv[i], (int)top);
    }
    if (is_json) {
        json_dumpf(answers, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        printf("\n");
    }
out:
    json_decref(answers);
    close_bundle(&opened);
    return err;
}
