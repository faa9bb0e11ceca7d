/* GraphDef writer. Where a space pads symmetrically, its strided convolutions are not TensorFlow's
 * SAME, which pads one side only when the stride is 2: they are written as Pad + VALID, all others
 * as SAME. */
#include "base/text.h"
#include "trainer/export/tensorflow.pb-c.h"
#include "trainer/export/writers.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { DT_FLOAT = 1, DT_INT32 = 3, MOST_NODES = 24 /* of one layer */ };

/* The graph under construction: nodes grow in an arena, weights are copied into HWIO order there.
 */
struct graph {
    struct arena *arena;
    Tf__Node **nodes;
    size_t count;
    char name[FOLDED_NAME + 32]; /* of the node that holds the current map */
};

static Tf__Value *value_new(struct graph *graph)
{
    Tf__Value *value = arena_alloc(graph->arena, sizeof *value);
    tf__value__init(value);
    return value;
}

static void add_attribute(struct graph *graph, Tf__Node *node, const char *key, Tf__Value *value)
{
    Tf__Attribute *attribute = arena_alloc(graph->arena, sizeof *attribute);
    tf__attribute__init(attribute);
    attribute->key = arena_string(graph->arena, key);
    attribute->value = value;
    node->attr[node->n_attr++] = attribute;
}

static void add_type(struct graph *graph, Tf__Node *node, const char *key, int type)
{
    Tf__Value *value = value_new(graph);
    value->has_type = 1;
    value->type = type;
    add_attribute(graph, node, key, value);
}

static void add_word(struct graph *graph, Tf__Node *node, const char *key, const char *word)
{
    Tf__Value *value = value_new(graph);
    value->has_s = 1;
    value->s.len = strlen(word);
    value->s.data = (uint8_t *)arena_string(graph->arena, word);
    add_attribute(graph, node, key, value);
}

static void add_ints(struct graph *graph, Tf__Node *node, const char *key, const int64_t four[4])
{
    Tf__Value *value = value_new(graph);
    value->list = arena_alloc(graph->arena, sizeof *value->list);
    tf__list__init(value->list);
    value->list->n_i = 4;
    value->list->i = arena_alloc(graph->arena, 4 * sizeof(int64_t));
    memcpy(value->list->i, four, 4 * sizeof(int64_t));
    add_attribute(graph, node, key, value);
}

static Tf__Shape *shape_new(struct graph *graph, int rank, const int *dims)
{
    Tf__Shape *shape = arena_alloc(graph->arena, sizeof *shape);
    tf__shape__init(shape);
    shape->n_dim = (size_t)rank;
    shape->dim = arena_alloc(graph->arena, (size_t)(rank ? rank : 1) * sizeof *shape->dim);
    for (int i = 0; i < rank; i++) {
        shape->dim[i] = arena_alloc(graph->arena, sizeof **shape->dim);
        tf__dim__init(shape->dim[i]);
        shape->dim[i]->has_size = 1;
        shape->dim[i]->size = dims[i];
    }
    return shape;
}

/* A node named after the layer plus a suffix; up to two inputs, NULL for none. */
static Tf__Node *add_node(struct graph *graph, const char *name, const char *op, const char *first,
                          const char *second)
{
    Tf__Node *node = arena_alloc(graph->arena, sizeof *node);
    tf__node__init(node);
    node->name = arena_string(graph->arena, name);
    node->op = arena_string(graph->arena, op);
    node->input = arena_alloc(graph->arena, 2 * sizeof *node->input);
    if (first)
        node->input[node->n_input++] = arena_string(graph->arena, first);
    if (second)
        node->input[node->n_input++] = arena_string(graph->arena, second);
    node->attr = arena_alloc(graph->arena, 8 * sizeof *node->attr);
    graph->nodes[graph->count++] = node;
    return node;
}

