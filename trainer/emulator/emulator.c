#include "trainer/emulator/emulator.h"
#include "trainer/emulator/accumulate.h"
#include "trainer/emulator/half.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char *const arithmetic_names[ARITHMETICS] = {"fp32", "fp16/fp32", "fp16/fp16"};

struct rounded { /* a layer's weights as the processor has them */
    float *w, *b;
    float slope, offset;
    struct emulated_layer of_weights;
};

struct emulator {
    const struct exported *net;
    struct rounded *layers; /* (net->count) */
    struct arena *arena;
    const struct accumulate *accumulate;
    bool rounds_values, rounds_sums;
};

static float round_value(const struct emulator *emulator, float value)
{
    return emulator->rounds_values ? half_round(value) : value;
}

static float round_sum(const struct emulator *emulator, float value)
{
    return emulator->rounds_sums ? half_round(value) : value;
}

/* value becomes its rounding, and is counted. */
static float count_value(const struct emulator *emulator, float value,
                         struct emulated_layer *counts)
{
    float rounded = round_value(emulator, value), magnitude = fabsf(rounded);
    counts->values++;
    counts->overflows += !isfinite(rounded);
    counts->subnormals += emulator->rounds_values && value != 0 && fabsf(value) < HALF_NORMAL;
    counts->largest = magnitude > counts->largest ? magnitude : counts->largest;
    return rounded;
}

static float *round_all(struct emulator *emulator, const float *from, size_t count,
                        struct emulated_layer *counts)
{
    float *to = arena_alloc(emulator->arena, count * sizeof *to);
    for (size_t i = 0; i < count; i++)
        to[i] = count_value(emulator, from[i], counts);
    return to;
}

struct emulator *emulator_create(const struct exported *net, enum arithmetic arithmetic)
{
    struct emulator *emulator = mem_alloc(sizeof *emulator);
    emulator->net = net;
    emulator->arena = arena_create();
    emulator->rounds_values = arithmetic != ARITHMETIC_FP32;
    emulator->rounds_sums = arithmetic == ARITHMETIC_FP16;
    emulator->accumulate = !emulator->rounds_sums  ? &accumulate_fp32
                           : accumulate_has_f16c() ? &accumulate_fp16_f16c
                                                   : &accumulate_fp16;
    emulator->layers = arena_alloc(emulator->arena, (size_t)net->count * sizeof *emulator->layers);
    for (int l = 0; l < net->count; l++) {
        const struct exported_layer *layer = &net->layers[l];
        struct rounded *rounded = &emulator->layers[l];
        rounded->slope = round_value(emulator, (float)layer->slope);
        rounded->offset = round_value(emulator, (float)layer->offset);
        if (layer->kind != EXPORTED_CONV)
            continue;
        rounded->w =
            round_all(emulator, layer->w, exported_weight_count(layer), &rounded->of_weights);
        rounded->b = round_all(emulator, layer->b, (size_t)layer->K, &rounded->of_weights);
    }
    return emulator;
}

void emulator_destroy(struct emulator **emulator)
{
    if (!emulator || !*emulator)
        return;
    arena_destroy((*emulator)->arena);
    mem_free(*emulator);
    *emulator = NULL;
}

struct emulated_layer emulator_weights(const struct emulator *emulator, int layer)
{
    return emulator->layers[layer].of_weights;
}

static size_t most_channels(const struct exported *net)
{
    size_t most = 1;
    for (int l = 0; l < net->count; l++)
        if ((size_t)net->layers[l].out.C > most)
            most = (size_t)net->layers[l].out.C;
    return most;
}

enum err emulation_init(const struct exported *net, struct emulation *emulation)
{
    size_t values = exported_values(&net->input);
    float *at = calloc(values + net->map_values + most_channels(net), sizeof *at);
    memset(emulation, 0, sizeof *emulation);
    if (!at)
        return err_set(ERR_MEMORY, "no memory for the maps of a network, %zu MiB",
                       net->map_values * sizeof *at >> 20);
    emulation->maps = mem_array((size_t)net->count, sizeof *emulation->maps);
    emulation->layers = mem_array((size_t)net->count, sizeof *emulation->layers);
    emulation->input = at;
    at += values;
    for (int l = 0; l < net->count; l++) {
        emulation->maps[l] = at;
        at += exported_values(&net->layers[l].out);
    }
    emulation->sums = at;
    return ERR_OK;
}

void emulation_fini(struct emulation *emulation)
{
    free(emulation->input); /* the whole block */
    mem_free(emulation->maps);
    mem_free(emulation->layers);
    memset(emulation, 0, sizeof *emulation);
}

/* One layer at work. */
struct work {
    const struct emulator *emulator;
    const struct exported_layer *layer;
    const struct rounded *rounded;
    const float *x, *other; /* maps that are read */
    float *y, *sums;
    struct emulated_layer *counts;
};

/* Results become the layer's output: clipped, then rounded. */
static void put_out(const struct work *work, const float *results, size_t count, float *y)
{
    float low = (float)work->layer->clip_low, high = (float)work->layer->clip_high;
    for (size_t i = 0; i < count; i++) {
        float value = results[i];
        bool is_lost = !isfinite(value); /* also where the clip would hide it */
        work->counts->saturated += value > high;
        value = value < low ? low : value > high ? high : value;
        y[i] = count_value(work->emulator, value, work->counts);
        work->counts->overflows += is_lost && isfinite(y[i]);
    }
}

