/* ONNX writer, opset 10 (bounds of a Clip are attributes, as old readers want them): what OpenCV's
 * dnn module, ONNX Runtime and OpenVINO read. h-swish is x HardSigmoid(x) and squeeze-excite is
 * written out, so no newer operator is needed. */
#include "trainer/export/onnx.pb-c.h"
#include "trainer/export/writers.h"
#include <stdio.h>
#include <string.h>

struct model {
    struct arena *arena;
    Onnx__NodeProto **nodes;
    size_t node_count;
    Onnx__TensorProto **weights;
    size_t weight_count;
};

static char *join(struct model *model, const char *name, const char *suffix)
{
    char text[FOLDED_NAME + 32];
    snprintf(text, sizeof text, "%s%s", name, suffix);
    return arena_string(model->arena, text);
}

static void add_weight(struct model *model, char *name, const float *values, int rank,
                       const int64_t *dims)
{
    Onnx__TensorProto *tensor = arena_alloc(model->arena, sizeof *tensor);
    onnx__tensor_proto__init(tensor);
    size_t count = 1;
    tensor->n_dims = (size_t)rank;
    tensor->dims = arena_alloc(model->arena, (size_t)(rank ? rank : 1) * sizeof(int64_t));
    for (int i = 0; i < rank; i++) {
        tensor->dims[i] = dims[i];
        count *= (size_t)dims[i];
    }
    tensor->has_data_type = 1;
    tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->name = name;
    tensor->has_raw_data = 1;
    tensor->raw_data.len = count * sizeof(float);
    tensor->raw_data.data = arena_alloc(model->arena, tensor->raw_data.len);
    memcpy(tensor->raw_data.data, values, tensor->raw_data.len);
    model->weights[model->weight_count++] = tensor;
}

static Onnx__NodeProto *add_node(struct model *model, const char *op, char *output, int inputs,
                                 char **input)
{
    Onnx__NodeProto *node = arena_alloc(model->arena, sizeof *node);
    onnx__node_proto__init(node);
    node->op_type = arena_string(model->arena, op);
    node->name = output;
    node->n_output = 1;
    node->output = arena_alloc(model->arena, sizeof *node->output);
    node->output[0] = output;
    node->n_input = (size_t)inputs;
    node->input = arena_alloc(model->arena, (size_t)inputs * sizeof *node->input);
    memcpy(node->input, input, (size_t)inputs * sizeof *node->input);
    node->attribute = arena_alloc(model->arena, 8 * sizeof *node->attribute);
    model->nodes[model->node_count++] = node;
    return node;
}

static Onnx__AttributeProto *add_attribute(struct model *model, Onnx__NodeProto *node,
                                           const char *name,
                                           Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *attribute = arena_alloc(model->arena, sizeof *attribute);
    onnx__attribute_proto__init(attribute);
    attribute->name = arena_string(model->arena, name);
    attribute->has_type = 1;
    attribute->type = type;
    node->attribute[node->n_attribute++] = attribute;
    return attribute;
}