static void add_const(struct graph *graph, const char *name, int type, int rank, const int *dims,
                      const void *content, size_t size_bytes)
{
    Tf__Node *node = add_node(graph, name, "Const", NULL, NULL);
    Tf__Value *value = value_new(graph);
    add_type(graph, node, "dtype", type);
    value->tensor = arena_alloc(graph->arena, sizeof *value->tensor);
    tf__tensor__init(value->tensor);
    value->tensor->has_dtype = 1;
    value->tensor->dtype = type;
    value->tensor->shape = shape_new(graph, rank, dims);
    value->tensor->has_content = 1;
    value->tensor->content.len = size_bytes;
    value->tensor->content.data = arena_alloc(graph->arena, size_bytes);
    memcpy(value->tensor->content.data, content, size_bytes);
    add_attribute(graph, node, "value", value);
}

/* Pad by R/2 on every side of the map; the result becomes the current node. */
static void add_pad(struct graph *graph, const struct folded_layer *layer)
{
    int pad = layer->R / 2;
    int32_t amounts[8] = {0, 0, pad, pad, pad, pad, 0, 0};
    char name[FOLDED_NAME + 32], paddings[FOLDED_NAME + 32];
    snprintf(paddings, sizeof paddings, "%s/paddings", layer->name);
    snprintf(name, sizeof name, "%s/pad", layer->name);
    add_const(graph, paddings, DT_INT32, 2, (int[]){4, 2}, amounts, sizeof amounts);
    Tf__Node *node = add_node(graph, name, "Pad", graph->name, paddings);
    add_type(graph, node, "T", DT_FLOAT);
    add_type(graph, node, "Tpaddings", DT_INT32);
    snprintf(graph->name, sizeof graph->name, "%s", name);
}

/* (K, C/groups, R, R) becomes HWIO (R,R,C,K), or HWC1 (R,R,C,1) for a depthwise convolution. */
static void add_weights(struct graph *graph, const struct folded_layer *layer, const char *name)
{
    int taps = layer->R * layer->R, inner = layer->C / layer->groups;
    bool is_depthwise = layer->groups > 1;
    size_t count = (size_t)layer->K * (size_t)inner * (size_t)taps;
    float *w = arena_alloc(graph->arena, count * sizeof *w);
    for (int k = 0; k < layer->K; k++)
        for (int c = 0; c < inner; c++)
            for (int t = 0; t < taps; t++)
                w[((size_t)t * (size_t)inner + (size_t)c) * (size_t)layer->K + (size_t)k] =
                    layer->w[((size_t)k * (size_t)inner + (size_t)c) * (size_t)taps + (size_t)t];
    int dims[4] = {layer->R, layer->R, layer->C, is_depthwise ? 1 : layer->K};
    add_const(graph, name, DT_FLOAT, 4, dims, w, count * sizeof *w);
}

static void add_two(struct graph *graph, const char *op, const char *name, const char *first,
                    const char *second)
{
    add_type(graph, add_node(graph, name, op, first, second), "T", DT_FLOAT);
    snprintf(graph->name, sizeof graph->name, "%s", name);
}

static void add_scalar(struct graph *graph, const char *name, float value)
{
    add_const(graph, name, DT_FLOAT, 0, NULL, &value, sizeof value);
}

/* min(max(x + 3, 0), 6) / 6 of the current map. */
static void add_hard_sigmoid(struct graph *graph, const char *of)
{
    char three[FOLDED_NAME + 32], plus[FOLDED_NAME + 32], clip[FOLDED_NAME + 32];
    char sixth[FOLDED_NAME + 32], gate[FOLDED_NAME + 32];
    snprintf(three, sizeof three, "%s/three", of);
    snprintf(plus, sizeof plus, "%s/plus", of);
    snprintf(clip, sizeof clip, "%s/clip", of);
    snprintf(sixth, sizeof sixth, "%s/sixth", of);
    snprintf(gate, sizeof gate, "%s/gate", of);
    add_scalar(graph, three, 3);
    add_two(graph, "Add", plus, graph->name, three);
    add_two(graph, "Relu6", clip, graph->name, NULL);
    add_scalar(graph, sixth, 1.0f / 6);
    add_two(graph, "Mul", gate, graph->name, sixth);
}

