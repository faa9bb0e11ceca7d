#include "trainer/emulator/readers.h"
#include "trainer/export/onnx_file.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct reading {
    struct onnx_file file;
    struct exported *net;
    const char **names; /* (n_node + 1) of the values, the input's first */
    int *layers;        /* (n_node + 1) what each is the output of */
    size_t count;
};

/* onnx_check_graph() has seen it written before. */
static int find_layer(const struct reading *reading, const char *name)
{
    for (size_t i = 0; i < reading->count; i++)
        if (strcmp(reading->names[i], name) == 0)
            return reading->layers[i];
    BUG("ONNX: nobody wrote %s", name);
}

static void add_value(struct reading *reading, const char *name, int layer)
{
    reading->names[reading->count] = name;
    reading->layers[reading->count++] = layer;
}

static enum err fill_conv(struct reading *reading, const Onnx__NodeProto *node,
                          struct exported_layer *layer)
{
    enum err err = ERR_OK;
    struct onnx_window window;
    const struct exported_map *x = exported_output(reading->net, layer->input);
    TRY(onnx_get_window(&reading->file, node, (int[]){x->C, x->H, x->W}, &window));
    layer->K = window.K, layer->R = window.R, layer->S = window.S, layer->groups = window.groups;
    memcpy(layer->pads, window.pads, sizeof layer->pads);
    TRY(exported_reserve(reading->net, layer, window.inner));
    exported_fill(layer, window.w, window.inner);
    memcpy(layer->b, window.b, (size_t)window.K * sizeof *layer->b);
out:
    return err;
}

static enum exported_kind find_kind(const char *op)
{
    static const struct {
        const char *op;
        enum exported_kind kind;
    } kinds[] = {{"Conv", EXPORTED_CONV},       {"Add", EXPORTED_ADD},
                 {"Mul", EXPORTED_MUL},         {"GlobalAveragePool", EXPORTED_POOL},
                 {"Relu", EXPORTED_ACT},        {"Clip", EXPORTED_ACT},
                 {"HardSigmoid", EXPORTED_ACT}, {"Softmax", EXPORTED_SOFTMAX}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(op, kinds[i].op) == 0)
            return kinds[i].kind;
    BUG("ONNX: operator %s passed the check", op);
}

static enum err add_layer(struct reading *reading, const Onnx__NodeProto *node)
{
    enum err err = ERR_OK;
    struct exported_layer layer =
        exported_layer(find_kind(node->op_type), find_layer(reading, node->input[0]));
    TRY(exported_name("ONNX: a node", node->name));
    snprintf(layer.name, sizeof layer.name, "%s", node->name);
    if (layer.kind == EXPORTED_ADD || layer.kind == EXPORTED_MUL)
        layer.other = find_layer(reading, node->input[1]);
    if (layer.kind == EXPORTED_CONV)
        TRY(fill_conv(reading, node, &layer));
    if (layer.kind == EXPORTED_ACT) {
        struct onnx_clip clip = onnx_get_clip(node);
        layer.slope = clip.slope, layer.offset = clip.offset;
        layer.clip_low = clip.low, layer.clip_high = clip.high;
    }
    TRY(exported_add(reading->net, &layer));
    add_value(reading, node->output[0], reading->net->count - 1);
out:
    return err;
}

/* Of a map of one number a channel, which it leaves as it is. */
static enum err add_flatten(struct reading *reading, const Onnx__NodeProto *node)
{
    int layer = find_layer(reading, node->input[0]);
    const struct exported_map *map = exported_output(reading->net, layer);
    if (map->H != 1 || map->W != 1)
        return err_set(ERR_DATA, "ONNX: node %s flattens a map of %d x %d", node->name, map->H,
                       map->W);
    add_value(reading, node->output[0], layer);
    return ERR_OK;
}

static enum err add_node(struct reading *reading, const Onnx__NodeProto *node)
{
    if (onnx_get_int(node, "axis", 1) != 1)
        return err_set(ERR_DATA, "ONNX: node %s is along another axis than 1", node->name);
    return strcmp(node->op_type, "Flatten") == 0 ? add_flatten(reading, node)
                                                 : add_layer(reading, node);
}

/* The outputs are what the file says they are: the logits, and the probabilities of them. */
static enum err check_outputs(const struct reading *reading)
{
    const struct exported *net = reading->net;
    int logits = find_layer(reading, reading->file.graph->output[0]->name);
    int classes = net->layers[net->count - 1].out.C;
    return logits == net->layers[net->count - 1].input && classes == reading->file.shape.classes &&
                   find_layer(reading, reading->file.graph->output[1]->name) == net->count - 1
               ? ERR_OK
               : err_set(ERR_DATA, "ONNX: the outputs are not the logits and their softmax");
}

enum err onnx_read(const void *bytes, size_t size_bytes, struct exported *net)
{
    enum err err = ERR_OK;
    struct reading reading = {.net = net};
    memset(net, 0, sizeof *net);
    TRY(onnx_file_open(bytes, size_bytes, &reading.file));
    const Onnx__GraphProto *graph = reading.file.graph;
    struct onnx_shape shape = reading.file.shape;
    TRY(exported_begin(net, (struct exported_map){shape.height, shape.width, shape.channels},
                       size_bytes));
    reading.names = arena_alloc(net->arena, (graph->n_node + 1) * sizeof *reading.names);
    reading.layers = arena_alloc(net->arena, (graph->n_node + 1) * sizeof *reading.layers);
    add_value(&reading, graph->input[0]->name, EXPORTED_INPUT);
    for (size_t i = 0; i < graph->n_node; i++)
        TRY(add_node(&reading, graph->node[i]));
    if (net->count == 0)
        TRY(err_set(ERR_DATA, "ONNX: a network without layers"));
    TRY(check_outputs(&reading));
    TRY(exported_finish(net));
out:
    onnx_file_close(&reading.file);
    return err;
}
