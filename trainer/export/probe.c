#include "trainer/export/probe.h"
#include "base/file.h"
#include "trainer/export/probe_net.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 16, LONGEST_SIDE = 1024, WIDTH = 16, EXPANDED = 32, HEAD = 32 };

static const char *const op_words[] = {
    [LAYER_CONV] = "convolution", [LAYER_DEPTHWISE] = "depthwise", [LAYER_LINEAR] = "linear",
    [LAYER_ADD] = "add",          [LAYER_POOL] = "average-pool",   [LAYER_SE] = "squeeze-excite"};
static const char *const act_words[] = {"none", "relu", "relu6", "h-swish"};

enum { OPS = sizeof op_words / sizeof *op_words, ACTS = sizeof act_words / sizeof *act_words };

static enum layer_op op_of(const struct folded_layer *layer)
{
    static const enum layer_op ops[] = {[FOLDED_CONV] = LAYER_CONV,
                                        [FOLDED_ADD] = LAYER_ADD,
                                        [FOLDED_SE] = LAYER_SE,
                                        [FOLDED_POOL] = LAYER_POOL,
                                        [FOLDED_LINEAR] = LAYER_LINEAR};
    return layer->kind == FOLDED_CONV && layer->groups > 1 ? LAYER_DEPTHWISE : ops[layer->kind];
}

static struct layer_shape shape_of(const struct folded_layer *layer)
{
    return (struct layer_shape){.op = op_of(layer),
                                .act = layer->act,
                                .C = layer->C,
                                .K = folded_channels(layer),
                                .R = layer->R,
                                .S = layer->S,
                                .groups = layer->groups,
                                .side = folded_side(layer),
                                .hidden = layer->hidden};
}

static double weight_bytes(const struct folded_layer *layer)
{
    double inner = layer->kind == FOLDED_SE
                       ? 2.0 * layer->hidden
                       : (double)layer->C / layer->groups * layer->R * layer->R;
    bool has_weights = layer->kind != FOLDED_ADD && layer->kind != FOLDED_POOL;
    return has_weights ? 2.0 * folded_channels(layer) * (inner + 1) : 0;
}

/* The first layer from `from` on that breaks it, or -1. */
static int find_breach(const struct device_rule *rule, const struct folded *folded, int from)
{
    double weights = 0;
    for (int l = 0; l < folded->count; l++) {
        struct layer_shape shape = shape_of(&folded->layers[l]);
        weights += weight_bytes(&folded->layers[l]);
        if (l >= from && device_rule_is_broken(rule, &shape, weights))
            return l;
    }
    return -1;
}

/* Has the baseline this layer just so, and does it break the rule there, too? */
static bool is_of_baseline(const struct device_rule *rule, const struct folded *baseline,
                           const struct folded_layer *layer)
{
    for (int l = find_breach(rule, baseline, 0); l >= 0; l = find_breach(rule, baseline, l + 1)) {
        const struct folded_layer *its = &baseline->layers[l];
        if (strcmp(its->name, layer->name) == 0)
            return its->K == layer->K && its->R == layer->R && its->S == layer->S &&
                   its->groups == layer->groups && its->act == layer->act;
    }
    return false;
}

/* The layer that a probe is made for: it breaks the rule, and what breaks it in the baseline, which
 * cannot help it, does not count unless nothing else does. -1: none. */
static int find_own_breach(const struct device_rule *rule, const struct folded *folded,
                           const struct folded *baseline)
{
    int first = find_breach(rule, folded, 0), l = first;
    while (l >= 0 && is_of_baseline(rule, baseline, &folded->layers[l]))
        l = find_breach(rule, folded, l + 1);
    return l >= 0 ? l : first;
}

static bool is_about(const struct device_rule *rule, enum layer_op op)
{
    bool is_about_all = true;
    for (int i = 0; i < OPS; i++)
        is_about_all = is_about_all && !rule->of[i];
    return is_about_all || rule->of[op];
}