static void add_hswish(struct graph *graph, const struct folded_layer *layer)
{
    char map[FOLDED_NAME + 32], name[FOLDED_NAME + 32];
    snprintf(map, sizeof map, "%s", graph->name);
    snprintf(name, sizeof name, "%s/act", layer->name);
    add_hard_sigmoid(graph, layer->name);
    add_two(graph, "Mul", name, map, graph->name);
}

static void add_act(struct graph *graph, const struct folded_layer *layer)
{
    if (layer->act == ACT_HSWISH)
        add_hswish(graph, layer);
    if (layer->act == ACT_NONE || layer->act == ACT_HSWISH)
        return;
    char name[FOLDED_NAME + 32];
    snprintf(name, sizeof name, "%s/act", layer->name);
    Tf__Node *node =
        add_node(graph, name, layer->act == ACT_RELU ? "Relu" : "Relu6", graph->name, NULL);
    add_type(graph, node, "T", DT_FLOAT);
    snprintf(graph->name, sizeof graph->name, "%s", name);
}

static void add_conv(struct graph *graph, const struct folded_layer *layer, const char *output)
{
    char weights[FOLDED_NAME + 32], bias[FOLDED_NAME + 32], conv[FOLDED_NAME + 32];
    bool has_pad = layer->S > 1 && layer->pad == PAD_SYMMETRIC;
    snprintf(weights, sizeof weights, "%s/weights", layer->name);
    snprintf(bias, sizeof bias, "%s/bias", layer->name);
    snprintf(conv, sizeof conv, "%s/conv", layer->name);
    if (has_pad)
        add_pad(graph, layer);
    add_weights(graph, layer, weights);
    const char *op = layer->groups > 1 ? "DepthwiseConv2dNative" : "Conv2D";
    Tf__Node *node = add_node(graph, conv, op, graph->name, weights);
    add_type(graph, node, "T", DT_FLOAT);
    add_ints(graph, node, "strides", (int64_t[]){1, layer->S, layer->S, 1});
    add_word(graph, node, "padding", has_pad || layer->R == 1 ? "VALID" : "SAME");
    add_word(graph, node, "data_format", "NHWC");
    add_const(graph, bias, DT_FLOAT, 1, &layer->K, layer->b, (size_t)layer->K * sizeof(float));
    snprintf(graph->name, sizeof graph->name, "%s", output);
    node = add_node(graph, graph->name, "BiasAdd", conv, bias);
    add_type(graph, node, "T", DT_FLOAT);
    add_word(graph, node, "data_format", "NHWC");
    add_act(graph, layer);
}

static void add_pool(struct graph *graph, const struct folded_layer *layer, const char *name)
{
    Tf__Node *node = add_node(graph, name, "AvgPool", graph->name, NULL);
    add_type(graph, node, "T", DT_FLOAT);
    add_ints(graph, node, "ksize", (int64_t[]){1, layer->H, layer->W, 1});
    add_ints(graph, node, "strides", (int64_t[]){1, 1, 1, 1});
    add_word(graph, node, "padding", "VALID");
    add_word(graph, node, "data_format", "NHWC");
    snprintf(graph->name, sizeof graph->name, "%s", name);
}

/* Squeezed, two layers on what is left, and the map times their gate. */
static void add_se(struct graph *graph, const struct folded_layer *layer)
{
    char map[FOLDED_NAME + 32], squeeze[FOLDED_NAME + 32];
    struct folded_layer reduce = {.kind = FOLDED_LINEAR,
                                  .C = layer->C,
                                  .K = layer->hidden,
                                  .R = 1,
                                  .S = 1,
                                  .groups = 1,
                                  .act = ACT_RELU,
                                  .w = layer->reduce_w,
                                  .b = layer->reduce_b};
    struct folded_layer expand = {.kind = FOLDED_LINEAR,
                                  .C = layer->hidden,
                                  .K = layer->C,
                                  .R = 1,
                                  .S = 1,
                                  .groups = 1,
                                  .w = layer->expand_w,
                                  .b = layer->expand_b};
    snprintf(map, sizeof map, "%s", graph->name);
    snprintf(squeeze, sizeof squeeze, "%s/squeeze", layer->name);
    snprintf(reduce.name, sizeof reduce.name, "%.38s/reduce", layer->name);
    snprintf(expand.name, sizeof expand.name, "%.38s/expand", layer->name);
    add_pool(graph, layer, squeeze);
    add_conv(graph, &reduce, reduce.name);
    add_conv(graph, &expand, expand.name);
    add_hard_sigmoid(graph, layer->name);
    add_two(graph, "Mul", layer->name, map, graph->name);
}

