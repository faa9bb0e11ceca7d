/* GraphDef, read in file order as the camera's converter does: what a node reads stands before it,
 * a Pad belongs to the convolution behind it, a BiasAdd to the one in front of it. */
#include "trainer/emulator/graphdef.h"
#include "trainer/emulator/readers.h"
#include "trainer/export/unpack.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NODES = 8192 };

static struct exported_layer named_layer(const Tf__Node *node, enum exported_kind kind, int input)
{
    struct exported_layer layer = exported_layer(kind, input);
    snprintf(layer.name, sizeof layer.name, "%s", node->name);
    return layer;
}

/* The layer becomes the node's value. */
static enum err add_layer(struct graphdef *graph, const struct exported_layer *layer,
                          struct graphdef_value *value)
{
    enum err err = exported_add(graph->net, layer);
    value->layer = graph->net->count - 1;
    return err == ERR_OK ? ERR_OK : err_prefix(err, "GraphDef");
}

static enum err read_input(struct graphdef *graph, const Tf__Node *node,
                           struct graphdef_value *value)
{
    const Tf__Value *found = graphdef_attribute(node, "shape");
    const Tf__Shape *shape = found ? found->shape : NULL;
    int dims[4];
    if (graph->net->arena)
        return err_set(ERR_DATA, "GraphDef: %s is a second input", node->name);
    if (!shape || shape->n_dim != 4 || shape->dim[0]->size != 1)
        return err_set(ERR_DATA, "GraphDef: the input %s has no shape 1, height, width, channels",
                       node->name);
    for (int i = 1; i < 4; i++) {
        int64_t size = shape->dim[i]->size;
        dims[i] = size < 1 || size > EXPORTED_MAX_CHANNELS ? 0 : (int)size;
    }
    value->layer = EXPORTED_INPUT;
    return exported_begin(graph->net, (struct exported_map){dims[1], dims[2], dims[3]},
                          graph->file_bytes);
}

static enum err read_const(struct graphdef *graph, const Tf__Node *node,
                           struct graphdef_value *value)
{
    const Tf__Value *found = graphdef_attribute(node, "value");
    (void)graph;
    value->constant = found ? found->tensor : NULL;
    return value->constant ? ERR_OK
                           : err_set(ERR_DATA, "GraphDef: constant %s has no value", node->name);
}

static enum err read_pad(struct graphdef *graph, const Tf__Node *node, struct graphdef_value *value)
{
    enum err err = ERR_OK;
    const void *content = NULL;
    int dims[2], layer;
    int32_t amounts[8]; /* before and behind of N, H, W, C */
    TRY(graphdef_map(graph, node, 0, &layer));
    TRY(graphdef_constant(graph, node, GRAPHDEF_INT32, 2, dims, &content));
    if (dims[0] != 4 || dims[1] != 2)
        TRY(err_set(ERR_DATA, "GraphDef: node %s: paddings are not of shape 4, 2", node->name));
    memcpy(amounts, content, sizeof amounts);
    if (amounts[0] || amounts[1] || amounts[6] || amounts[7])
        TRY(err_set(ERR_DATA, "GraphDef: node %s pads images or channels", node->name));
    if (amounts[2] != amounts[3] || amounts[4] != amounts[5])
        TRY(err_set(ERR_DATA,
                    "GraphDef: node %s pads %d and %d rows, %d and %d columns: the camera's "
                    "converter would take the first of each for both sides; pad both alike",
                    node->name, amounts[2], amounts[3], amounts[4], amounts[5]));
    *value = (struct graphdef_value){.name = node->name, .layer = layer, .is_padded = true};
    const int order[4] = {2, 4, 3, 5}; /* above, on the left, below, on the right */
    for (int i = 0; i < 4; i++)
        value->pads[i] = amounts[order[i]];
out:
    return err;
}

/* TensorFlow's SAME: as few zeros as give ceil(in / S), the smaller half in front. */
static void pad_same(int in, int R, int S, int *before, int *behind)
{
    int all = ((in - 1) / S) * S + R - in;
    *before = all > 0 ? all / 2 : 0;
    *behind = all > 0 ? all - *before : 0;
}

