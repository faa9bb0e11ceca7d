/* glowworm evaluate: one sub-network of a checkpoint on a batch of images from a .npy file. */
#include "base/mem.h"
#include "base/text.h"
#include "cluster/command.h"
#include "cluster/npy.h"
#include "kernels/memory.h"
#include "trainer/supernet/dry_run.h"
#include "trainer/weights/model.h"
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_INPUT_BYTES ((size_t)4 << 30)

struct request { /* the command line */
    const char *checkpoint, *subnet, *input, *output;
    enum pass_mode mode;
    struct device_cfg device;
    bool has_json;
};

struct opened { /* what every way of evaluating needs */
    struct device *device;
    struct model *model;
    struct subnet subnet;
};

static enum err read_mode(const char *text, enum pass_mode *mode)
{
    if (strcmp(text, "eval") == 0)
        *mode = PASS_FIXED;
    else if (strcmp(text, "train") == 0)
        *mode = PASS_BATCH_NORM;
    else
        return err_set(ERR_USAGE,
                       "--mode %s: eval (the checkpoint's statistics) or train (the "
                       "batch's own)",
                       text);
    return ERR_OK;
}

static enum err read_threads(const char *text, int *threads)
{
    long value = 0;
    if (text_to_int(text, 1, 1024, &value) != ERR_OK)
        return err_set(ERR_USAGE, "--threads %s: a number from 1 to 1024", text);
    *threads = (int)value;
    return ERR_OK;
}

static enum err read_option(int option, const char *value, struct request *request)
{
    switch (option) {
    case 's':
        request->subnet = value;
        return ERR_OK;
    case 'i':
        request->input = value;
        return ERR_OK;
    case 'o':
        request->output = value;
        return ERR_OK;
    case 'j':
        request->has_json = true;
        return ERR_OK;
    case 'm':
        return read_mode(value, &request->mode);
    case 't':
        return read_threads(value, &request->device.threads);
    case 'd':
        request->device.name = value;
        return ERR_OK;
    case 'p':
        return precision_parse(value, &request->device.precision) == ERR_OK
                   ? ERR_OK
                   : err_prefix(ERR_USAGE, "--precision");
    case 'a':
        return isa_parse(value, &request->device.isa) == ERR_OK ? ERR_OK
                                                                : err_prefix(ERR_USAGE, "--isa");
    default:
        return err_set(ERR_USAGE, "that option is not known, or lacks its value");
    }
}