static void add_tail(struct graph *graph, const struct folded *folded)
{
    int32_t shape[2] = {1, folded->outputs};
    add_const(graph, "logits/shape", DT_INT32, 1, (int[]){2}, shape, sizeof shape);
    Tf__Node *node = add_node(graph, "logits", "Reshape", graph->name, "logits/shape");
    add_type(graph, node, "T", DT_FLOAT);
    add_type(graph, node, "Tshape", DT_INT32);
    node = add_node(graph, "probabilities", "Softmax", "logits", NULL);
    add_type(graph, node, "T", DT_FLOAT);
}

static enum err check_layers(const struct folded *folded)
{
    for (int l = 0; l < folded->count; l++) {
        const struct folded_layer *layer = &folded->layers[l];
        if (layer->kind == FOLDED_SE || layer->act == ACT_HSWISH)
            return err_set(
                ERR_CONFIG,
                "layer %s: the camera's converter misreads %s in a TensorFlow graph without saying "
                "so; "
                "use a space of ReLU or ReLU6 without squeeze-excite, or compile to onnx only",
                layer->name, layer->kind == FOLDED_SE ? "squeeze-excite" : "h-swish");
    }
    return ERR_OK;
}

/* Every layer becomes nodes in the order it runs: NCSDK's parser walks the file. */
static void add_layers(struct graph *graph, const struct folded *folded)
{
    char(*names)[FOLDED_NAME + 32] =
        arena_alloc(graph->arena, (size_t)folded->count * sizeof *names);
    Tf__Node *input = add_node(graph, "input", "Placeholder", NULL, NULL);
    Tf__Value *shape = value_new(graph);
    int dims[4] = {1, folded->side, folded->side, folded->channels};
    add_type(graph, input, "dtype", DT_FLOAT);
    shape->shape = shape_new(graph, 4, dims);
    add_attribute(graph, input, "shape", shape);
    for (int l = 0; l < folded->count; l++) {
        const struct folded_layer *layer = &folded->layers[l];
        snprintf(graph->name, sizeof graph->name, "%s",
                 layer->input == FOLDED_INPUT ? "input" : names[layer->input]);
        if (layer->kind == FOLDED_ADD) {
            add_two(graph, "Add", layer->name, names[layer->other], graph->name);
        } else if (layer->kind == FOLDED_POOL) {
            add_pool(graph, layer, layer->name);
        } else if (layer->kind == FOLDED_SE) {
            add_se(graph, layer);
        } else {
            add_conv(graph, layer, l == folded->count - 1 ? "logits/map" : layer->name);
        }
        memcpy(names[l], graph->name, sizeof names[l]);
    }
    add_tail(graph, folded);
}

void tensorflow_write_misread(const struct folded *folded, struct bytes *out)
{
    struct graph graph = {.arena = arena_create()};
    graph.nodes =
        arena_alloc(graph.arena, (size_t)(MOST_NODES * folded->count + 8) * sizeof *graph.nodes);
    add_layers(&graph, folded);
    Tf__Versions versions;
    Tf__Graph message;
    tf__versions__init(&versions);
    tf__graph__init(&message);
    versions.has_producer = 1;
    versions.producer = 26; /* TensorFlow 1.7, what NCSDK 2.05 runs on */
    message.versions = &versions;
    message.n_node = graph.count;
    message.node = graph.nodes;
    out->size = tf__graph__get_packed_size(&message);
    out->data = mem_alloc(out->size);
    tf__graph__pack(&message, out->data);
    arena_destroy(graph.arena);
}

enum err tensorflow_write(const struct folded *folded, struct bytes *out)
{
    enum err err = check_layers(folded);
    if (err == ERR_OK)
        tensorflow_write_misread(folded, out);
    return err;
}
