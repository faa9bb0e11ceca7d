#include "tests/emulator/tiny_folded.h"
#include "base/rng.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float *draw(struct folded *folded, size_t count, double size)
{
    static uint64_t drawn;
    float *values = arena_alloc(folded->arena, count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(size * (rng_unit(rng(4, RNG_TEST, 0, 0, drawn++)) - 0.5));
    return values;
}

static struct folded_layer *add(struct folded *folded, enum folded_kind kind, const char *name,
                                int side, int C)
{
    struct folded_layer *layer = &folded->layers[folded->count];
    *layer = (struct folded_layer){.kind = kind, .H = side, .W = side, .C = C, .K = C};
    layer->input = folded->count - 1, layer->R = layer->S = layer->groups = 1;
    snprintf(layer->name, sizeof layer->name, "%s", name);
    folded->count++;
    return layer;
}

static void weigh(struct folded *folded, struct folded_layer *layer)
{
    int inner = layer->C / layer->groups * layer->R * layer->R;
    layer->w = draw(folded, (size_t)(layer->K * inner), 6.0 / inner);
    layer->b = draw(folded, (size_t)layer->K, 1);
}

static void conv(struct folded *folded, const char *name, int side, const int shape[5],
                 enum pad pad, enum act act)
{
    struct folded_layer *layer = add(folded, FOLDED_CONV, name, side, shape[0]);
    layer->K = shape[1], layer->R = shape[2], layer->S = shape[3], layer->groups = shape[4];
    layer->pad = pad, layer->act = act;
    weigh(folded, layer);
}

static void begin(struct folded *folded)
{
    memset(folded, 0, sizeof *folded);
    folded->arena = arena_create();
    folded->side = TINY_SIDE, folded->channels = TINY_CHANNELS, folded->classes = TINY_CLASSES,
    folded->outputs = TINY_CLASSES;
    folded->layers = arena_alloc(folded->arena, 16 * sizeof *folded->layers);
}

static void finish(struct folded *folded, int side, enum act act)
{
    conv(folded, "head", side, (int[]){TINY_WIDTH, 16, 1, 1, 1}, PAD_SYMMETRIC, act);
    add(folded, FOLDED_POOL, "pool", side, 16);
    struct folded_layer *logits = add(folded, FOLDED_LINEAR, "logits", 1, 16);
    logits->K = TINY_CLASSES;
    weigh(folded, logits);
}

void tiny_folded(enum pad pad, enum act act, struct folded *folded)
{
    const int W = TINY_WIDTH, side = TINY_SIDE / 2;
    begin(folded);
    conv(folded, "stem", TINY_SIDE, (int[]){TINY_CHANNELS, W, 3, 2, 1}, pad, act);
    conv(folded, "block1_depthwise", side, (int[]){W, W, 3, 1, W}, pad, act);
    conv(folded, "block1_project", side, (int[]){W, W, 1, 1, 1}, pad, ACT_NONE);
    add(folded, FOLDED_ADD, "block1_sum", side, W)->other = TINY_STEM;
    finish(folded, side, act);
}

void tiny_gated(struct folded *folded)
{
    const int W = TINY_WIDTH, hidden = 4, side = TINY_SIDE / 2;
    begin(folded);
    conv(folded, "stem", TINY_SIDE, (int[]){TINY_CHANNELS, W, 3, 2, 1}, PAD_SYMMETRIC, ACT_HSWISH);
    struct folded_layer *gate = add(folded, FOLDED_SE, "block1_se", side, W);
    gate->hidden = hidden;
    gate->reduce_w = draw(folded, (size_t)(W * hidden), 1);
    gate->expand_w = draw(folded, (size_t)(W * hidden), 1);
    gate->reduce_b = draw(folded, (size_t)hidden, 1);
    gate->expand_b = draw(folded, (size_t)W, 1);
    finish(folded, side, ACT_HSWISH);
}

static void must(enum err err)
{
    if (err == ERR_OK)
        return;
    fprintf(stderr, "%s\n", err_text());
    abort();
}

static bool is_for_caffe(const struct folded *folded)
{
    return folded->layers[0].act == ACT_RELU && folded->layers[0].pad == PAD_SYMMETRIC;
}

void tiny_write(const struct folded *folded, struct tiny_files *files)
{
    memset(files, 0, sizeof *files);
    text_init(&files->prototxt);
    must(onnx_write(folded, "tiny", &files->onnx));
    if (folded->layers[0].act != ACT_HSWISH)
        must(tensorflow_write(folded, &files->graphdef));
    if (is_for_caffe(folded))
        must(caffe_write(folded, "tiny", &files->prototxt, &files->caffemodel));
}

void tiny_files_fini(struct tiny_files *files)
{
    mem_free(files->graphdef.data);
    mem_free(files->onnx.data);
    mem_free(files->caffemodel.data);
    text_fini(&files->prototxt);
}