/* What one tap of the kernel adds to all outputs of a pixel. */
static void add_tap(const struct work *work, const float *x, const float *w)
{
    const struct exported_layer *layer = work->layer;
    const struct accumulate *accumulate = work->emulator->accumulate;
    int inner = layer->in.C / layer->groups, outer = layer->K / layer->groups;
    if (inner == 1 && outer == 1) {
        accumulate->pairs(work->sums, w, x, layer->K);
        return;
    }
    for (int g = 0; g < layer->groups; g++)
        for (int c = 0; c < inner; c++)
            if (x[g * inner + c] != 0) /* as most are behind a clip: they change no sum */
                accumulate->scaled(work->sums + g * outer,
                                   w + (size_t)c * (size_t)layer->K + g * outer, x[g * inner + c],
                                   outer);
}

static void run_pixel(const struct work *work, int row, int column)
{
    const struct exported_layer *layer = work->layer;
    size_t step = (size_t)(layer->in.C / layer->groups) * (size_t)layer->K;
    memset(work->sums, 0, (size_t)layer->K * sizeof *work->sums);
    for (int t = 0; t < layer->R * layer->R; t++) {
        int h = row * layer->S - layer->pads[0] + t / layer->R;
        int w = column * layer->S - layer->pads[1] + t % layer->R;
        if (h >= 0 && w >= 0 && h < layer->in.H && w < layer->in.W)
            add_tap(work,
                    work->x + ((size_t)h * (size_t)layer->in.W + (size_t)w) * (size_t)layer->in.C,
                    work->rounded->w + (size_t)t * step);
    }
    work->emulator->accumulate->plain(work->sums, work->rounded->b, layer->K);
}

static void run_conv(const struct work *work)
{
    const struct exported_layer *layer = work->layer;
    float *y = work->y;
    for (int i = 0; i < layer->out.H * layer->out.W; i++, y += layer->K) {
        run_pixel(work, i / layer->out.W, i % layer->out.W);
        put_out(work, work->sums, (size_t)layer->K, y);
    }
}

static void run_pool(const struct work *work)
{
    const struct exported_layer *layer = work->layer;
    int pixels = layer->in.H * layer->in.W;
    memset(work->sums, 0, (size_t)layer->in.C * sizeof *work->sums);
    for (int i = 0; i < pixels; i++)
        work->emulator->accumulate->plain(work->sums, work->x + (size_t)i * (size_t)layer->in.C,
                                          layer->in.C);
    for (int c = 0; c < layer->in.C; c++)
        work->sums[c] = round_sum(work->emulator, work->sums[c] / (float)pixels);
    put_out(work, work->sums, (size_t)layer->in.C, work->y);
}

/* Add, mul and clips of their own: one result a value. */
static void run_values(const struct work *work)
{
    const struct exported_layer *layer = work->layer;
    const struct exported_map *other = exported_output(work->emulator->net, layer->other);
    size_t channels = (size_t)layer->in.C, count = exported_values(&layer->in);
    bool is_gate = exported_values(other) != count;
    for (size_t i = 0; i < count; i++) {
        float x = work->x[i], z = work->other[is_gate ? i % channels : i];
        float result =
            layer->kind == EXPORTED_ADD ? x + z
            : layer->kind == EXPORTED_MUL
                ? x * z
                : round_sum(work->emulator, work->rounded->slope * x) + work->rounded->offset;
        put_out(work, &result, 1, work->y + i);
    }
}

static void run_softmax(const struct work *work)
{
    const struct emulator *emulator = work->emulator;
    int classes = work->layer->in.C;
    float most = work->x[0], sum = 0;
    for (int k = 1; k < classes; k++)
        most = work->x[k] > most ? work->x[k] : most;
    for (int k = 0; k < classes; k++) {
        work->sums[k] = round_sum(emulator, expf(round_sum(emulator, work->x[k] - most)));
        sum = round_sum(emulator, sum + work->sums[k]);
    }
    for (int k = 0; k < classes; k++)
        work->sums[k] /= sum;
    put_out(work, work->sums, (size_t)classes, work->y);
}

static void run_layer(const struct work *work)
{
    switch (work->layer->kind) {
    case EXPORTED_CONV:
        run_conv(work);
        break;
    case EXPORTED_POOL:
        run_pool(work);
        break;
    case EXPORTED_ADD:
    case EXPORTED_MUL:
    case EXPORTED_ACT:
        run_values(work);
        break;
    case EXPORTED_SOFTMAX:
        run_softmax(work);
        break;
    }
}

static const float *get_map(const struct emulation *emulation, int layer)
{
    return layer == EXPORTED_INPUT ? emulation->input : emulation->maps[layer];
}

void emulator_run(const struct emulator *emulator, const float *image, struct emulation *emulation)
{
    const struct exported *net = emulator->net;
    size_t values = exported_values(&net->input);
    memset(emulation->layers, 0, (size_t)net->count * sizeof *emulation->layers);
    memset(&emulation->of_input, 0, sizeof emulation->of_input);
    for (size_t i = 0; i < values; i++)
        emulation->input[i] = count_value(emulator, image[i], &emulation->of_input);
    for (int l = 0; l < net->count; l++) {
        const struct exported_layer *layer = &net->layers[l];
        struct work work = {.emulator = emulator,
                            .layer = layer,
                            .rounded = &emulator->layers[l],
                            .x = get_map(emulation, layer->input),
                            .other = get_map(emulation, layer->other),
                            .y = emulation->maps[l],
                            .sums = emulation->sums,
                            .counts = &emulation->layers[l]};
        run_layer(&work);
    }
}
