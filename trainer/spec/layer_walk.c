#include "trainer/spec/layer_walk.h"
#include <stdio.h>

struct walk {
    const struct space *space;
    void (*visit)(void *own, const struct layer_shape *layer);
    void *own;
    int side, channels; /* of the map the next layer reads */
    int block;
};

#define NO_BLOCK (-1)

static const struct {
    enum layer_op op;
    const char *name;
} parts[] = {
    [PART_STEM] = {LAYER_CONV, "stem"},
    [PART_EXPAND] = {LAYER_CONV, "expand"},
    [PART_DEPTHWISE] = {LAYER_DEPTHWISE, "depthwise"},
    [PART_SE] = {LAYER_SE, "se"},
    [PART_PROJECT] = {LAYER_CONV, "project"},
    [PART_SUM] = {LAYER_ADD, "sum"},
    [PART_HEAD] = {LAYER_CONV, "head"},
    [PART_POOL] = {LAYER_POOL, "pool"},
    [PART_MIX] = {LAYER_LINEAR, "mix"},
    [PART_LOGITS] = {LAYER_LINEAR, "logits"},
};

void layer_shape_name(const struct layer_shape *layer, char name[LAYER_NAME])
{
    const char *part = parts[layer->part].name;
    if (layer->block == NO_BLOCK)
        snprintf(name, LAYER_NAME, "%s", part);
    else
        snprintf(name, LAYER_NAME, "block%d_%s", layer->block, part);
}

/* What is left out is 1, or as many channels as come in. */
static void visit(struct walk *walk, struct layer_shape layer)
{
    layer.op = parts[layer.part].op;
    layer.block = walk->block;
    layer.C = walk->channels;
    layer.K = layer.K ? layer.K : layer.C;
    layer.R = layer.R ? layer.R : 1;
    layer.S = layer.S ? layer.S : 1;
    layer.groups = layer.op == LAYER_DEPTHWISE ? layer.C : 1;
    layer.side = layer.op == LAYER_POOL ? 1 : pad_out(walk->side, layer.S);
    walk->visit(walk->own, &layer);
    walk->side = layer.side;
    walk->channels = layer.K;
}

static void visit_first_block(struct walk *walk)
{
    const struct space *space = walk->space;
    walk->block = 0;
    visit(walk,
          (struct layer_shape){
              .part = PART_DEPTHWISE, .R = 3, .S = space->first_stride, .act = space->first_act});
    visit(walk, (struct layer_shape){.part = PART_PROJECT, .K = space->first_width});
    if (space->first_has_shortcut)
        visit(walk, (struct layer_shape){.part = PART_SUM});
}

static void visit_block(struct walk *walk, const struct subnet *subnet, int b)
{
    const struct block_spec *spec = &walk->space->blocks[b];
    int middle = space_middle(spec, subnet->expansion[b]);
    walk->block = b + 1;
    visit(walk, (struct layer_shape){.part = PART_EXPAND, .K = middle, .act = spec->act});
    visit(walk,
          (struct layer_shape){
              .part = PART_DEPTHWISE, .R = subnet->kernel[b], .S = spec->stride, .act = spec->act});
    if (spec->has_se)
        visit(walk,
              (struct layer_shape){.part = PART_SE, .hidden = space_hidden(walk->space, middle)});
    visit(walk, (struct layer_shape){.part = PART_PROJECT, .K = spec->K});
    if (spec->has_shortcut)
        visit(walk, (struct layer_shape){.part = PART_SUM});
}

static void visit_head(struct walk *walk)
{
    const struct space *space = walk->space;
    walk->block = NO_BLOCK;
    if (space->expand_width)
        visit(walk, (struct layer_shape){
                        .part = PART_HEAD, .K = space->expand_width, .act = space->expand_act});
    visit(walk, (struct layer_shape){.part = PART_POOL});
    if (space->mix_width)
        visit(walk,
              (struct layer_shape){.part = PART_MIX, .K = space->mix_width, .act = space->mix_act});
    visit(walk, (struct layer_shape){.part = PART_LOGITS, .K = space->classes});
}

void layer_walk(const struct space *space, const struct subnet *subnet,
                void (*visitor)(void *own, const struct layer_shape *layer), void *own)
{
    struct walk walk = {.space = space,
                        .visit = visitor,
                        .own = own,
                        .side = subnet->resolution,
                        .channels = space->channels,
                        .block = NO_BLOCK};
    visit(&walk, (struct layer_shape){.part = PART_STEM,
                                      .K = space->stem_width,
                                      .R = 3,
                                      .S = space->stem_stride,
                                      .act = space->stem_act});
    visit_first_block(&walk);
    for (int b = 0; b < space->block_count; b++)
        if (subnet_has_block(space, subnet, b))
            visit_block(&walk, subnet, b);
    visit_head(&walk);
}
