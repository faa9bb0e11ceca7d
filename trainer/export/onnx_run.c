#include "trainer/export/onnx_run.h"
#include "base/mem.h"
#include "trainer/export/onnx_file.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_VALUES = ONNX_MAX_MAP_BYTES / sizeof(double) /* of the maps alive at one time */
};

struct map { /* a named result: (C,H,W) */
    const char *name;
    int C, H, W;
    double *values; /* owned; NULL once nobody reads it any more */
    size_t last;    /* the node that reads it last; SIZE_MAX: an output of the network */
};

struct onnx_net {
    struct onnx_file file;
    struct map *maps; /* of the run: one per node and one for the input */
    size_t map_count;
    size_t live_values; /* of all maps that are still read */
};

/* onnx_check_graph() has seen it written before. */
static const struct map *get_map(const struct onnx_net *net, const Onnx__NodeProto *node,
                                 size_t input)
{
    for (size_t i = 0; i < net->map_count; i++)
        if (strcmp(net->maps[i].name, node->input[input]) == 0)
            return &net->maps[i];
    BUG("ONNX: node %s reads what is not there", node->name);
}

static size_t find_last_reader(const Onnx__GraphProto *graph, const char *name)
{
    size_t last = 0;
    for (size_t i = 0; i < 2; i++)
        if (strcmp(graph->output[i]->name, name) == 0)
            return SIZE_MAX;
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_input; k++)
            last = strcmp(graph->node[i]->input[k], name) == 0 ? i : last;
    return last;
}

static enum err add_map(struct onnx_net *net, const char *name, int C, int H, int W,
                        struct map **map)
{
    size_t count = (size_t)C * (size_t)H * (size_t)W;
    if (count > MAX_VALUES - net->live_values)
        return err_set(ERR_DATA,
                       "ONNX: %s is a map of %d x %d x %d; with the others that are still read it "
                       "takes more than %d MiB",
                       name, C, H, W, ONNX_MAX_MAP_BYTES >> 20);
    double *values = calloc(count, sizeof *values);
    if (!values)
        return err_set(ERR_MEMORY, "no memory for a map of %d x %d x %d", C, H, W);
    *map = &net->maps[net->map_count++];
    **map = (struct map){name, C, H, W, values, find_last_reader(net->file.graph, name)};
    net->live_values += count;
    return ERR_OK;
}

/* Gives back the maps that nobody reads behind node `at`; SIZE_MAX: all. */
static void drop_maps(struct onnx_net *net, size_t at)
{
    for (size_t i = 0; i < net->map_count; i++) {
        struct map *map = &net->maps[i];
        if (!map->values || map->last > at)
            continue;
        net->live_values -= (size_t)map->C * (size_t)map->H * (size_t)map->W;
        free(map->values);
        map->values = NULL;
    }
}

static void convolve(const struct onnx_window *window, const struct map *x, struct map *y)
{
    double *out = y->values;
    for (int k = 0; k < window->K; k++) {
        int first = k / (window->K / window->groups) * window->inner;
        for (int i = 0; i < y->H * y->W; i++, out++) {
            int y0 = i / y->W * window->S - window->pads[0],
                x0 = i % y->W * window->S - window->pads[1];
            *out = window->b[k];
            for (int c = 0; c < window->inner; c++)
                for (int t = 0; t < window->R * window->R; t++) {
                    int h = y0 + t / window->R, w = x0 + t % window->R;
                    if (h >= 0 && w >= 0 && h < x->H && w < x->W)
                        *out += x->values[((first + c) * x->H + h) * x->W + w] *
                                window->w[(k * window->inner + c) * window->R * window->R + t];
                }
        }
    }
}

static enum err run_conv(struct onnx_net *net, const Onnx__NodeProto *node)
{
    enum err err = ERR_OK;
    const struct map *x = get_map(net, node, 0);
    struct onnx_window window;
    struct map *y = NULL;
    TRY(onnx_get_window(&net->file, node, (int[]){x->C, x->H, x->W}, &window));
    int H = (x->H + window.pads[0] + window.pads[2] - window.R) / window.S + 1;
    int W = (x->W + window.pads[1] + window.pads[3] - window.R) / window.S + 1;
    TRY(add_map(net, node->output[0], window.K, H, W, &y));
    convolve(&window, x, y);
out:
    return err;
}

/* Relu, Clip and HardSigmoid: one value in, one value out. */
static enum err run_act(struct onnx_net *net, const Onnx__NodeProto *node)
{
    enum err err = ERR_OK;
    const struct map *x = get_map(net, node, 0);
    struct map *y = NULL;
    struct onnx_clip clip = onnx_get_clip(node);
    TRY(add_map(net, node->output[0], x->C, x->H, x->W, &y));
    for (int i = 0; i < x->C * x->H * x->W; i++)
        y->values[i] = fmin(fmax(x->values[i] * clip.slope + clip.offset, clip.low), clip.high);
out:
    return err;
}

