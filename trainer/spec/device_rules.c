#include "trainer/spec/device_rules.h"
#include "base/text.h"

static const char *const op_names[] = {
    [LAYER_CONV] = "convolution",    [LAYER_DEPTHWISE] = "depthwise convolution",
    [LAYER_LINEAR] = "linear layer", [LAYER_ADD] = "sum",
    [LAYER_POOL] = "average pool",   [LAYER_SE] = "squeeze-excite"};
static const char *const act_names[] = {"no activation", "relu", "relu6", "h-swish"};

enum { OP_COUNT = sizeof op_names / sizeof *op_names, FP16_BYTES = 2 };

static bool is_about(const struct device_rule *rule, enum layer_op op)
{
    bool is_about_all = true;
    for (int i = 0; i < OP_COUNT; i++)
        is_about_all = is_about_all && !rule->of[i];
    return is_about_all || rule->of[op];
}

static bool is_conv(const struct layer_shape *layer)
{
    return layer->op == LAYER_CONV || layer->op == LAYER_DEPTHWISE;
}

static bool has(const struct choices *choices, int value)
{
    return choices->count == 0 || choices_find(choices, value) >= 0;
}

static double map_bytes(const struct layer_shape *layer)
{
    return (double)FP16_BYTES * layer->side * layer->side * layer->K;
}

static double weight_bytes(const struct layer_shape *layer)
{
    double inner = layer->op == LAYER_SE ? 2.0 * layer->hidden : (double)layer->C / layer->groups;
    bool has_weights = is_conv(layer) || layer->op == LAYER_LINEAR || layer->op == LAYER_SE;
    return has_weights ? FP16_BYTES * layer->K * (inner * layer->R * layer->R + 1) : 0;
}

enum breach {
    BREACH_NONE,
    BREACH_OP,
    BREACH_ACT,
    BREACH_KERNEL,
    BREACH_STRIDE,
    BREACH_MULTIPLE,
    BREACH_FEW,
    BREACH_GROUPS,
    BREACH_MAP,
    BREACH_WEIGHTS
};

static enum breach find_conv_breach(const struct device_rule *rule, const struct layer_shape *layer)
{
    if (!has(&rule->kernels, layer->R))
        return BREACH_KERNEL;
    if (!has(&rule->strides, layer->S))
        return BREACH_STRIDE;
    return rule->most_groups > 0 && layer->groups > rule->most_groups ? BREACH_GROUPS : BREACH_NONE;
}

/* weights: bytes of the network up to this layer. */
static enum breach find_breach(const struct device_rule *rule, const struct layer_shape *layer,
                               double weights)
{
    enum breach breach = BREACH_NONE;
    if (rule->refuses[layer->op])
        return BREACH_OP;
    if (layer->act != ACT_NONE && rule->refuses[OP_COUNT + layer->act - ACT_RELU])
        return BREACH_ACT;
    if (!is_about(rule, layer->op))
        return BREACH_NONE;
    if (is_conv(layer))
        breach = find_conv_breach(rule, layer);
    if (breach != BREACH_NONE)
        return breach;
    if (layer->K % rule->channel_multiple != 0)
        return BREACH_MULTIPLE;
    if (layer->K < rule->least_channels)
        return BREACH_FEW;
    if (rule->most_map_bytes > 0 && map_bytes(layer) > rule->most_map_bytes)
        return BREACH_MAP;
    return rule->most_weight_bytes > 0 && weights > rule->most_weight_bytes ? BREACH_WEIGHTS
                                                                            : BREACH_NONE;
}

struct look { /* for the first rule that is broken */
    const struct device_rules *rules;
    bool weighs; /* the whole network, too */
    double weights;
    const struct device_rule *broken;
    struct layer_shape layer;
};

static void look_at(void *own, const struct layer_shape *layer)
{
    struct look *look = own;
    struct layer_shape exported = *layer;
    if (look->broken)
        return;
    if (layer->part == PART_LOGITS)
        exported.K = device_outputs(look->rules, layer->K);
    look->weights += look->weighs ? weight_bytes(&exported) : 0;
    for (int i = 0; i < look->rules->count && !look->broken; i++)
        if (find_breach(&look->rules->rule[i], &exported, look->weights) != BREACH_NONE) {
            look->broken = &look->rules->rule[i];
            look->layer = exported;
        }
}

static const struct device_rule *find(const struct device_rules *rules, bool weighs,
                                      const struct space *space, const struct subnet *subnet,
                                      struct layer_shape *layer)
{
    struct look look = {.rules = rules, .weighs = weighs};
    layer_walk(space, subnet, look_at, &look);
    *layer = look.layer;
    return look.broken;
}

