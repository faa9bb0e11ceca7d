#include "trainer/export/onnx_run.h"
#include "base/mem.h"
#include "trainer/export/onnx_check.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SIDE = 4096,
    MAX_CHANNELS = 131072, /* classes too */
    MAX_WEIGHTS = 256 * 1024 * 1024,
    MAX_VALUES = ONNX_MAX_MAP_BYTES / sizeof(double) /* of the maps alive at one time */
};

/* What unpacking may take besides twice the file: tiny messages become structs. */
#define UNPACK_BYTES ((size_t)64 << 20)

struct map { /* a named result: (C,H,W) */
    const char *name;
    int C, H, W;
    double *values; /* owned; NULL once nobody reads it any more */
    size_t last;    /* the node that reads it last; SIZE_MAX: an output of the network */
};

struct onnx_net {
    Onnx__ModelProto *model;
    ProtobufCAllocator allocator; /* of the model; gives no more than unpack_left */
    size_t unpack_left;
    struct onnx_shape shape;
    struct map *maps; /* of the run: one per node and one for the input */
    size_t map_count;
    size_t live_values; /* of all maps that are still read */
};

/* The dimensions of a float tensor whose raw data has just that size; ERR_DATA otherwise. */
static enum err get_weight(const struct onnx_net *net, const char *name, size_t rank,
                           const int64_t **dims, const float **values)
{
    const Onnx__TensorProto *tensor = onnx_find_tensor(net->model->graph, name);
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
    if (attribute->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT)
        return attribute->i;
    for (size_t i = 1; i < attribute->n_ints; i++)
        if (attribute->ints[i] != attribute->ints[0])
            return -1;
    return attribute->ints[0];
}

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
    **map = (struct map){name, C, H, W, values, find_last_reader(net->model->graph, name)};
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

struct window { /* a convolution's geometry and weights */
    int K, inner, R, S, groups;
    int pads[4]; /* zeros above, on the left, below, on the right */
    const float *w, *b;
};

static void convolve(const struct window *window, const struct map *x, struct map *y)
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

/* Fewer zeros than the kernel is wide, and a map for at least one window. */
static enum err get_pads(const Onnx__NodeProto *node, const struct map *x, struct window *window)
{
    const Onnx__AttributeProto *pads = find_attribute(node, "pads");
    for (size_t i = 0; pads && i < 4; i++) {
        if (pads->ints[i] < 0 || pads->ints[i] >= window->R)
            return err_set(ERR_DATA, "ONNX: convolution %s pads by %lld a kernel of %d", node->name,
                           (long long)pads->ints[i], window->R);
        window->pads[i] = (int)pads->ints[i];
    }
    if (x->H + window->pads[0] + window->pads[2] < window->R ||
        x->W + window->pads[1] + window->pads[3] < window->R)
        return err_set(ERR_DATA, "ONNX: convolution %s has a kernel of %d on a map of %d x %d",
                       node->name, window->R, x->H, x->W);
    return ERR_OK;
}