static enum err set_pads(const struct graphdef *graph, const Tf__Node *node,
                         const struct graphdef_value *from, struct exported_layer *layer)
{
    const struct exported_map *map = exported_output(graph->net, layer->input);
    bool is_same = graphdef_is_word(node, "padding", "SAME");
    if ((!is_same && !graphdef_is_word(node, "padding", "VALID")) || (is_same && from->is_padded))
        return err_set(ERR_DATA,
                       "GraphDef: node %s: padding is neither SAME nor VALID, or SAME behind a Pad",
                       node->name);
    memcpy(layer->pads, from->pads, sizeof layer->pads);
    if (is_same) {
        pad_same(map->H, layer->R, layer->S, &layer->pads[0], &layer->pads[2]);
        pad_same(map->W, layer->R, layer->S, &layer->pads[1], &layer->pads[3]);
    }
    return ERR_OK;
}

/* The filter: (R,R,C,K), or (R,R,C,1) of a depthwise one, both as exported_layer has them. */
static enum err set_filter(struct graphdef *graph, const Tf__Node *node,
                           struct exported_layer *layer)
{
    enum err err = ERR_OK;
    const void *content = NULL;
    int dims[4];
    int C = exported_output(graph->net, layer->input)->C;
    bool is_depthwise = strcmp(node->op, "DepthwiseConv2dNative") == 0;
    TRY(graphdef_constant(graph, node, GRAPHDEF_FLOAT, 4, dims, &content));
    if (dims[0] != dims[1] || dims[2] != C || (is_depthwise && dims[3] != 1))
        TRY(err_set(ERR_DATA, "GraphDef: node %s: a filter of %d x %d x %d x %d on %d channels",
                    node->name, dims[0], dims[1], dims[2], dims[3], C));
    layer->R = dims[0];
    layer->K = is_depthwise ? C : dims[3];
    layer->groups = is_depthwise ? C : 1;
    TRY(exported_reserve(graph->net, layer, is_depthwise ? 1 : C));
    memcpy(layer->w, content,
           (size_t)dims[0] * (size_t)dims[1] * (size_t)dims[2] * (size_t)dims[3] * sizeof(float));
out:
    return err;
}

static enum err read_conv(struct graphdef *graph, const Tf__Node *node,
                          struct graphdef_value *value)
{
    enum err err = ERR_OK;
    const struct graphdef_value *from = graphdef_value(graph, node->input[0]);
    int strides[2];
    if (!from || from->constant || from->is_taken)
        TRY(err_set(ERR_DATA, "GraphDef: node %s: input 0 is no map of an earlier node",
                    node->name));
    struct exported_layer layer = named_layer(node, EXPORTED_CONV, from->layer);
    TRY(graphdef_window(node, "strides", strides));
    if (strides[0] != strides[1])
        TRY(err_set(ERR_DATA, "GraphDef: node %s: strides of %d and %d", node->name, strides[0],
                    strides[1]));
    layer.S = strides[0];
    TRY(set_filter(graph, node, &layer));
    TRY(set_pads(graph, node, from, &layer));
    TRY(add_layer(graph, &layer, value));
    value->wants_bias = true;
out:
    return err;
}

/* Takes the convolution's place, and gives it its name. */
static enum err read_bias(struct graphdef *graph, const Tf__Node *node,
                          struct graphdef_value *value)
{
    enum err err = ERR_OK;
    struct graphdef_value *from = graphdef_value(graph, node->input[0]);
    const void *content = NULL;
    int K;
    if (!from || !from->wants_bias || from->is_taken || from->layer != graph->net->count - 1)
        TRY(err_set(ERR_DATA, "GraphDef: node %s: a bias that does not follow its convolution",
                    node->name));
    TRY(graphdef_constant(graph, node, GRAPHDEF_FLOAT, 1, &K, &content));
    struct exported_layer *layer = &graph->net->layers[from->layer];
    if (K != layer->K)
        TRY(err_set(ERR_DATA, "GraphDef: node %s: %d numbers for %d channels", node->name, K,
                    layer->K));
    memcpy(layer->b, content, (size_t)K * sizeof(float));
    snprintf(layer->name, sizeof layer->name, "%s", node->name);
    from->is_taken = true;
    value->layer = from->layer;
out:
    return err;
}

