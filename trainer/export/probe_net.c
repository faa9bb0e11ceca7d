#include "trainer/export/probe_net.h"
#include "base/rng.h"
#include <math.h>
#include <stdio.h>

enum { SEED = 1 };

struct making {
    struct folded *folded;
    int side, channels; /* of the map that the next layer reads */
    uint64_t drawn;     /* weights so far */
};

static float *draw(struct making *making, int count, double size)
{
    float *values = arena_alloc(making->folded->arena, (size_t)count * sizeof *values);
    for (int i = 0; i < count; i++)
        values[i] = (float)(size * (2 * rng_unit(rng(SEED, RNG_PROBE, 0, 0, making->drawn++)) - 1));
    return values;
}

static struct folded_layer *add_layer(struct making *making, enum folded_kind kind,
                                      const char *name)
{
    struct folded *folded = making->folded;
    struct folded_layer *layer = &folded->layers[folded->count++];
    *layer = (struct folded_layer){.kind = kind,
                                   .input = folded->count - 2,
                                   .H = making->side,
                                   .W = making->side,
                                   .C = making->channels,
                                   .K = making->channels,
                                   .R = 1,
                                   .S = 1,
                                   .groups = 1,
                                   .pad = PAD_SYMMETRIC};
    snprintf(layer->name, sizeof layer->name, "%s", name);
    return layer;
}

/* Maps keep their size, so that answers differ from each other. */
static void weigh(struct making *making, struct folded_layer *layer)
{
    int fan_in = layer->C / layer->groups * layer->R * layer->R;
    layer->w = draw(making, layer->K * fan_in, sqrt(6.0 / fan_in));
    layer->b = draw(making, layer->K, 0.1);
    making->side = folded_side(layer);
    making->channels = layer->K;
}

struct conv {
    int K, R, S;
    enum act act;
};

static void add_conv(struct making *making, const char *name, struct conv conv)
{
    struct folded_layer *layer = add_layer(making, FOLDED_CONV, name);
    layer->K = conv.K, layer->R = conv.R, layer->S = conv.S, layer->act = conv.act;
    weigh(making, layer);
}

static void add_depthwise(struct making *making, const struct probe_net *net)
{
    struct folded_layer *layer = add_layer(making, FOLDED_CONV, "block1_depthwise");
    layer->groups = layer->C;
    layer->R = net->kernel, layer->S = net->stride, layer->act = net->act;
    weigh(making, layer);
}

static void add_se(struct making *making)
{
    struct folded_layer *layer = add_layer(making, FOLDED_SE, "block1_se");
    int C = layer->C;
    layer->hidden = 8;
    layer->reduce_w = draw(making, 8 * C, sqrt(6.0 / C));
    layer->expand_w = draw(making, 8 * C, 1);
    layer->reduce_b = draw(making, 8, 0.1);
    layer->expand_b = draw(making, C, 0.1);
}

static void add_block(struct making *making, const struct probe_net *net)
{
    int before = making->folded->count - 1;
    add_conv(making, "block1_expand", (struct conv){net->expanded, 1, 1, net->act});
    add_depthwise(making, net);
    if (net->has_se)
        add_se(making);
    add_conv(making, "block1_project", (struct conv){net->width, 1, 1, ACT_NONE});
    if (net->stride == 1)
        add_layer(making, FOLDED_ADD, "block1_sum")->other = before;
}

void probe_net_fold(const struct probe_net *net, int channels, bool is_bgr, struct folded *folded)
{
    *folded = (struct folded){.side = net->side,
                              .channels = channels,
                              .classes = net->outputs,
                              .outputs = net->outputs,
                              .is_bgr = is_bgr,
                              .arena = arena_create()};
    folded->layers = arena_alloc(folded->arena, 16 * sizeof *folded->layers);
    struct making making = {folded, net->side, channels, 0};
    add_conv(&making, "stem",
             (struct conv){net->width, net->stem_kernel, net->stem_stride, net->act});
    add_block(&making, net);
    add_conv(&making, "head", (struct conv){net->head, net->head_side, 1, net->act});
    (void)add_layer(&making, FOLDED_POOL, "pool");
    making.side = 1;
    struct folded_layer *logits = add_layer(&making, FOLDED_LINEAR, "logits");
    logits->K = net->outputs;
    weigh(&making, logits);
}