/* Add and Mul of two maps; the second may be (C,1,1). */
static enum err run_pair(struct onnx_net *net, const Onnx__NodeProto *node)
{
    enum err err = ERR_OK;
    const struct map *left = get_map(net, node, 0), *right = get_map(net, node, 1);
    struct map *y = NULL;
    bool is_sum = strcmp(node->op_type, "Add") == 0;
    bool is_gate = right->H == 1 && right->W == 1;
    if (left->C != right->C || (!is_gate && (left->H != right->H || left->W != right->W)))
        TRY(err_set(ERR_DATA, "ONNX: the inputs of %s have different shapes", node->name));
    int pixels = left->H * left->W;
    TRY(add_map(net, node->output[0], left->C, left->H, left->W, &y));
    for (int i = 0; i < left->C * pixels; i++) {
        double other = right->values[is_gate ? i / pixels : i];
        y->values[i] = is_sum ? left->values[i] + other : left->values[i] * other;
    }
out:
    return err;
}

static enum err run_pool(struct onnx_net *net, const Onnx__NodeProto *node)
{
    enum err err = ERR_OK;
    const struct map *x = get_map(net, node, 0);
    struct map *y = NULL;
    TRY(add_map(net, node->output[0], x->C, 1, 1, &y));
    for (int c = 0; c < x->C; c++) {
        for (int i = 0; i < x->H * x->W; i++)
            y->values[c] += x->values[c * x->H * x->W + i];
        y->values[c] /= x->H * x->W;
    }
out:
    return err;
}

/* Flatten keeps the order (C,H,W); Softmax runs over all of a flattened map. */
static enum err run_tail(struct onnx_net *net, const Onnx__NodeProto *node)
{
    enum err err = ERR_OK;
    const struct map *x = get_map(net, node, 0);
    struct map *y = NULL;
    int count = x->C * x->H * x->W;
    if (onnx_get_int(node, "axis", 1) != 1)
        TRY(err_set(ERR_DATA, "ONNX: node %s is along another axis than 1", node->name));
    TRY(add_map(net, node->output[0], count, 1, 1, &y));
    double most = -INFINITY, sum = 0;
    bool is_softmax = strcmp(node->op_type, "Softmax") == 0;
    for (int i = 0; i < count; i++)
        most = fmax(most, x->values[i]);
    for (int i = 0; i < count; i++)
        sum += exp(x->values[i] - most);
    for (int i = 0; i < count; i++)
        y->values[i] = is_softmax ? exp(x->values[i] - most) / sum : x->values[i];
out:
    return err;
}

static enum err run_node(struct onnx_net *net, const Onnx__NodeProto *node)
{
    static const struct {
        const char *op;
        enum err (*run)(struct onnx_net *, const Onnx__NodeProto *);
    } operators[] = {
        {"Conv", run_conv},       {"Relu", run_act},     {"Clip", run_act},
        {"HardSigmoid", run_act}, {"Add", run_pair},     {"Mul", run_pair},
        {"Flatten", run_tail},    {"Softmax", run_tail}, {"GlobalAveragePool", run_pool},
    };
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (strcmp(node->op_type, operators[i].op) == 0)
            return operators[i].run(net, node);
    BUG("ONNX: operator %s passed the check", node->op_type);
}

enum err onnx_open(const void *bytes, size_t size_bytes, struct onnx_net **net)
{
    enum err err = ERR_OK;
    struct onnx_net *opened = mem_alloc(sizeof *opened);
    TRY(onnx_file_open(bytes, size_bytes, &opened->file));
    opened->maps = mem_array(opened->file.graph->n_node + 1, sizeof *opened->maps);
    *net = opened;
    opened = NULL;
out:
    onnx_close(&opened);
    return err;
}

void onnx_close(struct onnx_net **net)
{
    if (!net || !*net)
        return;
    onnx_file_close(&(*net)->file);
    mem_free((*net)->maps);
    mem_free(*net);
    *net = NULL;
}

struct onnx_shape onnx_net_shape(const struct onnx_net *net)
{
    return net->file.shape;
}

static enum err copy_result(const struct onnx_net *net, const char *name, float *to)
{
    size_t at = 0;
    while (strcmp(net->maps[at].name, name) != 0) /* the check has seen it written */
        at++;
    const struct map *map = &net->maps[at];
    if (map->C != net->file.shape.classes || map->H != 1 || map->W != 1)
        return err_set(ERR_DATA, "ONNX: the output %s is %d x %d x %d, not %d classes", name,
                       map->C, map->H, map->W, net->file.shape.classes);
    for (int k = 0; k < map->C; k++) {
        to[k] = (float)map->values[k];
        if (!isfinite(to[k]))
            return err_set(ERR_DATA, "ONNX: the output %s of class %d is not a finite number", name,
                           k);
    }
    return ERR_OK;
}

enum err onnx_run(struct onnx_net *net, const float *image, float *logits, float *probabilities)
{
    enum err err = ERR_OK;
    const Onnx__GraphProto *graph = net->file.graph;
    const struct onnx_shape *shape = &net->file.shape;
    struct map *input = NULL;
    TRY(add_map(net, graph->input[0]->name, shape->channels, shape->height, shape->width, &input));
    int pixels = shape->height * shape->width;
    for (int i = 0; i < pixels * shape->channels; i++)
        input->values[i % shape->channels * pixels + i / shape->channels] = image[i];
    for (size_t i = 0; i < graph->n_node; i++) {
        TRY(run_node(net, graph->node[i]));
        drop_maps(net, i);
    }
    TRY(copy_result(net, graph->output[0]->name, logits));
    TRY(copy_result(net, graph->output[1]->name, probabilities));
out:
    drop_maps(net, SIZE_MAX);
    net->map_count = 0;
    return err;
}
