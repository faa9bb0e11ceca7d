#include "trainer/emulator/exported.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

size_t exported_values(const struct exported_map *map)
{
    return (size_t)map->H * (size_t)map->W * (size_t)map->C;
}

size_t exported_weight_count(const struct exported_layer *layer)
{
    return layer->kind == EXPORTED_CONV ? (size_t)(layer->R * layer->R) * (size_t)layer->K *
                                              (size_t)(layer->in.C / layer->groups)
                                        : 0;
}

int64_t exported_macs(const struct exported_layer *layer)
{
    return (int64_t)exported_weight_count(layer) * layer->out.H * layer->out.W;
}

static bool is_sound_map(const struct exported_map *map)
{
    return map->H >= 1 && map->H <= EXPORTED_MAX_SIDE && map->W >= 1 &&
           map->W <= EXPORTED_MAX_SIDE && map->C >= 1 && map->C <= EXPORTED_MAX_CHANNELS &&
           exported_values(map) <= EXPORTED_MAX_MAP_BYTES / sizeof(float);
}

enum err exported_begin(struct exported *net, struct exported_map input, size_t file_bytes)
{
    memset(net, 0, sizeof *net);
    net->arena = arena_create();
    net->input = input;
    net->weights_left = file_bytes / sizeof(float);
    return is_sound_map(&input)
               ? ERR_OK
               : err_set(ERR_DATA, "an input of %d x %d and %d channels is out of range", input.H,
                         input.W, input.C);
}

void exported_fini(struct exported *net)
{
    mem_free(net->layers);
    arena_destroy(net->arena);
    memset(net, 0, sizeof *net);
}

struct exported_layer exported_layer(enum exported_kind kind, int input)
{
    return (struct exported_layer){.kind = kind,
                                   .input = input,
                                   .other = input,
                                   .R = 1,
                                   .S = 1,
                                   .groups = 1,
                                   .slope = 1,
                                   .clip_low = -INFINITY,
                                   .clip_high = INFINITY};
}

enum err exported_name(const char *what, const char *name)
{
    size_t length = name ? strlen(name) : 0;
    for (size_t i = 0; i < length; i++)
        if (name[i] <= ' ' || name[i] > '~')
            length = 0;
    return length > 0 && length < EXPORTED_NAME
               ? ERR_OK
               : err_set(ERR_DATA, "%s has no name of 1 to %d printable characters", what,
                         EXPORTED_NAME - 1);
}

const struct exported_map *exported_output(const struct exported *net, int layer)
{
    return layer == EXPORTED_INPUT ? &net->input : &net->layers[layer].out;
}

enum err exported_reserve(struct exported *net, struct exported_layer *layer, int inner)
{
    size_t count = (size_t)layer->R * (size_t)layer->R * (size_t)inner * (size_t)layer->K;
    if (count > net->weights_left)
        return err_set(ERR_DATA,
                       "%s: the filters of all layers are larger than the file: several share one, "
                       "which glowworm does not read; give each its own",
                       layer->name);
    net->weights_left -= count;
    layer->w = arena_alloc(net->arena, count * sizeof *layer->w);
    layer->b = arena_alloc(net->arena, (size_t)layer->K * sizeof *layer->b);
    return ERR_OK;
}

void exported_fill(struct exported_layer *layer, const float *w, int inner)
{
    size_t taps = (size_t)(layer->R * layer->R), columns = (size_t)inner, rows = (size_t)layer->K;
    for (size_t k = 0; k < rows; k++)
        for (size_t c = 0; c < columns; c++)
            for (size_t t = 0; t < taps; t++)
                layer->w[(t * columns + c) * rows + k] = w[(k * columns + c) * taps + t];
}

static enum err shape_conv(struct exported_layer *layer)
{
    int padded[2] = {0, 0}; /* height, width */
    bool is_sound = layer->R >= 1 && layer->R <= EXPORTED_MAX_KERNEL && layer->S >= 1 &&
                    layer->S <= EXPORTED_MAX_STRIDE && layer->K >= 1 && layer->groups >= 1 &&
                    layer->in.C % layer->groups == 0 && layer->K % layer->groups == 0;
    for (int i = 0; i < 4; i++)
        is_sound = is_sound && layer->pads[i] >= 0 && layer->pads[i] < layer->R;
    if (is_sound) {
        padded[0] = layer->in.H + layer->pads[0] + layer->pads[2];
        padded[1] = layer->in.W + layer->pads[1] + layer->pads[3];
    }
    if (!is_sound || padded[0] < layer->R || padded[1] < layer->R)
        return err_set(ERR_DATA,
                       "%s: a kernel of %d, stride %d, %d groups and %d outputs does not fit a map "
                       "of %d x %d and %d channels",
                       layer->name, layer->R, layer->S, layer->groups, layer->K, layer->in.H,
                       layer->in.W, layer->in.C);
    layer->out = (struct exported_map){(padded[0] - layer->R) / layer->S + 1,
                                       (padded[1] - layer->R) / layer->S + 1, layer->K};
    return ERR_OK;
}

static enum err check_pair(const struct exported_layer *layer, const struct exported_map *other)
{
    bool is_same = other->H == layer->in.H && other->W == layer->in.W;
    bool is_gate = layer->kind == EXPORTED_MUL && other->H == 1 && other->W == 1;
    return other->C == layer->in.C && (is_same || is_gate)
               ? ERR_OK
               : err_set(ERR_DATA, "%s: maps of %d x %d x %d and %d x %d x %d do not go together",
                         layer->name, layer->in.H, layer->in.W, layer->in.C, other->H, other->W,
                         other->C);
}

