#include "trainer/export/onnx_run.h"
#include "base/mem.h"
#include "trainer/export/onnx.pb-c.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    MAX_SIDE = 4096,
    MAX_CHANNELS = 131072, /* classes too */
    MAX_WEIGHTS = 256 * 1024 * 1024,
    MAX_VALUES = 64 * 1024 * 1024 /* of a map: 512 MiB */
};

struct map { /* a named result: (C,H,W) */
    const char *name;
    int C, H, W;
    double *values;
};

struct onnx_net {
    Onnx__ModelProto *model;
    struct onnx_shape shape;
    struct arena *arena; /* of the run; reset by each */
    struct map *maps;    /* one per node and one for the input */
    size_t map_count;
};

static const Onnx__TensorProto *find_weight(const struct onnx_net *net, const char *name)
{
    const Onnx__GraphProto *graph = net->model->graph;
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (graph->initializer[i]->name && strcmp(graph->initializer[i]->name, name) == 0)
            return graph->initializer[i];
    return NULL;
}

/* The dimensions of a float tensor whose raw data has just that size; ERR_DATA otherwise. */
static enum err get_weight(const struct onnx_net *net, const char *name, size_t rank,
                           const int64_t **dims, const float **values)
{
    const Onnx__TensorProto *tensor = find_weight(net, name);
    if (!tensor || tensor->n_dims != rank ||
        tensor->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
        return err_set(ERR_DATA, "ONNX: tensor %s is missing or is not float of rank %zu", name,
                       rank);
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) {
        if (tensor->dims[i] < 1 || tensor->dims[i] > MAX_CHANNELS ||
            (count *= (size_t)tensor->dims[i]) > MAX_WEIGHTS)
            return err_set(ERR_DATA, "ONNX: tensor %s has a dimension of %lld", name,
                           (long long)tensor->dims[i]);
    }
    if (tensor->raw_data.len != count * sizeof(float))
        return err_set(ERR_DATA, "ONNX: tensor %s holds %zu bytes, its shape says %zu", name,
                       tensor->raw_data.len, count * sizeof(float));
    *dims = tensor->dims;
    *values = (const float *)(const void *)tensor->raw_data.data;
    return ERR_OK;
}

static const Onnx__AttributeProto *find_attribute(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->name && strcmp(node->attribute[i]->name, name) == 0)
            return node->attribute[i];
    return NULL;
}

/* Every entry of a list of integers, when they are all the same; `missing` when there is no such
 * attribute. */
static int64_t get_int(const Onnx__NodeProto *node, const char *name, int64_t missing)
{
    const Onnx__AttributeProto *attribute = find_attribute(node, name);
    if (!attribute)
        return missing;
    if (attribute->n_ints == 0)
        return attribute->i;
    for (size_t i = 1; i < attribute->n_ints; i++)
        if (attribute->ints[i] != attribute->ints[0])
            return -1;
    return attribute->ints[0];
}

static enum err find_map(const struct onnx_net *net, const Onnx__NodeProto *node, size_t input,
                         const struct map **map)
{
    for (size_t i = 0; input < node->n_input && i < net->map_count; i++)
        if (strcmp(net->maps[i].name, node->input[input]) == 0) {
            *map = &net->maps[i];
            return ERR_OK;
        }
    return err_set(ERR_DATA, "ONNX: node %s reads what no earlier node wrote",
                   node->name ? node->name : "?");
}

static enum err add_map(struct onnx_net *net, const char *name, int C, int H, int W,
                        struct map **map)
{
    size_t count = (size_t)C * (size_t)H * (size_t)W;
    if (count > MAX_VALUES)
        return err_set(ERR_DATA, "ONNX: %s is a map of %d x %d x %d; at most %d values are read",
                       name, C, H, W, MAX_VALUES);
    *map = &net->maps[net->map_count++];
    **map = (struct map){.name = name, .C = C, .H = H, .W = W};
    (*map)->values = arena_alloc(net->arena, count * sizeof *(*map)->values);
    return ERR_OK;
}