static int round_up(int value, int multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

static int least(const struct choices *choices, int wanted)
{
    return choices->count == 0 || choices_find(choices, wanted) >= 0 ? wanted : choices->value[0];
}

/* The same of kernels, which have a pixel in their middle; a rule that lists none such is broken.
 */
static int least_odd(const struct choices *kernels, int wanted)
{
    for (int i = 0; i < kernels->count && choices_find(kernels, wanted) < 0; i++)
        if (kernels->value[i] % 2 == 1)
            return kernels->value[i];
    return wanted;
}

/* What keeps a rule, as far as its numbers can be met by other ones. */
static void keep(const struct device_rule *rule, struct probe_net *variant)
{
    int *widths[] = {&variant->width, &variant->expanded, &variant->head};
    for (int i = 0; i < 3; i++) {
        int wide = *widths[i] > rule->least_channels ? *widths[i] : rule->least_channels;
        *widths[i] = round_up(wide, rule->channel_multiple);
    }
    if (is_about(rule, LAYER_LINEAR)) {
        int wide =
            variant->outputs > rule->least_channels ? variant->outputs : rule->least_channels;
        variant->outputs = round_up(wide, rule->channel_multiple);
    }
    if (is_about(rule, LAYER_DEPTHWISE)) {
        variant->kernel = least_odd(&rule->kernels, variant->kernel);
        variant->stride = least(&rule->strides, variant->stride);
    }
    if (is_about(rule, LAYER_CONV)) {
        variant->stem_kernel = least_odd(&rule->kernels, variant->stem_kernel);
        variant->stem_stride = least(&rule->strides, variant->stem_stride);
    }
    if (rule->refuses[OPS + ACT_RELU - ACT_RELU])
        variant->act = ACT_RELU6;
}

static struct probe_net baseline(const struct camera_device *device)
{
    struct probe_net variant = {.side = SIDE,
                                .stem_kernel = 3,
                                .stem_stride = 2,
                                .width = WIDTH,
                                .expanded = EXPANDED,
                                .head = HEAD,
                                .outputs = PROBE_OUTPUTS,
                                .head_side = 1,
                                .kernel = 3,
                                .stride = 1,
                                .act = ACT_RELU};
    for (int i = 0; i < device->rules.count; i++)
        keep(&device->rules.rule[i], &variant);
    return variant;
}

struct writing {
    const struct camera_device *device;
    struct probes *probes;
    struct probe_net base;
    const struct device_rule *rule;
};

static struct probe *add_probe(struct writing *writing, const char *part)
{
    struct probes *probes = writing->probes;
    if (probes->count == probes->room) {
        int room = 2 * probes->room + 8;
        probes->list = mem_grow(probes->list, (size_t)probes->room * sizeof *probes->list,
                                (size_t)room * sizeof *probes->list);
        probes->room = room;
    }
    struct probe *probe = &probes->list[probes->count++];
    memset(probe, 0, sizeof *probe);
    probe->rule = writing->rule;
    const char *name = !probe->rule                      ? "baseline"
                       : file_is_name(probe->rule->name) ? probe->rule->name
                                                         : "rule";
    snprintf(probe->name, sizeof probe->name, "%s%s%s", name, part ? "-" : "", part ? part : "");
    text_init(&probe->breach);
    text_init(&probe->others);
    text_init(&probe->why_not);
    return probe;
}

static void note_others(const struct writing *writing, struct probe *probe)
{
    const struct device_rules *rules = &writing->device->rules;
    for (int i = 0; i < rules->count; i++)
        if (&rules->rule[i] != probe->rule && find_breach(&rules->rule[i], &probe->folded, 0) >= 0)
            text_add(&probe->others, "%s%s", probe->others.size ? ", " : "", rules->rule[i].name);
}

/* What would be larger than anybody tries by hand is not made. */
static bool is_too_large(const struct probe_net *variant, struct probe *probe)
{
    double side = ceil((double)variant->side / variant->stem_stride);
    double map = 2.0 * side * side * variant->expanded;
    double weights = 2.0 * variant->head *
                     (variant->width * variant->head_side * variant->head_side + variant->outputs);
    if (map <= PROBE_MOST_BYTES && weights <= PROBE_MOST_BYTES && variant->side <= LONGEST_SIDE)
        return false;
    text_add(
        &probe->why_not,
        "a network that breaks it has a map or weights of %.0f MB and more, which is no tiny one",
        fmax(map, weights) / 1e6);
    return true;
}

static void add_variant(struct writing *writing, const char *part, const struct probe_net *variant)
{
    struct probe *probe = add_probe(writing, part);
    enum pixel_format format = camera_device_format(writing->device, 3);
    bool is_grey = writing->device->takes[PIXEL_MONO8] || format == PIXEL_FORMAT_COUNT;
    if (is_too_large(variant, probe))
        return;
    probe_net_fold(variant, is_grey ? 1 : 3, !is_grey && format == PIXEL_BGR8, &probe->folded);
    note_others(writing, probe);
    if (!probe->rule)
        return;
    int breaks = find_own_breach(probe->rule, &probe->folded, &writing->probes->list[0].folded);
    if (breaks < 0) {
        text_add(&probe->why_not, "no network of this shape breaks it");
        return;
    }
    struct layer_shape shape = shape_of(&probe->folded.layers[breaks]);
    device_rule_breach(probe->rule, probe->folded.layers[breaks].name, &shape, &probe->breach);
}

static void add_impossible(struct writing *writing, const char *part, const char *why)
{
    text_add(&add_probe(writing, part)->why_not, "%s", why);
}

static void probe_refused(struct writing *writing)
{
    for (int op = 0; op < OPS; op++) {
        struct probe_net variant = writing->base;
        variant.has_se = true;
        if (writing->rule->refuses[op] && op == LAYER_SE)
            add_variant(writing, op_words[op], &variant);
        else if (writing->rule->refuses[op])
            add_impossible(writing, op_words[op], "every network here has such a layer");
    }
    for (int act = ACT_RELU; act < ACTS; act++) {
        struct probe_net variant = writing->base;
        variant.act = (enum act)act;
        if (writing->rule->refuses[OPS + act - ACT_RELU])
            add_variant(writing, act_words[act], &variant);
    }
}

/* The smallest that it does not list, from `from` on. */
static int unlisted(const struct choices *choices, int from, int step)
{
    while (choices_find(choices, from) >= 0)
        from += step;
    return from;
}

static void probe_kernels(struct writing *writing)
{
    const struct choices *kernels = &writing->rule->kernels;
    struct probe_net conv = writing->base, depthwise = writing->base;
    if (kernels->count == 0)
        return;
    conv.head_side = unlisted(kernels, 3, 2);
    depthwise.kernel = unlisted(kernels, 3, 2);
    if (is_about(writing->rule, LAYER_CONV))
        add_variant(writing, "kernel-convolution", &conv);
    if (is_about(writing->rule, LAYER_DEPTHWISE))
        add_variant(writing, "kernel-depthwise", &depthwise);
}

static void probe_strides(struct writing *writing)
{
    const struct choices *strides = &writing->rule->strides;
    struct probe_net conv = writing->base, depthwise = writing->base;
    if (strides->count == 0)
        return;
    conv.stem_stride = unlisted(strides, 2, 1);
    depthwise.stride = unlisted(strides, 2, 1);
    if (is_about(writing->rule, LAYER_CONV))
        add_variant(writing, "stride-convolution", &conv);
    if (is_about(writing->rule, LAYER_DEPTHWISE))
        add_variant(writing, "stride-depthwise", &depthwise);
}

/* Layers of `wide` channels, kind by kind. */
static void probe_width(struct writing *writing, const char *what, int wide)
{
    char part[PROBE_NAME];
    struct probe_net conv = writing->base, depthwise = writing->base, linear = writing->base;
    int *const widths[] = {&conv.head, &depthwise.expanded, &linear.outputs};
    const struct probe_net *const variants[] = {&conv, &depthwise, &linear};
    static const enum layer_op ops[] = {LAYER_CONV, LAYER_DEPTHWISE, LAYER_LINEAR};
    for (int i = 0; i < 3; i++) {
        *widths[i] = wide;
        snprintf(part, sizeof part, "%s-%s", what, op_words[ops[i]]);
        if (is_about(writing->rule, ops[i]))
            add_variant(writing, part, variants[i]);
    }
}

static void probe_channels(struct writing *writing)
{
    int multiple = writing->rule->channel_multiple, least_channels = writing->rule->least_channels;
    if (multiple > 1)
        probe_width(writing, "multiple", round_up(EXPANDED, multiple) + multiple / 2);
    if (least_channels > 1)
        probe_width(writing, "few", least_channels > 2 ? least_channels / 2 : 1);
}

/* As many channels as the other rules' widths ask for. */
static void probe_groups(struct writing *writing)
{
    struct probe_net variant = writing->base;
    if (writing->rule->most_groups == 0)
        return;
    variant.expanded = round_up(writing->rule->most_groups + 1, 8);
    add_variant(writing, "groups", &variant);
}

static void probe_bytes(struct writing *writing)
{
    const struct device_rule *rule = writing->rule;
    struct probe_net map = writing->base, weights = writing->base;
    while (rule->most_map_bytes > 2.0 * map.side * map.side / 4 * 256 && map.side < LONGEST_SIDE)
        map.side *= 2;
    double pixels = pow(ceil((double)map.side / map.stem_stride), 2);
    map.expanded = round_up((int)fmin(rule->most_map_bytes / (2 * pixels) + 1, 1e6), 8);
    weights.head = round_up((int)fmin(rule->most_weight_bytes / (2.0 * weights.width) + 1, 1e8), 8);
    if (rule->most_map_bytes > 0)
        add_variant(writing, "map", &map);
    if (rule->most_weight_bytes > 0)
        add_variant(writing, "weights", &weights);
}

void probes_make(const struct camera_device *device, struct probes *probes)
{
    struct writing writing = {.device = device, .probes = probes, .base = baseline(device)};
    add_variant(&writing, NULL, &writing.base);
    for (int i = 0; i < device->rules.count; i++) {
        writing.rule = &device->rules.rule[i];
        probe_refused(&writing);
        probe_kernels(&writing);
        probe_strides(&writing);
        probe_channels(&writing);
        probe_groups(&writing);
        probe_bytes(&writing);
    }
}

void probes_fini(struct probes *probes)
{
    for (int i = 0; i < probes->count; i++) {
        text_fini(&probes->list[i].breach);
        text_fini(&probes->list[i].others);
        text_fini(&probes->list[i].why_not);
        folded_fini(&probes->list[i].folded);
    }
    mem_free(probes->list);
    memset(probes, 0, sizeof *probes);
}
