/* Counting a sub-network layer by layer (reference: the MAC model of OFA's latency tables, sec. 5.2
 * of the notes: output side (h - 1) / s + 1). */
#include "trainer/spec/cost.h"
#include "trainer/spec/conv_walk.h"

static void add_conv(void *own, const struct walked_conv *conv)
{
    struct cost *cost = own;
    int64_t weights = (int64_t)conv->R * conv->R * conv->C * conv->K;
    int64_t pixels = (int64_t)conv->side * conv->side;
    cost->macs += weights * pixels;
    cost->parameters += weights + 2 * (int64_t)conv->K;
    cost->map_elements += conv->K * pixels;
}

/* A linear layer on one vector: classifier, mix layer, squeeze-excite. */
static void add_linear(struct cost *cost, int64_t C, int64_t K, int64_t bias)
{
    cost->macs += C * K;
    cost->parameters += C * K + bias;
}

static void add_excite(struct cost *cost, const struct space *space, int middle)
{
    int hidden = space_hidden(space, middle);
    add_linear(cost, middle, hidden, hidden);
    add_linear(cost, hidden, middle, middle);
}

struct cost cost_of(const struct space *space, const struct subnet *subnet)
{
    struct cost cost = {0};
    conv_walk(space, subnet, add_conv, &cost);
    for (int i = 0; i < space->block_count; i++)
        if (subnet_has_block(space, subnet, i) && space->blocks[i].has_se)
            add_excite(&cost, space, space_middle(&space->blocks[i], subnet->expansion[i]));
    int width = space->stages[space->stage_count - 1].width;
    if (space->expand_width > 0)
        width = space->expand_width;
    if (space->mix_width > 0) {
        add_linear(&cost, width, space->mix_width, 0);
        width = space->mix_width;
    }
    add_linear(&cost, width, space->classes, space->classes);
    return cost;
}

int64_t cost_least_macs(const struct space *space, const struct open_choices *open, int resolution)
{
    struct subnet least;
    subnet_smallest_open(space, open, resolution, &least);
    return cost_of(space, &least).macs;
}