struct window { /* a convolution's geometry and weights */
    int K, inner, R, S, pad, groups;
    const float *w, *b;
};

static void convolve(const struct window *window, const struct map *x, struct map *y)
{
    double *out = y->values;
    for (int k = 0; k < window->K; k++) {
        int first = k / (window->K / window->groups) * window->inner;
        for (int i = 0; i < y->H * y->W; i++, out++) {
            int y0 = i / y->W * window->S - window->pad, x0 = i % y->W * window->S - window->pad;
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
    const struct map *x = NULL;
    const int64_t *dims = NULL, *bias_dims = NULL;
    struct window window = {0};
    struct map *y = NULL;
    TRY(find_map(net, node, 0, &x));
    if (node->n_input != 3)
        TRY(err_set(ERR_DATA, "ONNX: convolution %s has no bias", node->name));
    TRY(get_weight(net, node->input[1], 4, &dims, &window.w));
    TRY(get_weight(net, node->input[2], 1, &bias_dims, &window.b));
    int64_t S = get_int(node, "strides", 1), pad = get_int(node, "pads", 0),
            groups = get_int(node, "group", 1);
    if (dims[2] != dims[3] || dims[2] > 31 || S < 1 || S > 8 || pad != dims[2] / 2 || groups < 1 ||
        groups > MAX_CHANNELS || dims[1] * groups != x->C || dims[0] % groups != 0 ||
        bias_dims[0] != dims[0])
        TRY(err_set(ERR_DATA, "ONNX: the shapes of convolution %s do not fit its input",
                    node->name));
    window.K = (int)dims[0], window.inner = (int)dims[1], window.R = (int)dims[2];
    window.S = (int)S, window.pad = (int)pad, window.groups = (int)groups;
    TRY(add_map(net, node->output[0], window.K, (x->H - 1) / window.S + 1,
                (x->W - 1) / window.S + 1, &y));
    convolve(&window, x, y);
out:
    return err;
}

static double get_float(const Onnx__NodeProto *node, const char *name, double missing)
{
    const Onnx__AttributeProto *attribute = find_attribute(node, name);
    return attribute ? attribute->f : missing;
}

/* Relu, Clip and HardSigmoid: one value in, one value out. */
static enum err run_act(struct onnx_net *net, const Onnx__NodeProto *node)
{
    enum err err = ERR_OK;
    const struct map *x = NULL;
    struct map *y = NULL;
    double low = 0, high = INFINITY, slope = 1, offset = 0;
    TRY(find_map(net, node, 0, &x));
    if (strcmp(node->op_type, "Clip") == 0) {
        low = get_float(node, "min", -INFINITY);
        high = get_float(node, "max", INFINITY);
    } else if (strcmp(node->op_type, "HardSigmoid") == 0) {
        slope = get_float(node, "alpha", 0.2);
        offset = get_float(node, "beta", 0.5);
        high = 1;
    }
    TRY(add_map(net, node->output[0], x->C, x->H, x->W, &y));
    for (int i = 0; i < x->C * x->H * x->W; i++)
        y->values[i] = fmin(fmax(x->values[i] * slope + offset, low), high);
out:
    return err;
}

/* Add and Mul of two maps; the second may be (C,1,1). */
static enum err run_pair(struct onnx_net *net, const Onnx__NodeProto *node)
{
    enum err err = ERR_OK;
    const struct map *left = NULL, *right = NULL;
    struct map *y = NULL;
    bool is_sum = strcmp(node->op_type, "Add") == 0;
    TRY(find_map(net, node, 0, &left));
    TRY(find_map(net, node, 1, &right));
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
    const struct map *x = NULL;
    struct map *y = NULL;
    TRY(find_map(net, node, 0, &x));
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
    const struct map *x = NULL;
    struct map *y = NULL;
    TRY(find_map(net, node, 0, &x));
    int count = x->C * x->H * x->W;
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
        if (node->op_type && node->name && node->n_output == 1 &&
            strcmp(node->op_type, operators[i].op) == 0)
            return operators[i].run(net, node);
    return err_set(ERR_DATA, "ONNX: node %s: operator %s is not one glowworm reads",
                   node->name ? node->name : "?", node->op_type ? node->op_type : "?");
}

/* The dimensions of a graph's input or output value: (1, ...), each up to `most`. */
static enum err get_dims(const Onnx__ValueInfoProto *value, size_t rank, int most, int *dims)
{
    const Onnx__TypeProto *type = value->type;
    if (!value->name || !type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        !type->tensor_type->shape || type->tensor_type->shape->n_dim != rank)
        return err_set(ERR_DATA, "ONNX: an input or output is not a tensor of rank %zu", rank);
    for (size_t i = 0; i < rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = type->tensor_type->shape->dim[i];
        if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ||
            dim->dim_value < 1 || dim->dim_value > most)
            return err_set(ERR_DATA, "ONNX: %s has a dimension that is open or out of range",
                           value->name);
        dims[i] = (int)dim->dim_value;
    }
    return ERR_OK;
}

enum err onnx_open(const void *bytes, size_t size_bytes, struct onnx_net **net)
{
    enum err err = ERR_OK;
    int in[4] = {0}, out_dims[2] = {0};
    struct onnx_net *opened = mem_alloc(sizeof *opened);
    opened->model = onnx__model_proto__unpack(NULL, size_bytes, bytes);
    const Onnx__GraphProto *graph = opened->model ? opened->model->graph : NULL;
    if (!graph || graph->n_input != 1 || graph->n_output < 2 || graph->n_node == 0)
        TRY(err_set(ERR_DATA,
                    "this is not an ONNX file that glowworm compiled, or it is cut short"));
    TRY(get_dims(graph->input[0], 4, MAX_SIDE, in));
    TRY(get_dims(graph->output[0], 2, MAX_CHANNELS, out_dims));
    opened->shape = (struct onnx_shape){
        .channels = in[1], .height = in[2], .width = in[3], .classes = out_dims[1]};
    opened->arena = arena_create();
    opened->maps = mem_array(graph->n_node + 1, sizeof *opened->maps);
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
    if ((*net)->model)
        onnx__model_proto__free_unpacked((*net)->model, NULL);
    arena_destroy((*net)->arena);
    mem_free((*net)->maps);
    mem_free(*net);
    *net = NULL;
}

struct onnx_shape onnx_net_shape(const struct onnx_net *net)
{
    return net->shape;
}

static enum err copy_result(const struct onnx_net *net, const char *name, float *to)
{
    for (size_t i = 0; i < net->map_count; i++)
        if (strcmp(net->maps[i].name, name) == 0 && net->maps[i].C == net->shape.classes) {
            for (int k = 0; k < net->shape.classes; k++)
                to[k] = (float)net->maps[i].values[k];
            return ERR_OK;
        }
    return err_set(ERR_DATA, "ONNX: no node writes the output %s", name);
}

enum err onnx_run(struct onnx_net *net, const float *image, float *logits, float *probabilities)
{
    enum err err = ERR_OK;
    const Onnx__GraphProto *graph = net->model->graph;
    const struct onnx_shape *shape = &net->shape;
    arena_reset(net->arena);
    net->map_count = 0;
    struct map *input = NULL;
    TRY(add_map(net, graph->input[0]->name, shape->channels, shape->height, shape->width, &input));
    int pixels = shape->height * shape->width;
    for (int i = 0; i < pixels * shape->channels; i++)
        input->values[i % shape->channels * pixels + i / shape->channels] = image[i];
    for (size_t i = 0; i < graph->n_node; i++)
        TRY(run_node(net, graph->node[i]));
    TRY(copy_result(net, graph->output[0]->name, logits));
    TRY(copy_result(net, graph->output[1]->name, probabilities));
out:
    return err;
}