static enum err read_relu(struct graphdef *graph, const Tf__Node *node,
                          struct graphdef_value *value)
{
    enum err err = ERR_OK;
    int input;
    TRY(graphdef_map(graph, node, 0, &input));
    if (input != graph->net->count - 1)
        TRY(err_set(ERR_DATA,
                    "GraphDef: node %s: the camera's converter would clip the layer read last, not "
                    "the one that this node reads; write it behind that one",
                    node->name));
    struct exported_layer layer = named_layer(node, EXPORTED_ACT, input);
    layer.clip_low = 0;
    layer.clip_high = strcmp(node->op, "Relu6") == 0 ? 6 : INFINITY;
    TRY(add_layer(graph, &layer, value));
out:
    return err;
}

/* Of two maps of one shape: the converter knows no broadcast. */
static enum err read_sum(struct graphdef *graph, const Tf__Node *node, struct graphdef_value *value)
{
    enum err err = ERR_OK;
    int input, other;
    TRY(graphdef_map(graph, node, 0, &input));
    TRY(graphdef_map(graph, node, 1, &other));
    struct exported_layer layer = named_layer(node, EXPORTED_ADD, input);
    layer.other = other;
    TRY(add_layer(graph, &layer, value));
out:
    return err;
}

static enum err read_pool(struct graphdef *graph, const Tf__Node *node,
                          struct graphdef_value *value)
{
    enum err err = ERR_OK;
    int input, window[2], strides[2];
    TRY(graphdef_map(graph, node, 0, &input));
    TRY(graphdef_window(node, "ksize", window));
    TRY(graphdef_window(node, "strides", strides));
    const struct exported_map *map = exported_output(graph->net, input);
    if (window[0] != map->H || window[1] != map->W || !graphdef_is_word(node, "padding", "VALID"))
        TRY(err_set(ERR_DATA, "GraphDef: node %s: only the mean over a whole map is read",
                    node->name));
    struct exported_layer layer = named_layer(node, EXPORTED_POOL, input);
    TRY(add_layer(graph, &layer, value));
out:
    return err;
}

/* (1,1,1,K) becomes (1,K): the same values. */
static enum err read_reshape(struct graphdef *graph, const Tf__Node *node,
                             struct graphdef_value *value)
{
    enum err err = ERR_OK;
    const void *content = NULL;
    int rank, input;
    int32_t shape[2];
    TRY(graphdef_map(graph, node, 0, &input));
    TRY(graphdef_constant(graph, node, GRAPHDEF_INT32, 1, &rank, &content));
    const struct exported_map *map = exported_output(graph->net, input);
    if (rank == 2)
        memcpy(shape, content, sizeof shape);
    if (rank != 2 || shape[0] != 1 || shape[1] != map->C || map->H != 1 || map->W != 1)
        TRY(err_set(ERR_DATA, "GraphDef: node %s does not make a map of 1 x 1 one row",
                    node->name));
    value->layer = input;
out:
    return err;
}

static enum err read_softmax(struct graphdef *graph, const Tf__Node *node,
                             struct graphdef_value *value)
{
    enum err err = ERR_OK;
    int input;
    TRY(graphdef_map(graph, node, 0, &input));
    struct exported_layer layer = named_layer(node, EXPORTED_SOFTMAX, input);
    TRY(add_layer(graph, &layer, value));
out:
    return err;
}