static enum err shape_layer(const struct exported *net, struct exported_layer *layer)
{
    layer->in = *exported_output(net, layer->input);
    layer->out = layer->in;
    switch (layer->kind) {
    case EXPORTED_CONV:
        return shape_conv(layer);
    case EXPORTED_POOL:
        layer->out.H = layer->out.W = 1;
        return ERR_OK;
    case EXPORTED_ADD:
    case EXPORTED_MUL:
        return check_pair(layer, exported_output(net, layer->other));
    case EXPORTED_ACT:
        return ERR_OK;
    case EXPORTED_SOFTMAX:
        break;
    }
    return layer->in.H == 1 && layer->in.W == 1
               ? ERR_OK
               : err_set(ERR_DATA, "%s: a softmax of a map of %d x %d, not of one number a class",
                         layer->name, layer->in.H, layer->in.W);
}

static void reserve(struct exported *net)
{
    if (net->count < net->room)
        return;
    size_t old = (size_t)net->room * sizeof *net->layers;
    net->room = net->room ? 2 * net->room : 64;
    net->layers = mem_grow(net->layers, old, (size_t)net->room * sizeof *net->layers);
}

enum err exported_add(struct exported *net, const struct exported_layer *layer)
{
    enum err err = ERR_OK;
    struct exported_layer added = *layer;
    if (net->count == EXPORTED_MAX_LAYERS)
        TRY(err_set(ERR_DATA, "more than %d layers", EXPORTED_MAX_LAYERS));
    TRY(shape_layer(net, &added));
    net->map_values += is_sound_map(&added.out) ? exported_values(&added.out) : 0;
    if (!is_sound_map(&added.out) || net->map_values > EXPORTED_MAX_MAP_BYTES / sizeof(float))
        TRY(err_set(ERR_DATA,
                    "%s: a map of %d x %d and %d channels; those of a network may take %zu MiB in "
                    "all",
                    added.name, added.out.H, added.out.W, added.out.C,
                    EXPORTED_MAX_MAP_BYTES >> 20));
    reserve(net);
    net->layers[net->count++] = added;
out:
    return err;
}

/* How often each layer is read: readers (count). */
static void count_readers(const struct exported *net, int *readers)
{
    for (int l = 0; l < net->count; l++) {
        const struct exported_layer *layer = &net->layers[l];
        if (layer->input >= 0)
            readers[layer->input]++;
        if (layer->other >= 0 && layer->other != layer->input)
            readers[layer->other]++;
    }
}

/* Is this layer nothing but a clip of one that nobody else reads, and that has none yet? */
static bool joins(const struct exported *net, const struct exported_layer *layer,
                  const int *readers, const int *moved)
{
    if (layer->kind != EXPORTED_ACT || layer->slope != 1 || layer->offset != 0 || layer->input < 0)
        return false;
    const struct exported_layer *before = &net->layers[moved[layer->input]];
    return readers[layer->input] == 1 && before->clip_low == -INFINITY &&
           before->clip_high == INFINITY;
}

static void join_clip(struct exported *net, const struct exported_layer *clip, int to)
{
    net->layers[to].clip_low = clip->clip_low;
    net->layers[to].clip_high = clip->clip_high;
    net->map_values -= exported_values(&clip->out);
}

/* moved (count): where each layer is now. */
static void join_clips(struct exported *net, const int *readers, int *moved)
{
    int kept = 0;
    for (int l = 0; l < net->count; l++) {
        struct exported_layer layer = net->layers[l];
        if (joins(net, &layer, readers, moved)) {
            moved[l] = moved[layer.input];
            join_clip(net, &layer, moved[l]);
            continue;
        }
        layer.input = layer.input < 0 ? layer.input : moved[layer.input];
        layer.other = layer.other < 0 ? layer.other : moved[layer.other];
        net->layers[kept] = layer;
        moved[l] = kept++;
    }
    net->count = kept;
}

static enum err check_end(const struct exported *net, const int *readers)
{
    for (int l = 0; l < net->count; l++) {
        const struct exported_layer *layer = &net->layers[l];
        bool is_last = l == net->count - 1;
        if ((layer->kind == EXPORTED_SOFTMAX) != is_last)
            return err_set(ERR_DATA, "%s: the last layer of a network is its only softmax",
                           layer->name);
        if (!is_last && readers[l] == 0)
            return err_set(ERR_DATA, "%s: nothing reads this layer", layer->name);
        if (is_last && layer->input < 0)
            return err_set(ERR_DATA, "%s: a softmax of the image itself", layer->name);
    }
    return net->count > 0 ? ERR_OK : err_set(ERR_DATA, "a network without layers");
}

enum err exported_finish(struct exported *net)
{
    int *readers = mem_array((size_t)net->count + 1, sizeof *readers);
    int *moved = mem_array((size_t)net->count + 1, sizeof *moved);
    count_readers(net, readers);
    enum err err = check_end(net, readers);
    if (err == ERR_OK) {
        join_clips(net, readers, moved);
        net->logits = net->layers[net->count - 1].input;
    }
    mem_free(readers);
    mem_free(moved);
    return err;
}
