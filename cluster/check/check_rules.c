#include "cluster/check/check_rules.h"
#include "trainer/record/json_name.h"
#include <math.h>

static enum layer_op find_conv_op(const struct exported_layer *layer)
{
    if (layer->groups > 1 && layer->groups == layer->in.C)
        return LAYER_DEPTHWISE;
    return layer->in.H == 1 && layer->in.W == 1 && layer->R == 1 ? LAYER_LINEAR : LAYER_CONV;
}

static enum layer_op find_op(const struct exported *net, const struct exported_layer *layer)
{
    switch (layer->kind) {
    case EXPORTED_CONV:
        return find_conv_op(layer);
    case EXPORTED_POOL:
        return LAYER_POOL;
    case EXPORTED_MUL:
        return exported_values(exported_output(net, layer->other)) < exported_values(&layer->in)
                   ? LAYER_SE
                   : LAYER_ADD;
    case EXPORTED_ADD:
    case EXPORTED_ACT:
    case EXPORTED_SOFTMAX:
        break;
    }
    return LAYER_ADD;
}

/* h-swish is written as a hard sigmoid, which alone has a slope, and a product of two maps. */
static enum act find_act(const struct exported_layer *layer, enum layer_op op)
{
    if (layer->slope != 1 || (layer->kind == EXPORTED_MUL && op != LAYER_SE))
        return ACT_HSWISH;
    if (layer->clip_low != 0)
        return ACT_NONE;
    return layer->clip_high == 6 ? ACT_RELU6 : ACT_RELU;
}

static struct layer_shape shape_of(const struct exported *net, const struct exported_layer *layer)
{
    enum layer_op op = find_op(net, layer);
    return (struct layer_shape){.op = op,
                                .act = find_act(layer, op),
                                .C = layer->in.C,
                                .K = layer->out.C,
                                .R = layer->R,
                                .S = layer->S,
                                .groups = layer->groups,
                                .side = (int)fmax(layer->out.H, layer->out.W)};
}

static void add_failure(struct bundle_check *check, const struct device_rule *rule, int l)
{
    const struct exported *net = &check->checked->net;
    struct layer_shape shape = shape_of(net, &net->layers[l]);
    struct text why;
    text_init(&why);
    text_add(&why, "%s: ", check->device.name);
    device_rule_explain_as(rule, net->layers[l].name, &shape, &why);
    json_array_append_new(check->failures, json_name(text_get(&why)));
    text_fini(&why);
}

static void check_rule(struct bundle_check *check, const struct device_rule *rule)
{
    const struct exported *net = &check->checked->net;
    double weights = 0;
    for (int l = 0; l < net->count; l++) {
        const struct exported_layer *layer = &net->layers[l];
        struct layer_shape shape = shape_of(net, layer);
        weights += 2.0 * (double)(exported_weight_count(layer) + (size_t)layer->K);
        if (layer->kind == EXPORTED_SOFTMAX || !device_rule_is_broken(rule, &shape, weights))
            continue;
        add_failure(check, rule, l);
        return;
    }
}

void check_rules(struct bundle_check *check)
{
    for (int i = 0; i < check->device.rules.count; i++)
        check_rule(check, &check->device.rules.rule[i]);
}