static const struct operation {
    const char *op;
    size_t inputs;
    enum err (*read)(struct graphdef *graph, const Tf__Node *node, struct graphdef_value *value);
    const char *attributes; /* it may have, a blank around each */
} operations[] = {
    {"Placeholder", 0, read_input, " dtype shape "},
    {"Const", 0, read_const, " dtype value "},
    {"Pad", 2, read_pad, " T Tpaddings "},
    {"Conv2D", 2, read_conv, " T strides padding data_format "},
    {"DepthwiseConv2dNative", 2, read_conv, " T strides padding data_format "},
    {"BiasAdd", 2, read_bias, " T data_format "},
    {"Relu", 1, read_relu, " T "},
    {"Relu6", 1, read_relu, " T "},
    {"Add", 2, read_sum, " T "},
    {"AvgPool", 1, read_pool, " T ksize strides padding data_format "},
    {"Reshape", 2, read_reshape, " T Tshape "},
    {"Softmax", 1, read_softmax, " T "},
};

static const struct operation *find_operation(const char *op)
{
    for (size_t i = 0; op && i < sizeof operations / sizeof *operations; i++)
        if (strcmp(operations[i].op, op) == 0)
            return &operations[i];
    return NULL;
}

/* None but those the operation may have: one that is passed over would change what it means. */
static enum err check_attributes(const Tf__Node *node, const struct operation *operation)
{
    char wanted[32];
    for (size_t i = 0; i < node->n_attr; i++) {
        const char *key = node->attr[i]->key ? node->attr[i]->key : "";
        int size = snprintf(wanted, sizeof wanted, " %s ", key);
        if (size < 3 || (size_t)size >= sizeof wanted || strchr(key, ' ') ||
            !strstr(operation->attributes, wanted) || !node->attr[i]->value)
            return err_set(ERR_DATA,
                           "GraphDef: node %s: an attribute of %s that glowworm does not read",
                           node->name, operation->op);
    }
    if (strstr(operation->attributes, "data_format") &&
        !graphdef_is_word(node, "data_format", "NHWC"))
        return err_set(ERR_DATA, "GraphDef: node %s: data_format is not NHWC", node->name);
    return ERR_OK;
}

static enum err read_node(struct graphdef *graph, const Tf__Node *node)
{
    enum err err = ERR_OK;
    struct graphdef_value value = {0};
    TRY(exported_name("GraphDef: a node", node->name));
    const struct operation *operation = find_operation(node->op);
    if (!operation || node->n_input != operation->inputs)
        TRY(err_set(ERR_DATA,
                    "GraphDef: node %s: an operation, or a number of inputs, that "
                    "glowworm does not read",
                    node->name));
    if (graphdef_value(graph, node->name))
        TRY(err_set(ERR_DATA, "GraphDef: two nodes %s", node->name));
    if (operation->read != read_input && operation->read != read_const && !graph->net->arena)
        TRY(err_set(ERR_DATA, "GraphDef: node %s stands in front of the input", node->name));
    TRY(check_attributes(node, operation));
    TRY(operation->read(graph, node, &value));
    value.name = node->name;
    graph->values[graph->count++] = value;
out:
    return err;
}

enum err tensorflow_read(const void *bytes, size_t size_bytes, struct exported *net)
{
    enum err err = ERR_OK;
    struct unpacked unpacked = {0};
    struct graphdef graph = {.net = net, .file_bytes = size_bytes};
    memset(net, 0, sizeof *net);
    TRY(unpack(&tf__graph__descriptor, "GraphDef", bytes, size_bytes, &unpacked));
    const Tf__Graph *message = (const Tf__Graph *)unpacked.message;
    if (message->n_node > MAX_NODES)
        TRY(err_set(ERR_DATA, "GraphDef: %zu nodes; at most %d are read", message->n_node,
                    MAX_NODES));
    graph.values = mem_array(message->n_node + 1, sizeof *graph.values);
    for (size_t i = 0; i < message->n_node; i++)
        TRY(read_node(&graph, message->node[i]));
    err = exported_finish(net);
    if (err != ERR_OK)
        TRY(err_prefix(err, "GraphDef"));
out:
    mem_free(graph.values);
    unpacked_fini(&unpacked);
    return err;
}