static enum err run_conv(struct onnx_net *net, const Onnx__NodeProto *node)
{
    enum err err = ERR_OK;
    const struct map *x = get_map(net, node, 0);
    const int64_t *dims = NULL, *bias_dims = NULL;
    struct window window = {0};
    struct map *y = NULL;
    TRY(get_weight(net, node->input[1], 4, &dims, &window.w));
    TRY(get_weight(net, node->input[2], 1, &bias_dims, &window.b));
    int64_t S = get_int(node, "strides", 1), groups = get_int(node, "group", 1);
    if (get_int(node, "kernel_shape", dims[2]) != dims[2] || get_int(node, "dilations", 1) != 1)
        TRY(err_set(ERR_DATA,
                    "ONNX: convolution %s is dilated, or of another kernel than its tensor",
                    node->name));
    if (dims[2] != dims[3] || dims[2] > 31 || S < 1 || S > 8 || groups < 1 ||
        groups > MAX_CHANNELS || dims[1] * groups != x->C || dims[0] % groups != 0 ||
        bias_dims[0] != dims[0])
        TRY(err_set(ERR_DATA, "ONNX: the shapes of convolution %s do not fit its input",
                    node->name));
    window.K = (int)dims[0], window.inner = (int)dims[1], window.R = (int)dims[2];
    window.S = (int)S, window.groups = (int)groups;
    TRY(get_pads(node, x, &window));
    int H = (x->H + window.pads[0] + window.pads[2] - window.R) / window.S + 1;
    int W = (x->W + window.pads[1] + window.pads[3] - window.R) / window.S + 1;
    TRY(add_map(net, node->output[0], window.K, H, W, &y));
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
    const struct map *x = get_map(net, node, 0);
    struct map *y = NULL;
    double low = 0, high = INFINITY, slope = 1, offset = 0;
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
    if (get_int(node, "axis", 1) != 1)
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

/* The dimensions of a graph's input or output value: (1, ...), each up to `most`. */
static enum err get_dims(const Onnx__ValueInfoProto *value, size_t rank, int most, int *dims)
{
    const Onnx__TypeProto *type = value->type;
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
        !type->tensor_type->shape || type->tensor_type->shape->n_dim != rank)
        return err_set(ERR_DATA, "ONNX: %s is not a tensor of rank %zu", value->name, rank);
    for (size_t i = 0; i < rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = type->tensor_type->shape->dim[i];
        if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ||
            dim->dim_value < 1 || dim->dim_value > (i == 0 ? 1 : most))
            return err_set(ERR_DATA, "ONNX: %s has a dimension that is open or out of range",
                           value->name);
        dims[i] = (int)dim->dim_value;
    }
    return ERR_OK;
}

static void *unpack_alloc(void *own, size_t size_bytes)
{
    struct onnx_net *net = own;
    if (size_bytes > net->unpack_left)
        return NULL;
    net->unpack_left -= size_bytes;
    return malloc(size_bytes);
}

static void unpack_free(void *own, void *pointer)
{
    (void)own;
    free(pointer);
}

static enum err unpack(struct onnx_net *net, const void *bytes, size_t size_bytes)
{
    if (!onnx_is_shallow(bytes, size_bytes))
        return err_set(ERR_DATA,
                       "this is no ONNX file, or it is cut short, or its messages are nested more "
                       "than %d deep",
                       ONNX_MAX_NESTING);
    net->unpack_left = 2 * size_bytes + UNPACK_BYTES;
    net->allocator = (ProtobufCAllocator){unpack_alloc, unpack_free, net};
    net->model = onnx__model_proto__unpack(&net->allocator, size_bytes, bytes);
    if (!net->model || !net->model->graph)
        return err_set(ERR_DATA, "this is not an ONNX file that glowworm compiled, or it takes "
                                 "far more memory than its size");
    return ERR_OK;
}

enum err onnx_open(const void *bytes, size_t size_bytes, struct onnx_net **net)
{
    enum err err = ERR_OK;
    int in[4] = {0}, out_dims[2] = {0}, again[2] = {0};
    struct onnx_net *opened = mem_alloc(sizeof *opened);
    TRY(unpack(opened, bytes, size_bytes));
    const Onnx__GraphProto *graph = opened->model->graph;
    TRY(onnx_check_graph(graph));
    TRY(get_dims(graph->input[0], 4, MAX_SIDE, in));
    TRY(get_dims(graph->output[0], 2, MAX_CHANNELS, out_dims));
    TRY(get_dims(graph->output[1], 2, MAX_CHANNELS, again));
    if (out_dims[1] != again[1])
        TRY(err_set(ERR_DATA, "ONNX: %s is of %d classes, %s of %d", graph->output[0]->name,
                    out_dims[1], graph->output[1]->name, again[1]));
    opened->shape = (struct onnx_shape){
        .channels = in[1], .height = in[2], .width = in[3], .classes = out_dims[1]};
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
        onnx__model_proto__free_unpacked((*net)->model, &(*net)->allocator);
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
    size_t at = 0;
    while (strcmp(net->maps[at].name, name) != 0) /* the check has seen it written */
        at++;
    const struct map *map = &net->maps[at];
    if (map->C != net->shape.classes || map->H != 1 || map->W != 1)
        return err_set(ERR_DATA, "ONNX: the output %s is %d x %d x %d, not %d classes", name,
                       map->C, map->H, map->W, net->shape.classes);
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
    const Onnx__GraphProto *graph = net->model->graph;
    const struct onnx_shape *shape = &net->shape;
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
