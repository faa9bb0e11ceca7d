/* Caffe writer: deploy prototxt as text, weights as a caffemodel. A depthwise convolution is type
 * Convolution with group = channels, an element-wise layer is named like its top: NCSDK's parser
 * takes nothing else. */
#include "trainer/export/caffe.pb-c.h"
#include "trainer/export/writers.h"
#include <stdio.h>
#include <string.h>

static enum err check_layers(const struct folded *folded)
{
    for (int l = 0; l < folded->count; l++) {
        const struct folded_layer *layer = &folded->layers[l];
        if (layer->kind == FOLDED_SE || layer->act == ACT_HSWISH || layer->act == ACT_RELU6)
            return err_set(ERR_CONFIG,
                           "layer %s: the camera's Caffe converter has no %s; use a ReLU space "
                           "(firefly-tiny), or "
                           "compile to %s",
                           layer->name,
                           layer->kind == FOLDED_SE   ? "squeeze-excite"
                           : layer->act == ACT_HSWISH ? "h-swish"
                                                      : "ReLU6",
                           layer->act == ACT_RELU6 ? "tensorflow or onnx" : "onnx only");
    }
    return ERR_OK;
}

/* The zeros on each side, which Caffe wants to be as many in front as behind. */
static enum err check_padding(const struct folded *folded)
{
    for (int l = 0; l < folded->count; l++) {
        const struct folded_layer *layer = &folded->layers[l];
        int before = pad_before(layer->pad, layer->H, layer->R, layer->S);
        int behind = pad_behind(layer->pad, layer->H, layer->R, layer->S);
        if (layer->kind == FOLDED_CONV && before != behind)
            return err_set(
                ERR_CONFIG,
                "layer %s has %d zeros in front of its map and %d behind: Caffe pads both "
                "sides alike; use a space with padding: symmetric, or compile to "
                "tensorflow or onnx",
                layer->name, before, behind);
    }
    return ERR_OK;
}

static void write_conv(struct text *text, const struct folded_layer *layer, const char *bottom)
{
    text_add(text,
             "layer {\n  name: \"%s\"\n  type: \"Convolution\"\n  bottom: \"%s\"\n  top: \"%s\"\n"
             "  convolution_param {\n    num_output: %d\n    bias_term: true\n    kernel_size: "
             "%d\n    pad: %d\n"
             "    stride: %d\n    group: %d\n  }\n}\n",
             layer->name, bottom, layer->name, layer->K, layer->R,
             pad_before(layer->pad, layer->H, layer->R, layer->S), layer->S, layer->groups);
    if (layer->act == ACT_RELU)
        text_add(
            text,
            "layer {\n  name: \"%s_relu\"\n  type: \"ReLU\"\n  bottom: \"%s\"\n  top: \"%s\"\n}\n",
            layer->name, layer->name, layer->name);
}

static void write_prototxt(const struct folded *folded, const char *name, struct text *text)
{
    text_add(text,
             "name: \"%s\"\ninput: \"data\"\ninput_shape { dim: 1 dim: %d dim: %d dim: %d }\n",
             name, folded->channels, folded->side, folded->side);
    for (int l = 0; l < folded->count; l++) {
        const struct folded_layer *layer = &folded->layers[l];
        const char *bottom =
            layer->input == FOLDED_INPUT ? "data" : folded->layers[layer->input].name;
        if (layer->kind == FOLDED_ADD)
            text_add(
                text,
                "layer {\n  name: \"%s\"\n  type: \"Eltwise\"\n  bottom: \"%s\"\n  bottom: \"%s\"\n"
                "  top: \"%s\"\n  eltwise_param { operation: SUM }\n}\n",
                layer->name, folded->layers[layer->other].name, bottom, layer->name);
        else if (layer->kind == FOLDED_POOL)
            text_add(
                text,
                "layer {\n  name: \"%s\"\n  type: \"Pooling\"\n  bottom: \"%s\"\n  top: \"%s\"\n"
                "  pooling_param { pool: AVE global_pooling: true }\n}\n",
                layer->name, bottom, layer->name);
        else
            write_conv(text, layer, bottom);
    }
    text_add(text, "layer {\n  name: \"probabilities\"\n  type: \"Softmax\"\n  bottom: \"logits\"\n"
                   "  top: \"probabilities\"\n  softmax_param { axis: 1 }\n}\n");
}

static Caffe__Blob *blob_new(struct arena *arena, float *data, int rank, const int *dims)
{
    Caffe__Blob *blob = arena_alloc(arena, sizeof *blob);
    caffe__blob__init(blob);
    blob->shape = arena_alloc(arena, sizeof *blob->shape);
    caffe__blob_shape__init(blob->shape);
    blob->shape->n_dim = (size_t)rank;
    blob->shape->dim = arena_alloc(arena, (size_t)rank * sizeof(int64_t));
    blob->data = data;
    blob->n_data = 1;
    for (int i = 0; i < rank; i++) {
        blob->shape->dim[i] = dims[i];
        blob->n_data *= (size_t)dims[i];
    }
    return blob;
}

static void pack_model(const struct folded *folded, const char *name, struct arena *arena,
                       struct bytes *model)
{
    Caffe__Net net;
    caffe__net__init(&net);
    net.name = arena_string(arena, name);
    net.layer = arena_alloc(arena, (size_t)folded->count * sizeof *net.layer);
    for (int l = 0; l < folded->count; l++) {
        const struct folded_layer *layer = &folded->layers[l];
        if (layer->kind != FOLDED_CONV && layer->kind != FOLDED_LINEAR)
            continue;
        Caffe__Layer *message = arena_alloc(arena, sizeof *message);
        caffe__layer__init(message);
        message->name = arena_string(arena, layer->name);
        message->type = arena_string(arena, "Convolution");
        message->n_blobs = 2;
        message->blobs = arena_alloc(arena, 2 * sizeof *message->blobs);
        message->blobs[0] = blob_new(
            arena, layer->w, 4, (int[]){layer->K, layer->C / layer->groups, layer->R, layer->R});
        message->blobs[1] = blob_new(arena, layer->b, 1, &layer->K);
        net.layer[net.n_layer++] = message;
    }
    model->size = caffe__net__get_packed_size(&net);
    model->data = mem_alloc(model->size);
    caffe__net__pack(&net, model->data);
}

enum err caffe_write(const struct folded *folded, const char *name, struct text *prototxt,
                     struct bytes *model)
{
    enum err err = ERR_OK;
    struct arena *arena = arena_create();
    TRY(check_layers(folded));
    TRY(check_padding(folded));
    write_prototxt(folded, name, prototxt);
    pack_model(folded, name, arena, model);
out:
    arena_destroy(arena);
    return err;
}
