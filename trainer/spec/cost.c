/* Counting a sub-network layer by layer (reference: the MAC model of OFA's latency tables, sec. 5.2
 * of the notes: output side (h - 1) / s + 1). */
#include "trainer/spec/cost.h"
#include "trainer/spec/layer_walk.h"

const char *const cost_kind_names[COST_KINDS] = {"convolution", "pointwise", "depthwise", "linear"};

static void add_work(struct cost *cost, enum cost_kind kind, int64_t macs)
{
    cost->macs += macs;
    cost->work[kind] += macs;
}

static void add_conv(struct cost *cost, const struct layer_shape *conv)
{
    int64_t weights = (int64_t)conv->R * conv->R * (conv->C / conv->groups) * conv->K;
    int64_t pixels = (int64_t)conv->side * conv->side;
    add_work(cost,
             conv->op == LAYER_DEPTHWISE ? COST_DEPTHWISE
             : conv->R == 1              ? COST_POINTWISE
                                         : COST_CONVOLUTION,
             weights * pixels);
    cost->parameters += weights + 2 * (int64_t)conv->K;
    cost->map_elements += conv->K * pixels;
}

/* A linear layer on one vector: classifier, mix layer, squeeze-excite. */
static void add_linear(struct cost *cost, int64_t C, int64_t K, int64_t bias)
{
    add_work(cost, COST_LINEAR, C * K);
    cost->parameters += C * K + bias;
}

static void add_layer(void *own, const struct layer_shape *layer)
{
    struct cost *cost = own;
    switch (layer->op) {
    case LAYER_CONV:
    case LAYER_DEPTHWISE:
        add_conv(cost, layer);
        break;
    case LAYER_LINEAR:
        add_linear(cost, layer->C, layer->K, layer->part == PART_MIX ? 0 : layer->K);
        break;
    case LAYER_SE:
        add_linear(cost, layer->C, layer->hidden, layer->hidden);
        add_linear(cost, layer->hidden, layer->C, layer->C);
        break;
    case LAYER_ADD:
    case LAYER_POOL:
        break;
    }
}

struct cost cost_of(const struct space *space, const struct subnet *subnet)
{
    struct cost cost = {0};
    layer_walk(space, subnet, add_layer, &cost);
    return cost;
}

struct cost cost_least(const struct space *space, const struct open_choices *open, int resolution)
{
    struct subnet least;
    subnet_smallest_open(space, open, resolution, &least);
    return cost_of(space, &least);
}