static Onnx__AttributeProto *add_ints(struct model *model, Onnx__NodeProto *node, const char *name,
                                      int count, int64_t value)
{
    Onnx__AttributeProto *attribute =
        add_attribute(model, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->n_ints = (size_t)count;
    attribute->ints = arena_alloc(model->arena, (size_t)count * sizeof(int64_t));
    for (int i = 0; i < count; i++)
        attribute->ints[i] = value;
    return attribute;
}

static void add_int(struct model *model, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute =
        add_attribute(model, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->has_i = 1;
    attribute->i = value;
}

static void add_float(struct model *model, Onnx__NodeProto *node, const char *name, float value)
{
    Onnx__AttributeProto *attribute =
        add_attribute(model, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    attribute->has_f = 1;
    attribute->f = value;
}

/* h_sigmoid(x) = clip(x / 6 + 1/2, 0, 1) */
static char *add_hard_sigmoid(struct model *model, char *input, char *output)
{
    Onnx__NodeProto *node = add_node(model, "HardSigmoid", output, 1, (char *[]){input});
    const char *names[2] = {"alpha", "beta"};
    const float values[2] = {1.0f / 6.0f, 0.5f};
    for (int i = 0; i < 2; i++) {
        Onnx__AttributeProto *attribute =
            add_attribute(model, node, names[i], ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
        attribute->has_f = 1;
        attribute->f = values[i];
    }
    return output;
}

/* clip(x, 0, high) */
static char *add_clip(struct model *model, char *input, char *output, float high)
{
    Onnx__NodeProto *node = add_node(model, "Clip", output, 1, (char *[]){input});
    add_float(model, node, "min", 0);
    add_float(model, node, "max", high);
    return output;
}

static char *add_act(struct model *model, const char *name, enum act act, char *input)
{
    char *output = join(model, name, "/act");
    if (act == ACT_NONE)
        return input;
    if (act == ACT_RELU) {
        add_node(model, "Relu", output, 1, (char *[]){input});
    } else if (act == ACT_RELU6) {
        add_clip(model, input, output, 6);
    } else {
        char *gate = add_hard_sigmoid(model, input, join(model, name, "/hsigmoid"));
        add_node(model, "Mul", output, 2, (char *[]){input, gate});
    }
    return output;
}

/* Rows above, columns on the left, rows below, columns on the right. */
static void add_pads(struct model *model, Onnx__NodeProto *node, const struct folded_layer *layer)
{
    Onnx__AttributeProto *pads = add_ints(model, node, "pads", 4, 0);
    pads->ints[0] = pad_before(layer->pad, layer->H, layer->R, layer->S);
    pads->ints[1] = pad_before(layer->pad, layer->W, layer->R, layer->S);
    pads->ints[2] = pad_behind(layer->pad, layer->H, layer->R, layer->S);
    pads->ints[3] = pad_behind(layer->pad, layer->W, layer->R, layer->S);
}

static char *add_conv(struct model *model, const struct folded_layer *layer, char *input)
{
    char *w = join(model, layer->name, "/weights"), *b = join(model, layer->name, "/bias");
    char *output = join(model, layer->name, "");
    add_weight(model, w, layer->w, 4,
               (int64_t[]){layer->K, layer->C / layer->groups, layer->R, layer->R});
    add_weight(model, b, layer->b, 1, (int64_t[]){layer->K});
    Onnx__NodeProto *node = add_node(model, "Conv", output, 3, (char *[]){input, w, b});
    add_ints(model, node, "kernel_shape", 2, layer->R);
    add_ints(model, node, "strides", 2, layer->S);
    add_pads(model, node, layer);
    add_ints(model, node, "dilations", 2, 1);
    add_int(model, node, "group", layer->groups);
    return add_act(model, layer->name, layer->act, output);
}

/* The gate h_sigmoid(x) is clip(x / 6 + 1/2, 0, 1): the scale and the shift go into the convolution
 * before it. An operator HardSigmoid behind it would be taken for half of an h-swish by OpenCV 4.6,
 * which does not look at what it gates. */
static char *add_gate(struct model *model, const struct folded_layer *layer, char *hidden)
{
    size_t count = (size_t)layer->C * (size_t)layer->hidden;
    struct folded_layer expand = {
        .kind = FOLDED_CONV, .C = layer->hidden, .K = layer->C, .R = 1, .S = 1, .groups = 1};
    expand.H = expand.W = 1;
    expand.w = arena_alloc(model->arena, count * sizeof *expand.w);
    expand.b = arena_alloc(model->arena, (size_t)layer->C * sizeof *expand.b);
    for (size_t i = 0; i < count; i++)
        expand.w[i] = layer->expand_w[i] / 6;
    for (int c = 0; c < layer->C; c++)
        expand.b[c] = layer->expand_b[c] / 6 + 0.5f;
    snprintf(expand.name, sizeof expand.name, "%.38s/expand", layer->name);
    return add_clip(model, add_conv(model, &expand, hidden), join(model, layer->name, "/gate"), 1);
}

static char *add_se(struct model *model, const struct folded_layer *layer, char *input)
{
    struct folded_layer reduce = {.kind = FOLDED_CONV,
                                  .C = layer->C,
                                  .K = layer->hidden,
                                  .R = 1,
                                  .S = 1,
                                  .groups = 1,
                                  .act = ACT_RELU,
                                  .w = layer->reduce_w,
                                  .b = layer->reduce_b};
    snprintf(reduce.name, sizeof reduce.name, "%.38s/reduce", layer->name);
    char *pooled = join(model, layer->name, "/pool");
    add_node(model, "GlobalAveragePool", pooled, 1, (char *[]){input});
    char *gate = add_gate(model, layer, add_conv(model, &reduce, pooled));
    char *output = join(model, layer->name, "");
    add_node(model, "Mul", output, 2, (char *[]){input, gate});
    return output;
}

static void add_layers(struct model *model, const struct folded *folded)
{
    char **names = arena_alloc(model->arena, (size_t)folded->count * sizeof *names);
    char *input = arena_string(model->arena, "input");
    for (int l = 0; l < folded->count; l++) {
        const struct folded_layer *layer = &folded->layers[l];
        char *x = layer->input == FOLDED_INPUT ? input : names[layer->input];
        char *output = join(model, layer->name, "");
        switch (layer->kind) {
        case FOLDED_CONV:
            names[l] = add_conv(model, layer, x);
            break;
        case FOLDED_ADD:
            add_node(model, "Add", output, 2, (char *[]){names[layer->other], x});
            names[l] = output;
            break;
        case FOLDED_SE:
            names[l] = add_se(model, layer, x);
            break;
        case FOLDED_POOL:
            add_node(model, "GlobalAveragePool", output, 1, (char *[]){x});
            names[l] = output;
            break;
        case FOLDED_LINEAR: {
            struct folded_layer last = *layer;
            if (l == folded->count - 1)
                snprintf(last.name, sizeof last.name, "logits_map");
            names[l] = add_conv(model, &last, x);
            break;
        }
        }
    }
    char *logits = arena_string(model->arena, "logits");
    Onnx__NodeProto *flatten =
        add_node(model, "Flatten", logits, 1, (char *[]){names[folded->count - 1]});
    add_int(model, flatten, "axis", 1);
    char *probabilities = arena_string(model->arena, "probabilities");
    add_int(model, add_node(model, "Softmax", probabilities, 1, (char *[]){logits}), "axis", 1);
}

static Onnx__ValueInfoProto *value_new(struct model *model, const char *name, int rank,
                                       const int *dims)
{
    struct arena *arena = model->arena;
    Onnx__ValueInfoProto *value = arena_alloc(arena, sizeof *value);
    onnx__value_info_proto__init(value);
    value->name = arena_string(arena, name);
    value->type = arena_alloc(arena, sizeof *value->type);
    onnx__type_proto__init(value->type);
    value->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    Onnx__TypeProto__Tensor *tensor = arena_alloc(arena, sizeof *tensor);
    onnx__type_proto__tensor__init(tensor);
    value->type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = arena_alloc(arena, sizeof *tensor->shape);
    onnx__tensor_shape_proto__init(tensor->shape);
    tensor->shape->n_dim = (size_t)rank;
    tensor->shape->dim = arena_alloc(arena, (size_t)rank * sizeof *tensor->shape->dim);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = arena_alloc(arena, sizeof *dim);
        onnx__tensor_shape_proto__dimension__init(dim);
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = dims[i];
        tensor->shape->dim[i] = dim;
    }
    return value;
}

static void pack_model(struct model *model, const struct folded *folded, const char *name,
                       struct bytes *out)
{
    Onnx__GraphProto graph;
    Onnx__ModelProto message;
    Onnx__OperatorSetIdProto opset;
    int in[4] = {1, folded->channels, folded->side, folded->side}, result[2] = {1, folded->outputs};
    Onnx__ValueInfoProto *inputs[1] = {value_new(model, "input", 4, in)};
    Onnx__ValueInfoProto *outputs[2] = {value_new(model, "logits", 2, result),
                                        value_new(model, "probabilities", 2, result)};
    onnx__graph_proto__init(&graph);
    onnx__model_proto__init(&message);
    onnx__operator_set_id_proto__init(&opset);
    graph.name = arena_string(model->arena, name);
    graph.n_node = model->node_count, graph.node = model->nodes;
    graph.n_initializer = model->weight_count, graph.initializer = model->weights;
    graph.n_input = 1, graph.input = inputs;
    graph.n_output = 2, graph.output = outputs;
    opset.has_version = 1, opset.version = 10;
    opset.domain = arena_string(model->arena, "");
    Onnx__OperatorSetIdProto *opsets[1] = {&opset};
    message.has_ir_version = 1, message.ir_version = 6;
    message.producer_name = arena_string(model->arena, "glowworm");
    message.graph = &graph;
    message.n_opset_import = 1, message.opset_import = opsets;
    out->size = onnx__model_proto__get_packed_size(&message);
    out->data = mem_alloc(out->size);
    onnx__model_proto__pack(&message, out->data);
}

enum err onnx_write(const struct folded *folded, const char *name, struct bytes *out)
{
    struct model model = {.arena = arena_create()};
    size_t room = (size_t)(10 * folded->count + 8);
    model.nodes = arena_alloc(model.arena, room * sizeof *model.nodes);
    model.weights = arena_alloc(model.arena, room * sizeof *model.weights);
    add_layers(&model, folded);
    pack_model(&model, folded, name, out);
    arena_destroy(model.arena);
    return ERR_OK;
}