static enum err read_options(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {{"subnet", required_argument, NULL, 's'},
                                            {"input", required_argument, NULL, 'i'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"mode", required_argument, NULL, 'm'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"isa", required_argument, NULL, 'a'},
                                            {"precision", required_argument, NULL, 'p'},
                                            {"device", required_argument, NULL, 'd'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    enum err err = ERR_OK;
    optind = 0; /* from the start, whoever parsed before */
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *request = (struct request){
        .mode = PASS_FIXED,
        .device = {.name = "auto", .threads = processors > 0 ? (int)processors : 1}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        TRY(read_option(option, optarg, request));
    if (argc - optind != 1)
        TRY(err_set(ERR_USAGE, "name one checkpoint: PATH or PATH@NAME"));
    if (!request->subnet)
        TRY(err_set(ERR_USAGE, "--subnet is missing, e.g. --subnet \"r=128 k=7 e=6 d=4\""));
    request->checkpoint = argv[optind];
out:
    return err;
}

static enum err open_all(const struct request *request, struct opened *opened)
{
    enum err err = ERR_OK;
    TRY(device_open(&request->device, &opened->device));
    TRY(model_open(request->checkpoint, opened->device, &opened->model));
    TRY(subnet_parse(&opened->model->space, request->subnet, &opened->subnet));
out:
    return err;
}

static void close_all(struct opened *opened)
{
    model_close(&opened->model);
    device_close(&opened->device);
}

/* The file must be (N, channels, R, R), and R what the sub-network says, if it says so. */
static enum err check_images(const struct npy *images, const char *path, struct opened *opened)
{
    size_t channels = (size_t)opened->model->space.channels;
    if (images->rank != 4 || images->shape[1] != channels || images->shape[2] != images->shape[3])
        return err_set(ERR_DATA, "%s: images must be (N, %zu, R, R), it has %d axes", path,
                       channels, images->rank);
    if (images->shape[0] < 1 || images->shape[2] < 1 || images->shape[0] > 65536 ||
        images->shape[2] > 4096)
        return err_set(ERR_DATA, "%s: %zu images of %zu pixels: 1 to 65536 of 1 to 4096 can be run",
                       path, images->shape[0], images->shape[2]);
    int R = (int)images->shape[2];
    if (opened->subnet.resolution != 0 && opened->subnet.resolution != R)
        return err_set(ERR_DATA, "%s holds images of %d pixels, the sub-network says r=%d", path, R,
                       opened->subnet.resolution);
    opened->subnet.resolution = R;
    return ERR_OK;
}

/* (N,C,R,R) to (N,R,R,C) */
static float *channels_last(const struct npy *images)
{
    size_t N = images->shape[0], C = images->shape[1], pixels = images->shape[2] * images->shape[3];
    float *out = mem_array(images->count, sizeof *out);
    for (size_t n = 0; n < N; n++)
        for (size_t c = 0; c < C; c++)
            for (size_t i = 0; i < pixels; i++)
                out[(n * pixels + i) * C + c] = images->values[(n * C + c) * pixels + i];
    return out;
}

static enum err prepare(const struct request *request, struct opened *opened, int N)
{
    enum err err = ERR_OK;
    struct workload workload = {0};
    TRY(dry_run_subnet(opened->model->net, &opened->subnet, N, request->mode, &workload));
    TRY(opened->device->ops->prepare(opened->device, &workload));
out:
    workload_fini(&workload);
    return err;
}

/* One batch through the network: *logits (N,classes), returns owned. */
static enum err run_images(const struct npy *images, const struct request *request,
                           struct opened *opened, float **logits)
{
    enum err err = ERR_OK;
    struct activation_arena *arena = NULL;
    struct device *device = opened->device;
    float *host = channels_last(images);
    void *on_device = NULL;
    const float *result = NULL;
    int N = (int)images->shape[0];
    size_t count = images->shape[0] * (size_t)opened->model->space.classes;
    TRY(prepare(request, opened, N));
    TRY(memory_map(device, host, images->count, &on_device));
    TRY(activation_arena_create(opened->model->net, N, opened->subnet.resolution, request->mode,
                                &arena));
    struct forward forward = {.subnet = &opened->subnet,
                              .weights = opened->model->net->weights,
                              .shadow = opened->model->net->shadow,
                              .images = on_device,
                              .N = N,
                              .mode = request->mode};
    TRY(supernet_forward(opened->model->net, arena, &forward, &result));
    *logits = mem_array(count, sizeof **logits);
    TRY(device->ops->download(device, *logits, result, count * sizeof **logits));
out:
    activation_arena_destroy(&arena);
    memory_free(device, on_device);
    mem_free(host);
    return err;
}

static int top_class(const float *logits, int classes)
{
    int top = 0;
    for (int k = 1; k < classes; k++)
        if (logits[k] > logits[top])
            top = k;
    return top;
}

static void print_answers(const struct request *request, const float *logits, int N, int classes)
{
    if (!request->has_json) {
        printf("%d images, %d classes: %s\n", N, classes, request->output);
        return;
    }
    json_t *tops = json_array();
    for (int n = 0; n < N; n++)
        json_array_append_new(tops, json_integer(top_class(logits + n * classes, classes)));
    json_t *answer = json_pack("{s:i, s:i, s:s, s:o}", "images", N, "classes", classes, "logits",
                               request->output, "top1", tops);
    char *text = json_dumps(answer, JSON_PRESERVE_ORDER);
    if (text)
        puts(text);
    free(text);
    json_decref(answer);
}

/* The road of --input: no data set, no calibration. */
static enum err evaluate_array(const struct request *request)
{
    enum err err = ERR_OK;
    struct opened opened = {0};
    struct npy images = {0};
    float *logits = NULL;
    if (!request->output)
        TRY(err_set(ERR_USAGE, "--input goes with --output FILE.npy"));
    TRY(npy_read(request->input, MAX_INPUT_BYTES, &images));
    TRY(open_all(request, &opened));
    TRY(check_images(&images, request->input, &opened));
    TRY(run_images(&images, request, &opened, &logits));
    int classes = opened.model->space.classes;
    TRY(npy_write(request->output, logits, images.shape[0], (size_t)classes));
    print_answers(request, logits, (int)images.shape[0], classes);
out:
    mem_free(logits);
    npy_fini(&images);
    close_all(&opened);
    return err;
}

enum err cmd_evaluate(int argc, char **argv)
{
    enum err err = ERR_OK;
    struct request request;
    TRY(read_options(argc, argv, &request));
    if (!request.input)
        TRY(err_set(ERR_USAGE, "--input IMAGES.npy is missing"));
    TRY(evaluate_array(&request));
out:
    return err;
}
