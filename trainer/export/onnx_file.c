#include "trainer/export/onnx_file.h"
#include <math.h>
#include <string.h>

enum { MAX_SIDE = 4096, MAX_WEIGHTS = 256 * 1024 * 1024 };

/* The dimensions of a float tensor whose raw data has just that size; ERR_DATA otherwise. */
static enum err get_weight(const struct onnx_file *file, const char *name, size_t rank,
                           const int64_t **dims, const float **values)
{
    const Onnx__TensorProto *tensor = onnx_find_tensor(file->graph, name);
    if (!tensor || tensor->n_dims != rank ||
        tensor->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
        return err_set(ERR_DATA, "ONNX: tensor %s is missing or is not float of rank %zu", name,
                       rank);
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) {
        if (tensor->dims[i] < 1 || tensor->dims[i] > ONNX_MAX_CHANNELS ||
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

int64_t onnx_get_int(const Onnx__NodeProto *node, const char *name, int64_t missing)
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

double onnx_get_float(const Onnx__NodeProto *node, const char *name, double missing)
{
    const Onnx__AttributeProto *attribute = find_attribute(node, name);
    return attribute ? attribute->f : missing;
}

struct onnx_clip onnx_get_clip(const Onnx__NodeProto *node)
{
    struct onnx_clip clip = {1, 0, 0, INFINITY};
    if (strcmp(node->op_type, "Clip") == 0) {
        clip.low = onnx_get_float(node, "min", -INFINITY);
        clip.high = onnx_get_float(node, "max", INFINITY);
    } else if (strcmp(node->op_type, "HardSigmoid") == 0) {
        clip.slope = onnx_get_float(node, "alpha", 0.2);
        clip.offset = onnx_get_float(node, "beta", 0.5);
        clip.high = 1;
    }
    return clip;
}

/* Fewer zeros than the kernel is wide, and a map for at least one window. */
static enum err get_pads(const Onnx__NodeProto *node, const int map[3], struct onnx_window *window)
{
    const Onnx__AttributeProto *pads = find_attribute(node, "pads");
    for (size_t i = 0; pads && i < 4; i++) {
        if (pads->ints[i] < 0 || pads->ints[i] >= window->R)
            return err_set(ERR_DATA, "ONNX: convolution %s pads by %lld a kernel of %d", node->name,
                           (long long)pads->ints[i], window->R);
        window->pads[i] = (int)pads->ints[i];
    }
    if (map[1] + window->pads[0] + window->pads[2] < window->R ||
        map[2] + window->pads[1] + window->pads[3] < window->R)
        return err_set(ERR_DATA, "ONNX: convolution %s has a kernel of %d on a map of %d x %d",
                       node->name, window->R, map[1], map[2]);
    return ERR_OK;
}

enum err onnx_get_window(const struct onnx_file *file, const Onnx__NodeProto *node,
                         const int map[3], struct onnx_window *window)
{
    enum err err = ERR_OK;
    const int64_t *dims = NULL, *bias_dims = NULL;
    *window = (struct onnx_window){0};
    TRY(get_weight(file, node->input[1], 4, &dims, &window->w));
    TRY(get_weight(file, node->input[2], 1, &bias_dims, &window->b));
    int64_t S = onnx_get_int(node, "strides", 1), groups = onnx_get_int(node, "group", 1);
    if (onnx_get_int(node, "kernel_shape", dims[2]) != dims[2] ||
        onnx_get_int(node, "dilations", 1) != 1)
        TRY(err_set(ERR_DATA,
                    "ONNX: convolution %s is dilated, or of another kernel than its tensor",
                    node->name));
    if (dims[2] != dims[3] || dims[2] > 31 || S < 1 || S > 8 || groups < 1 ||
        groups > ONNX_MAX_CHANNELS || dims[1] * groups != map[0] || dims[0] % groups != 0 ||
        bias_dims[0] != dims[0])
        TRY(err_set(ERR_DATA, "ONNX: the shapes of convolution %s do not fit its input",
                    node->name));
    window->K = (int)dims[0], window->inner = (int)dims[1], window->R = (int)dims[2];
    window->S = (int)S, window->groups = (int)groups;
    TRY(get_pads(node, map, window));
out:
    return err;
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

enum err onnx_file_open(const void *bytes, size_t size_bytes, struct onnx_file *file)
{
    enum err err = ERR_OK;
    int in[4] = {0}, out_dims[2] = {0}, again[2] = {0};
    TRY(unpack(&onnx__model_proto__descriptor, "ONNX file", bytes, size_bytes, &file->unpacked));
    file->graph = ((const Onnx__ModelProto *)file->unpacked.message)->graph;
    if (!file->graph)
        TRY(err_set(ERR_DATA, "this is not an ONNX file that glowworm compiled: it has no graph"));
    const Onnx__GraphProto *graph = file->graph;
    TRY(onnx_check_graph(graph));
    TRY(get_dims(graph->input[0], 4, MAX_SIDE, in));
    TRY(get_dims(graph->output[0], 2, ONNX_MAX_CHANNELS, out_dims));
    TRY(get_dims(graph->output[1], 2, ONNX_MAX_CHANNELS, again));
    if (out_dims[1] != again[1])
        TRY(err_set(ERR_DATA, "ONNX: %s is of %d classes, %s of %d", graph->output[0]->name,
                    out_dims[1], graph->output[1]->name, again[1]));
    file->shape = (struct onnx_shape){
        .channels = in[1], .height = in[2], .width = in[3], .classes = out_dims[1]};
out:
    return err;
}

void onnx_file_close(struct onnx_file *file)
{
    unpacked_fini(&file->unpacked);
    file->graph = NULL;
}
