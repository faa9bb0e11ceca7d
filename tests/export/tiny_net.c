#include "tests/export/tiny_net.h"
#include <string.h>

char *net_word(struct net *net, const char *text)
{
    return arena_string(net->arena, text);
}

Onnx__NodeProto *net_add(struct net *net, const char *op, const char *output, const char *first,
                         const char *second)
{
    Onnx__NodeProto *node = arena_alloc(net->arena, sizeof *node);
    onnx__node_proto__init(node);
    node->op_type = net_word(net, op);
    node->name = net_word(net, output);
    node->n_output = 1;
    node->output = arena_alloc(net->arena, 2 * sizeof(char *));
    node->output[0] = node->output[1] = net_word(net, output);
    node->n_input = second ? 2 : 1;
    node->input = arena_alloc(net->arena, 4 * sizeof(char *));
    for (int i = 0; i < 4; i++)
        node->input[i] = net_word(net, i == 1 && second ? second : first);
    node->attribute = arena_alloc(net->arena, 8 * sizeof(void *));
    return net->nodes[net->graph.n_node++] = node;
}

static Onnx__AttributeProto *add_attribute(struct net *net, Onnx__NodeProto *node, const char *name,
                                           int type)
{
    Onnx__AttributeProto *attribute = arena_alloc(net->arena, sizeof *attribute);
    onnx__attribute_proto__init(attribute);
    attribute->name = net_word(net, name);
    attribute->has_type = 1;
    attribute->type = (Onnx__AttributeProto__AttributeType)type;
    return node->attribute[node->n_attribute++] = attribute;
}

static void add_ints(struct net *net, Onnx__NodeProto *node, const char *name, size_t count,
                     int64_t value)
{
    Onnx__AttributeProto *attribute =
        add_attribute(net, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->n_ints = count;
    attribute->ints = arena_alloc(net->arena, 8 * sizeof(int64_t));
    for (int i = 0; i < 8; i++)
        attribute->ints[i] = value;
}

void net_add_int(struct net *net, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute =
        add_attribute(net, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->has_i = 1;
    attribute->i = value;
}

static Onnx__TensorProto *make_tensor(struct net *net, const char *name, size_t rank,
                                      const int64_t *dims)
{
    Onnx__TensorProto *tensor = arena_alloc(net->arena, sizeof *tensor);
    size_t count = 1;
    onnx__tensor_proto__init(tensor);
    tensor->name = net_word(net, name);
    tensor->has_data_type = tensor->has_raw_data = 1;
    tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->n_dims = rank;
    tensor->dims = arena_alloc(net->arena, 4 * sizeof(int64_t));
    for (size_t i = 0; i < rank; i++) {
        tensor->dims[i] = dims[i];
        count *= (size_t)dims[i];
    }
    tensor->raw_data.len = count * sizeof(float);
    tensor->raw_data.data = arena_alloc(net->arena, tensor->raw_data.len);
    for (size_t i = 0; i < count; i++)
        ((float *)(void *)tensor->raw_data.data)[i] = 0.25f * (float)(i + 1);
    return tensor;
}

static Onnx__ValueInfoProto *make_value(struct net *net, const char *name, size_t rank,
                                        const int64_t *dims)
{
    Onnx__ValueInfoProto *value = arena_alloc(net->arena, sizeof *value);
    Onnx__TypeProto__Tensor *tensor = arena_alloc(net->arena, sizeof *tensor);
    onnx__value_info_proto__init(value);
    onnx__type_proto__tensor__init(tensor);
    value->name = net_word(net, name);
    value->type = arena_alloc(net->arena, sizeof *value->type);
    onnx__type_proto__init(value->type);
    value->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    value->type->tensor_type = tensor;
    tensor->shape = arena_alloc(net->arena, sizeof *tensor->shape);
    onnx__tensor_shape_proto__init(tensor->shape);
    tensor->shape->n_dim = rank;
    tensor->shape->dim = arena_alloc(net->arena, rank * sizeof *tensor->shape->dim);
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = arena_alloc(net->arena, sizeof *dim);
        onnx__tensor_shape_proto__dimension__init(dim);
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = dims[i];
        tensor->shape->dim[i] = dim;
    }
    return value;
}

int64_t *net_dim(Onnx__ValueInfoProto *value, int i)
{
    return &value->type->tensor_type->shape->dim[i]->dim_value;
}

static void add_conv(struct net *net)
{
    Onnx__NodeProto *conv = net_add(net, "Conv", "conv", "input", "w");
    conv->n_input = 3;
    conv->input[2] = net_word(net, "b");
    add_ints(net, conv, "kernel_shape", 2, 3);
    add_ints(net, conv, "strides", 2, 1);
    add_ints(net, conv, "pads", 4, 1);
    add_ints(net, conv, "dilations", 2, 1);
    net_add_int(net, conv, "group", 1);
}

struct net *net_make(void)
{
    struct net *net = mem_alloc(sizeof *net);
    net->arena = arena_create();
    onnx__model_proto__init(&net->model);
    onnx__graph_proto__init(&net->graph);
    net->model.graph = &net->graph;
    net->graph.node = net->nodes;
    net->graph.initializer = net->tensors;
    net->graph.input = net->inputs;
    net->graph.output = net->outputs;
    net->graph.n_initializer = net->graph.n_output = 2;
    net->graph.n_input = 1;
    net->tensors[0] = make_tensor(net, "w", 4, (int64_t[]){CLASSES, 1, 3, 3});
    net->tensors[1] = make_tensor(net, "b", 1, (int64_t[]){CLASSES});
    net->inputs[0] = make_value(net, "input", 4, (int64_t[]){1, 1, SIDE, SIDE});
    net->outputs[0] = make_value(net, "logits", 2, (int64_t[]){1, CLASSES});
    net->outputs[1] = make_value(net, "probabilities", 2, (int64_t[]){1, CLASSES});
    add_conv(net);
    net_add(net, "Relu", "relu", "conv", NULL);
    net_add(net, "GlobalAveragePool", "pool", "relu", NULL);
    net_add_int(net, net_add(net, "Flatten", "logits", "pool", NULL), "axis", 1);
    net_add_int(net, net_add(net, "Softmax", "probabilities", "logits", NULL), "axis", 1);
    return net;
}

void net_free(struct net *net)
{
    arena_destroy(net->arena);
    mem_free(net);
}