const struct device_rule *device_rules_broken(const struct device_rules *rules,
                                              const struct space *space,
                                              const struct subnet *subnet,
                                              struct layer_shape *layer)
{
    return find(rules, true, space, subnet, layer);
}

const struct device_rule *device_rules_broken_by_layer(const struct device_rules *rules,
                                                       const struct space *space,
                                                       const struct subnet *subnet,
                                                       struct layer_shape *layer)
{
    return find(rules, false, space, subnet, layer);
}

static void add_breach(const struct device_rule *rule, const struct layer_shape *layer,
                       struct text *text)
{
    const char *op = op_names[layer->op];
    switch (find_breach(rule, layer, 0)) {
    case BREACH_OP:
        text_add(text, "is a %s", op);
        break;
    case BREACH_ACT:
        text_add(text, "has %s", act_names[layer->act]);
        break;
    case BREACH_KERNEL:
        text_add(text, "is a %s of %dx%d", op, layer->R, layer->R);
        break;
    case BREACH_STRIDE:
        text_add(text, "is a %s of stride %d", op, layer->S);
        break;
    case BREACH_MULTIPLE:
        text_add(text, "puts out %d channels, no multiple of %d", layer->K, rule->channel_multiple);
        break;
    case BREACH_FEW:
        text_add(text, "puts out %d channels, fewer than %d", layer->K, rule->least_channels);
        break;
    case BREACH_GROUPS:
        text_add(text, "is a %s of %d groups, more than %d", op, layer->groups, rule->most_groups);
        break;
    case BREACH_MAP:
        text_add(text, "puts out a map of %.1f MB, more than %.1f", map_bytes(layer) / 1e6,
                 rule->most_map_bytes / 1e6);
        break;
    case BREACH_WEIGHTS:
    case BREACH_NONE: /* the layer by itself breaks nothing */
        text_add(text, "brings the network's weights above %.1f MB", rule->most_weight_bytes / 1e6);
        break;
    }
}

void device_rule_explain(const struct device_rule *rule, const struct layer_shape *layer,
                         struct text *text)
{
    char name[LAYER_NAME];
    layer_shape_name(layer, name);
    device_rule_explain_as(rule, name, layer, text);
}

bool device_rule_is_broken(const struct device_rule *rule, const struct layer_shape *layer,
                           double weight_bytes)
{
    return find_breach(rule, layer, weight_bytes) != BREACH_NONE;
}

void device_rule_breach(const struct device_rule *rule, const char *name,
                        const struct layer_shape *layer, struct text *text)
{
    text_add(text, "layer %s ", name);
    add_breach(rule, layer, text);
}

void device_rule_explain_as(const struct device_rule *rule, const char *name,
                            const struct layer_shape *layer, struct text *text)
{
    device_rule_breach(rule, name, layer, text);
    text_add(text, ": rule %s, %s (%s); %s", rule->name,
             rule->basis == RULE_DOCUMENTED ? "documented" : "inferred", rule->source, rule->cure);
}

int device_outputs(const struct device_rules *rules, int classes)
{
    int outputs = classes;
    for (int i = 0; i < rules->count; i++)
        if (is_about(&rules->rule[i], LAYER_LINEAR) && outputs < rules->rule[i].least_channels)
            outputs = rules->rule[i].least_channels;
    return outputs;
}

static void add_flags(const char *name, const bool *flags, int count, struct text *lines)
{
    text_add(lines, " %s=", name);
    for (int i = 0; i < count; i++)
        text_add(lines, "%d", flags[i]);
}

static void add_values(const char *name, const struct choices *choices, struct text *lines)
{
    text_add(lines, " %s=", name);
    for (int i = 0; i < choices->count; i++)
        text_add(lines, "%s%d", i ? "," : "", choices->value[i]);
}

void device_rules_lines(const struct device_rules *rules, struct text *lines)
{
    for (int i = 0; i < rules->count; i++) {
        const struct device_rule *rule = &rules->rule[i];
        text_add(lines, "rule");
        add_flags("of", rule->of, OP_COUNT, lines);
        add_flags("refuses", rule->refuses, sizeof rule->refuses, lines);
        add_values("kernels", &rule->kernels, lines);
        add_values("strides", &rule->strides, lines);
        text_add(lines, " of %d from %d groups %d map ", rule->channel_multiple,
                 rule->least_channels, rule->most_groups);
        text_add_real(lines, rule->most_map_bytes);
        text_add(lines, " weights ");
        text_add_real(lines, rule->most_weight_bytes);
        text_add(lines, "\n");
    }
}
