#include "trainer/spec/conv_walk.h"

struct walk {
    void (*visit)(void *own, const struct walked_conv *conv);
    void *own;
    int side;
};

static void step(struct walk *walk, struct walked_conv conv, int stride)
{
    walk->side = (walk->side - 1) / stride + 1;
    conv.side = walk->side;
    walk->visit(walk->own, &conv);
}

static void walk_block(struct walk *walk, const struct block_spec *spec,
                       const struct subnet *subnet, int b)
{
    int middle = space_middle(spec, subnet->expansion[b - 1]);
    step(walk, (struct walked_conv){CONV_EXPAND, b, spec->C, middle, 1, 0}, 1);
    step(walk, (struct walked_conv){CONV_DEPTHWISE, b, 1, middle, subnet->kernel[b - 1], 0},
         spec->stride);
    step(walk, (struct walked_conv){CONV_PROJECT, b, middle, spec->K, 1, 0}, 1);
}

void conv_walk(const struct space *space, const struct subnet *subnet,
               void (*visit)(void *own, const struct walked_conv *conv), void *own)
{
    struct walk walk = {.visit = visit, .own = own, .side = subnet->resolution};
    int stem = space->stem_width;
    step(&walk, (struct walked_conv){CONV_STEM, 0, space->channels, stem, 3, 0},
         space->stem_stride);
    step(&walk, (struct walked_conv){CONV_DEPTHWISE, 0, 1, stem, 3, 0}, space->first_stride);
    step(&walk, (struct walked_conv){CONV_PROJECT, 0, stem, space->first_width, 1, 0}, 1);
    for (int i = 0; i < space->block_count; i++)
        if (subnet_has_block(space, subnet, i))
            walk_block(&walk, &space->blocks[i], subnet, i + 1);
    int width = space->stages[space->stage_count - 1].width;
    if (space->expand_width > 0)
        step(&walk, (struct walked_conv){CONV_HEAD, 0, width, space->expand_width, 1, 0}, 1);
}
